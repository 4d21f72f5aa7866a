import { expect } from 'vitest'
import type { Point, VectorIndex } from '@aquifer/stores/vector-index'
import { cosine, ids, point, randomUnit, seeded, unit, version } from './points.ts'
import { ALL, type Behaviour, everything } from './vector-index-kit.ts'

/** All at once, in calls as large as the adapter takes. */
async function upsertAll(index: VectorIndex, points: readonly Point[]): Promise<void> {
  const { maxBatchPoints } = index.limits
  const calls = Math.ceil(points.length / maxBatchPoints)
  await Promise.all(
    Array.from({ length: calls }, (_, i) =>
      index.upsert(points.slice(i * maxBatchPoints, (i + 1) * maxBatchPoints)),
    ),
  )
}

export function writes(behaviour: Behaviour): void {
  behaviour('V1 an upsert that has resolved is found, dense and lexical', async (index) => {
    for (let i = 0; i < 5; i++) {
      const added = point({ documentId: `doc ${i}`, terms: [`term${i}`], vector: unit([1, i]) })
      await index.upsert([added])
      const { dense, lexical } = await index.search({
        ...everything,
        tenant: 'acme',
        terms: [`term${i}`],
        vector: unit([1, i]),
      })
      expect(dense[0]!.id).toBe(added.id)
      expect(ids(lexical)).toEqual([added.id])
    }
  })

  behaviour('V1 a hit carries all of the point but its terms', async (index) => {
    const added = point({
      text: 'All of “it” 😀\n\u0000',
      title: "A title's",
      headings: ['One', 'Two'],
      page: 7,
      start: 3,
      end: 99,
      access: ['a', 'b'],
      wordBits: Uint8Array.from({ length: 5000 }, (_, i) => i % 256),
      metadata: { flag: true, list: ['x', 2, false], number: 1.5, text: 'y' },
    })
    await index.upsert([added])
    const { dense, lexical } = await index.search({ ...everything, tenant: 'acme' })
    const { terms: _, ...rest } = added
    expect(dense).toEqual([{ ...rest, score: expect.closeTo(1, 3) as number }])
    expect(lexical).toEqual([{ ...rest, score: expect.any(Number) as number }])
  })

  behaviour('V2 an id again replaces the point', async (index) => {
    const [first, second] = [point({ text: 'one', terms: ['one'] }), point({ text: 'two', terms: ['two'] })]
    await index.upsert([first])
    await index.upsert([second])
    await index.upsert([first, second])
    expect(await index.count()).toBe(1)
    const { dense, lexical } = await index.search({ ...everything, tenant: 'acme', terms: ['one'] })
    expect(dense.map(({ text }) => text)).toEqual(['two'])
    expect(lexical).toEqual([])
  })

  behaviour('more than 1,000 points at once', async (index) => {
    const random = seeded(3)
    const points = Array.from({ length: 1500 }, (_, i) =>
      point({ index: i, vector: randomUnit(random), terms: ['many', `n${i}`] }),
    )
    await upsertAll(index, points)
    expect(await index.count()).toBe(1500)
    const { dense, lexical } = await index.search({
      tenant: 'acme',
      groups: null,
      vector: points[1234]!.vector,
      terms: ['n1234'],
      limit: 3,
    })
    expect(dense[0]!.id).toBe(points[1234]!.id)
    expect(ids(lexical)).toEqual([points[1234]!.id])
    expect(dense).toHaveLength(3)
  })

  behaviour('V7 concurrent callers: every write takes effect, in the order of its caller', async (index) => {
    await Promise.all(
      Array.from({ length: 24 }, async (_, i) => {
        const documentId = `doc-${i}`
        await index.upsert(version({ documentId, version: 'v1' }, 4))
        await Promise.all([
          index.upsert(version({ documentId, version: 'v2' }, 6)),
          index.search({ ...everything, tenant: 'acme' }),
        ])
        await index.delete({ tenant: 'acme', documentId, version: { lt: 'v2' } })
        expect(await index.count({ tenant: 'acme', documentId })).toBe(6)
      }),
    )
    expect(await index.count()).toBe(24 * 6)
  })

  behaviour('V7 searches go on while the index is compacted', async (index) => {
    await index.upsert(version({}, 50))
    for (let round = 0; round < 3; round++) {
      await index.upsert(version({ documentId: `other ${round}` }, 5))
      await index.delete({ tenant: 'acme', documentId: `other ${round}` })
      const state = { compacting: true }
      const compacted = index.compact({ olderThanMs: 0 }).finally(() => (state.compacting = false))
      do {
        const { dense, lexical } = await index.search({ ...everything, tenant: 'acme' })
        expect([dense.length, lexical.length]).toEqual([50, 50])
      } while (state.compacting)
      await compacted
    }
  })
}

