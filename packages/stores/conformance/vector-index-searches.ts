import { expect } from 'vitest'
import type { Point } from '@aquifer/stores/vector-index'
import { cosine, ids, point, randomUnit, seeded, unit, version } from './points.ts'
import { ALL, type Behaviour, everything } from './vector-index-kit.ts'

export function searches(behaviour: Behaviour): void {
  behaviour('V3 a search sees its tenant alone, before the limit', async (index) => {
    // The other tenant's points are nearer and more: taken after the limit, nothing would be left.
    await index.upsert(version({ tenant: 'other', terms: ['passag', 'passag'] }, 30))
    await index.upsert(version({ tenant: 'acme', vector: unit([1, 1]) }, 3))
    const { dense, lexical } = await index.search({ ...everything, tenant: 'acme', limit: 3 })
    for (const hits of [dense, lexical])
      expect(hits.map(({ tenant }) => tenant)).toEqual(Array(3).fill('acme'))
    expect(await index.search({ ...everything, tenant: 'nobody' })).toEqual({ dense: [], lexical: [] })
  })

  behaviour('V3 a search sees what its groups may read, before the limit', async (index) => {
    const lists = [null, [], ['red'], ['blue', 'red'], ["o'brien", '*'], ['=red']] as const
    await index.upsert(lists.map((access, i) => point({ index: i, access, vector: unit([1, i]) })))
    await index.upsert(version({ documentId: 'hidden', access: ['hidden'] }, 30))
    const readable = async (groups: string[] | null): Promise<number[][]> => {
      const { dense, lexical } = await index.search({ ...everything, tenant: 'acme', groups, limit: 6 })
      return [dense, lexical].map((hits) =>
        hits
          .filter(({ documentId }) => documentId === 'doc')
          .map((hit) => hit.index)
          .sort((x, y) => x - y),
      )
    }
    for (const [groups, seen] of [
      [[], [0]],
      [['red'], [0, 2, 3]],
      [['blue'], [0, 3]],
      [['*'], [0, 4]],
      [
        ["o'brien", 'none'],
        [0, 4],
      ],
      [['=red'], [0, 5]],
      [["x') OR ('1'='1"], [0]],
    ] as const) {
      expect(await readable([...groups])).toEqual([seen, seen])
    }
    const admin = await index.search({ ...everything, tenant: 'acme', groups: null })
    expect([admin.dense.length, admin.lexical.length]).toEqual([36, 36])
  })

  behaviour('a filter is applied before the limit, dense and lexical', async (index) => {
    await index.upsert(version({ metadata: { kind: 'near' } }, 30))
    await index.upsert(version({ documentId: 'far', metadata: { kind: 'far' }, vector: unit([1, 2]) }, 2))
    const filter = { field: 'kind', op: 'eq', value: 'far' } as const
    const { dense, lexical } = await index.search({ ...everything, tenant: 'acme', limit: 2, filter })
    for (const hits of [dense, lexical]) expect(hits.map((hit) => hit.documentId)).toEqual(['far', 'far'])
  })

  behaviour('an absent vector gives no dense list, absent or empty terms no lexical one', async (index) => {
    await index.upsert([point()])
    const { vector, terms, ...base } = { ...everything, tenant: 'acme' }
    expect(await index.search(base)).toEqual({ dense: [], lexical: [] })
    expect((await index.search({ ...base, vector: vector!, terms: [] })).lexical).toEqual([])
    expect((await index.search({ ...base, terms: terms! })).dense).toEqual([])
    expect((await index.search({ ...base, terms: ['unknown'] })).lexical).toEqual([])
  })

  behaviour('terms are taken as they are: any script, case and sign', async (index) => {
    const odd = ['日本', 'É', 'é', 'a+b', '-x', 'w:1', '"q"', 'AND', '(y)', "o'", 'x'.repeat(300), '😀']
    await index.upsert(odd.map((term, i) => point({ index: i, terms: ['other', term] })))
    for (const [i, term] of odd.entries()) {
      const { lexical } = await index.search({ ...everything, tenant: 'acme', terms: [term] })
      expect(lexical.map((hit) => hit.index)).toEqual([i])
    }
  })

  behaviour('a limit or a vector out of bounds is refused', async (index) => {
    const query = { ...everything, tenant: 'acme' }
    await expect(index.search({ ...query, limit: index.limits.maxSearchLimit + 1 })).rejects.toMatchObject({
      code: 'invalid_limit',
    })
    await expect(index.search({ ...query, vector: new Float32Array(3) })).rejects.toMatchObject({
      code: 'dimension_mismatch',
      retryable: false,
    })
    await expect(index.upsert([point({ vector: new Float32Array(3) })])).rejects.toMatchObject({
      code: 'dimension_mismatch',
      retryable: false,
    })
    const tooMany = version({}, index.limits.maxBatchPoints + 1)
    await expect(index.upsert(tooMany)).rejects.toMatchObject({ code: 'batch_too_large' })
    expect(await index.count()).toBe(0)
  })
}

