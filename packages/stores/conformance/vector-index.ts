import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { matchesFilter } from '@aquifer/contracts/filter'
import type { IndexQuery, Point, VectorIndex, VectorIndexAdmin } from '@aquifer/stores/vector-index'
import { anyFilter, anyMetadata } from './filters.ts'
import { killedAfter } from './kill.ts'
import { COLLECTION, cosine, ids, point, randomUnit, seeded, unit, version } from './points.ts'

export interface VectorIndexAdapter {
  /** A place for an index, with nothing in it. */
  fresh(): Promise<string>
  open(location: string): Promise<VectorIndexAdmin>
  /** URL of the module that exports this object as `adapter`, for a process that is killed. */
  readonly module?: string
  /** Where its files lie, if it has some here. */
  directory?(location: string): string
  /** Cases that it cannot pass, and why. */
  readonly skips?: Readonly<Record<string, string>>
}

const ALL = 1000

export function vectorIndexConformance(name: string, adapter: VectorIndexAdapter): void {
  const skips = new Map(Object.entries(adapter.skips ?? {}))

  function behaviour(title: string, run: (index: VectorIndex, context: Context) => Promise<void>): void {
    const reason = skips.get(title)
    skips.delete(title)
    test.skipIf(reason !== undefined)(reason === undefined ? title : `${title} (${reason})`, async () => {
      const location = await adapter.fresh()
      const admin = await adapter.open(location)
      try {
        await run(await admin.open(COLLECTION), { admin, location, adapter })
      } finally {
        await admin.close()
      }
    })
  }

  describe(`vector index: ${name}`, () => {
    writes(behaviour)
    searches(behaviour)
    scores(behaviour)
    selectors(behaviour)
    collections(behaviour)
    survival(behaviour)
    filters(adapter)
    test('every case that is skipped exists', () => expect([...skips.keys()]).toEqual([]))
  })
}

interface Context {
  readonly admin: VectorIndexAdmin
  readonly location: string
  readonly adapter: VectorIndexAdapter
}
type Behaviour = (title: string, run: (index: VectorIndex, context: Context) => Promise<void>) => void

const everything: Omit<IndexQuery, 'tenant'> = {
  groups: null,
  vector: unit([1]),
  terms: ['passag'],
  limit: ALL,
}

async function upsertAll(index: VectorIndex, points: readonly Point[]): Promise<void> {
  const { maxBatchPoints } = index.limits
  for (let i = 0; i < points.length; i += maxBatchPoints) {
    await index.upsert(points.slice(i, i + maxBatchPoints))
  }
}