export function selectors(behaviour: Behaviour): void {
  behaviour('V5 delete removes exactly what the selector names, and again nothing', async (index) => {
    const base = { tenant: 'acme', documentId: 'doc' }
    const all = ['v1', 'v2', 'v3'].flatMap((v) => ['b1', 'b2'].map((build) => ({ version: v, build })))
    await index.upsert(all.flatMap((part) => version({ ...base, ...part }, 2)))
    await index.upsert([...version({ documentId: 'doc2' }, 2), ...version({ tenant: 'other' }, 2)])
    const left = async (): Promise<string[]> => [
      ...new Set((await index.fetch(base, ALL)).map((held) => held.version + held.build)),
    ]
    for (const [selector, expected] of [
      [{ version: { eq: 'v1' }, build: { eq: 'b1' } }, ['v1b2', 'v2b1', 'v2b2', 'v3b1', 'v3b2']],
      [{ version: { eq: 'v2' }, build: { ne: 'b2' } }, ['v1b2', 'v2b2', 'v3b1', 'v3b2']],
      [{ version: { lt: 'v2' } }, ['v2b2', 'v3b1', 'v3b2']],
      [{ version: { lte: 'v2' } }, ['v3b1', 'v3b2']],
      [{ version: { lt: 'v3' } }, ['v3b1', 'v3b2']],
      [{ build: { eq: 'b1' } }, ['v3b2']],
      [{}, []],
    ] as const) {
      await index.delete({ ...base, ...selector })
      await index.delete({ ...base, ...selector })
      expect(await left()).toEqual(expected)
      expect(await index.count(base)).toBe(expected.length * 2)
    }
    expect(await index.count()).toBe(4)
    const { dense, lexical } = await index.search({ ...everything, tenant: 'acme' })
    for (const hits of [dense, lexical]) expect(hits.map((hit) => hit.documentId)).toEqual(['doc2', 'doc2'])
  })

  behaviour('fetch gives whole points by version, build and index', async (index) => {
    const random = seeded(11)
    const points = ['v2', 'v1'].flatMap((v) =>
      Array.from({ length: 12 }, (_, i) =>
        point({
          version: v,
          index: i,
          vector: randomUnit(random),
          wordBits: Uint8Array.from({ length: i * 48 }, () => random() * 256),
          terms: i === 0 ? [] : ['a', 'b', 'a'],
        }),
      ),
    )
    await index.upsert(points)
    const fetched = await index.fetch({ tenant: 'acme', documentId: 'doc' }, 15)
    expect(fetched.map((held) => [held.version, held.index])).toEqual([
      ...Array.from({ length: 12 }, (_, i) => ['v1', i]),
      ...Array.from({ length: 3 }, (_, i) => ['v2', i]),
    ])
    for (const held of fetched) {
      const given = points.find(({ id }) => id === held.id)!
      expect(held).toEqual({ ...given, vector: expect.any(Float32Array) as Float32Array })
      expect(cosine(held.vector, given.vector)).toBeCloseTo(1, 5)
    }
    expect(await index.fetch({ tenant: 'other', documentId: 'doc' }, 15)).toEqual([])
  })

  behaviour('scan walks documents by tenant and id, page after page', async (index) => {
    const names = ['a', "b'; --", 'ä', '日本', '😀', 'a b/c', 'Z', '%', '\\']
    for (const tenant of ['t2', 't1']) {
      await index.upsert(names.flatMap((documentId) => version({ tenant, documentId, build: 'b2' }, 2)))
      await index.upsert(names.map((documentId) => point({ tenant, documentId })))
    }
    const seen = []
    let after: { tenant: string; documentId: string } | undefined
    do {
      const page = await index.scan({ ...(after ? { after } : {}), limit: 4 })
      expect(page.length).toBeLessThanOrEqual(4)
      seen.push(...page)
      after = page.at(-1)
    } while (after)
    const sorted = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    expect(seen).toEqual(
      ['t1', 't2'].flatMap((tenant) =>
        sorted.map((documentId) => ({
          tenant,
          documentId,
          builds: [
            { version: 'v1', build: 'b1', points: 1 },
            { version: 'v1', build: 'b2', points: 2 },
          ],
        })),
      ),
    )
  })

  behaviour('ids of any Unicode and hostile ones name only themselves', async (index) => {
    const names = [
      "'",
      "''",
      '"',
      '\\',
      "' OR '1'='1",
      "'; DROP TABLE x; --",
      '😀',
      'e\u0301',
      'é',
      '\u0000',
      '%',
      '_',
      '`',
    ]
    await index.upsert(names.map((documentId) => point({ documentId })))
    for (const documentId of names) {
      expect((await index.fetch({ tenant: 'acme', documentId }, ALL)).map((held) => held.documentId)).toEqual(
        [documentId],
      )
    }
    for (const [i, documentId] of names.entries()) {
      await index.delete({ tenant: 'acme', documentId })
      expect(await index.count()).toBe(names.length - 1 - i)
    }
  })
}