export function scores(behaviour: Behaviour): void {
  behaviour('V4 a dense score is the cosine, best first', async (index) => {
    const random = seeded(5)
    const points = Array.from({ length: 120 }, (_, i) => point({ index: i, vector: randomUnit(random) }))
    await index.upsert(points)
    const query = randomUnit(random)
    const { dense } = await index.search({ tenant: 'acme', groups: null, vector: query, limit: 40 })
    const exact = points.map(({ id, vector }) => ({ id, score: cosine(vector, query) }))
    exact.sort((a, b) => b.score - a.score)
    expect(dense.map(({ id }) => id)).toEqual(exact.slice(0, 40).map(({ id }) => id))
    dense.forEach((hit, rank) => expect(hit.score).toBeCloseTo(exact[rank]!.score, 5))
  })

  behaviour('V4 a lexical score is BM25 of any of the terms, best first', async (index) => {
    const random = seeded(9)
    const points = Array.from({ length: 300 }, (_, i) =>
      point({
        index: i,
        terms: Array.from(
          { length: 3 + Math.floor(random() * 30) },
          () => `w${Math.floor(80 * random() ** 2)}`,
        ),
      }),
    )
    await index.upsert(points.slice(0, 200))
    await index.upsert(version({ documentId: 'gone', terms: ['w1', 'gone'] }, 40))
    await index.upsert(points.slice(200))
    await index.delete({ tenant: 'acme', documentId: 'gone' })
    // Statistics may lag behind writes until the index is compacted.
    await index.compact({ olderThanMs: 0 })
    const terms = ['w1', 'w40', 'w79', 'unknown']
    const { lexical } = await index.search({ tenant: 'acme', groups: null, terms, limit: ALL })
    const exact = exactBm25(points, terms)
    expect(ids(lexical)).toEqual([...exact.keys()].sort())
    lexical.forEach((hit, rank) => {
      expect(hit.score / exact.get(hit.id)!).toBeCloseTo(1, 3)
      expect(hit.score).toBeLessThanOrEqual(lexical[rank - 1]?.score ?? Number.POSITIVE_INFINITY)
    })
  })
}

/** k1 1.2, b 0.75, idf ln(1 + (N - n + .5) / (n + .5)). */
function exactBm25(points: readonly Point[], query: readonly string[]): Map<string, number> {
  const mean = points.reduce((sum, { terms }) => sum + terms.length, 0) / points.length
  const scored = points.map(({ id, terms }): [string, number] => {
    const parts = query.map((term) => {
      const n = points.filter((other) => other.terms.includes(term)).length
      const count = terms.filter((held) => held === term).length
      const idf = Math.log(1 + (points.length - n + 0.5) / (n + 0.5))
      return (idf * count * 2.2) / (count + 1.2 * (0.25 + (0.75 * terms.length) / mean))
    })
    return [id, parts.reduce((sum, part) => sum + part, 0)]
  })
  return new Map(scored.filter(([, score]) => score > 0))
}