function writes(behaviour: Behaviour): void {
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

function searches(behaviour: Behaviour): void {
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

function scores(behaviour: Behaviour): void {
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

function selectors(behaviour: Behaviour): void {
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

function collections(behaviour: Behaviour): void {
  behaviour('V6 collections are apart, and an alias moves in one step', async (first, { admin }) => {
    const other = { fingerprint: "another/8 '😀", dimensions: 8 }
    await first.upsert([point()])
    expect(await admin.alias('live')).toBeNull()
    await admin.switchAlias('live', COLLECTION)
    const second = await admin.open(other)
    expect(second.collection).toEqual(other)
    expect(await second.count()).toBe(0)
    expect(await admin.list()).toEqual([COLLECTION, other])
    await second.upsert(version({}, 3))
    expect(await admin.alias('live')).toEqual(COLLECTION)
    await admin.switchAlias('live', other)
    expect(await admin.alias('live')).toEqual(other)
    await expect(admin.drop(other)).rejects.toMatchObject({ code: 'collection_in_use' })
    await admin.drop(COLLECTION)
    await admin.drop(COLLECTION)
    expect(await admin.list()).toEqual([other])
    expect(await (await admin.open(COLLECTION)).count()).toBe(0)
    expect(await second.count()).toBe(3)
    await expect(admin.switchAlias('live', { ...other, fingerprint: 'none' })).rejects.toMatchObject({
      code: 'unknown_collection',
    })
    await expect(admin.open({ ...other, dimensions: 4 })).rejects.toMatchObject({
      code: 'dimension_mismatch',
    })
  })

  behaviour('a closed index refuses, and says that a retry may help', async (index) => {
    await index.ping()
    await index.close()
    await expect(index.upsert([point()])).rejects.toMatchObject({ retryable: true })
    await expect(index.ping()).rejects.toMatchObject({ retryable: true })
  })
}

function survival(behaviour: Behaviour): void {
  behaviour('V1 everything is there after reopening', async (index, { admin, location, adapter }) => {
    await index.upsert(version({}, 5))
    await admin.switchAlias('live', COLLECTION)
    await admin.close()
    const again = await adapter.open(location)
    try {
      expect(await again.alias('live')).toEqual(COLLECTION)
      const { dense, lexical } = await (
        await again.open(COLLECTION)
      ).search({ ...everything, tenant: 'acme' })
      expect([dense.length, lexical.length]).toEqual([5, 5])
    } finally {
      await again.close()
    }
  })

  behaviour(
    'V1 what was acknowledged is there after kill -9, nothing doubled',
    async (first, { admin, location, adapter }) => {
      await first.close()
      await admin.close()
      const acknowledged = new Set<string>()
      for (const after of [3, 40]) {
        const written = await killedAfter(after, 'vector-index-child.ts', [adapter.module!, location])
        for (const documentId of written) acknowledged.add(documentId)
        const again = await adapter.open(location)
        const index = await again.open(COLLECTION)
        const documents = await index.scan({ limit: 100_000 })
        // A call is whole or not there at all; none is doubled.
        for (const { builds } of documents) expect(builds.map(({ points }) => points)).toEqual([5])
        const found = new Set(documents.map(({ documentId }) => documentId))
        expect([...acknowledged].filter((documentId) => !found.has(documentId))).toEqual([])
        const { dense, lexical } = await index.search({ ...everything, tenant: 'acme', terms: ['kill'] })
        const expected = Math.min(ALL, documents.length * 5)
        expect([dense.length, lexical.length]).toEqual([expected, expected])
        expect(new Set(ids(dense)).size).toBe(expected)
        await again.close()
      }
    },
  )

  behaviour(
    'V5 after compaction deleted text is no longer on the disk',
    async (index, { location, adapter }) => {
      const nonce = 'nonce-8c1f2b'
      const secret = { text: `the secret ${nonce}`, terms: [nonce], metadata: { note: nonce }, title: nonce }
      await index.upsert(version({ documentId: 'kept' }, 400))
      await index.upsert([point({ documentId: 'gone', ...secret })])
      // Merged into one file with what is kept, so that a few deleted rows alone do not make it worth rewriting.
      await index.compact({ olderThanMs: 0 })
      expect(await filesWith(nonce, adapter.directory!(location))).not.toEqual([])
      await index.delete({ tenant: 'acme', documentId: 'gone' })
      await index.compact({ olderThanMs: 0 })
      expect(await filesWith(nonce, adapter.directory!(location))).toEqual([])
      expect(await index.count()).toBe(400)
    },
  )
}

/** Files below a directory that hold the text, in any of the ways it may be written there. */
async function filesWith(text: string, directory: string): Promise<string[]> {
  const forms = [Buffer.from(text), Buffer.from(text, 'utf16le')]
  const needles = forms.flatMap((form) => [form, Buffer.from(form.toString('hex'))])
  const found: string[] = []
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const content = await readFile(path)
    if (needles.some((needle) => content.includes(needle))) found.push(path)
  }
  return found
}

function filters(adapter: VectorIndexAdapter): void {
  describe('filters', () => {
    let admin: VectorIndexAdmin
    let index: VectorIndex
    let tenants = 0
    beforeAll(async () => {
      admin = await adapter.open(await adapter.fresh())
      index = await admin.open(COLLECTION)
    })
    afterAll(() => admin.close())

    // Some of the points are in the index's structures, the rest fresh.
    test('V3 a filter of any depth selects what matchesFilter does, dense and lexical', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(anyMetadata, { minLength: 1, maxLength: 24 }),
          fc.array(anyFilter, { minLength: 1, maxLength: 6 }),
          async (metadatas, given) => {
            const tenant = `t${tenants++}`
            const points = metadatas.map((metadata, i) => point({ tenant, index: i, metadata }))
            await index.upsert(points.slice(0, points.length / 2))
            if (tenants % 8 === 0) await index.compact({ olderThanMs: 0 })
            await index.upsert(points.slice(points.length / 2))
            for (const filter of given) {
              const { dense, lexical } = await index.search({ ...everything, tenant, filter })
              const expected = ids(points.filter(({ metadata }) => matchesFilter(filter, metadata)))
              expect(ids(dense)).toEqual(expected)
              expect(ids(lexical)).toEqual(expected)
            }
          },
        ),
        { numRuns: 60 },
      )
    })
  })
}
