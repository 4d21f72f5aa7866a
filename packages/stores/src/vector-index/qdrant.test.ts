import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startQdrant } from '@aquifer/infra/qdrant'
import type { Part } from '@aquifer/infra/part'
import { startTestPart } from '@aquifer/infra/test-part'
import type { Point, VectorIndex, VectorIndexAdmin } from './port.ts'
import { dropCollections, type Fate, startProxy } from './qdrant.fixture.ts'
import { bytewise } from './qdrant-scan.ts'
import { openQdrant } from './qdrant.ts'

const DIMENSIONS = 4
const ALL = { tenant: 'acme', documentId: 'doc' }

function point(index: number, given: Partial<Point> = {}): Point {
  const vector = Float32Array.from({ length: DIMENSIONS }, (_, i) => (i === index % DIMENSIONS ? 1 : 0))
  return {
    id: randomUUID(),
    tenant: 'acme',
    documentId: 'doc',
    version: 'v1',
    build: 'b1',
    index,
    text: `passage ${index}`,
    title: null,
    headings: [],
    page: null,
    start: 0,
    end: 9,
    access: null,
    metadata: {},
    terms: ['passag'],
    vector,
    wordBits: new Uint8Array(),
    ...given,
  }
}

test('qdrant: texts compare as their UTF-8 does', () => {
  const text = fc.string({
    unit: fc.constantFrom('a', 'b', '\u0000', 'é', '\ud7ff', '\ue000', '\uffff', '😀', '💧'),
  })
  fc.assert(
    fc.property(text, text, (a, b) => {
      const order = Buffer.compare(Buffer.from(a), Buffer.from(b))
      expect(Math.sign(bytewise(a, b))).toBe(order)
    }),
  )
})

const started = await startTestPart('qdrant', startQdrant)
if ('missing' in started) test.skip(`qdrant: behaviour on a server (${started.missing})`, () => {})
else {
  afterAll(started.stop)
  describe(`qdrant, on ${started.part.label}`, () => behaviours(started.part))
}

function behaviours(part: Part): void {
  let proxy: Awaited<ReturnType<typeof startProxy>>
  let admin: VectorIndexAdmin
  let index: VectorIndex
  let url: string
  let namespace: string
  beforeEach(async () => {
    proxy = await startProxy(part.url)
    namespace = `test.${randomUUID().replaceAll('-', '')}`
    url = `${proxy.url}?namespace=${namespace}&timeoutMs=5000`
    admin = await openQdrant({ url })
    index = await admin.open({ fingerprint: 'f', dimensions: DIMENSIONS })
    proxy.seen.length = 0
  })
  afterEach(async () => {
    await admin.close()
    await proxy.stop()
    await dropCollections(part.url, namespace)
  })

  const upserts = () => proxy.seen.filter(({ method, path }) => method === 'PUT' && path.endsWith('/points'))
  const paths = (end: string) => proxy.seen.filter(({ path }) => path.endsWith(end)).length

  test('qdrant: a large upsert goes in requests of few points and few bytes, far from the limit of 32 MiB', async () => {
    const wordBits = new Uint8Array(200_000).fill(7)
    const text = '\u0000"é😀'.repeat(20_000)
    const terms = Array.from({ length: 5000 }, (_, i) => `term${i}`)
    const points = Array.from({ length: 70 }, (_, i) => point(i, { wordBits, text, terms }))
    await index.upsert(points.slice(0, 12))
    const sizes = upserts().map(({ sizeBytes }) => sizeBytes)
    expect(sizes.length).toBeGreaterThan(1)
    expect(Math.max(...sizes)).toBeLessThan(4 * 1024 * 1024)
    proxy.seen.length = 0
    await index.upsert(points.map((each) => ({ ...each, text: '', terms: [], wordBits: new Uint8Array() })))
    expect(upserts()).toHaveLength(2)
    expect(await index.count()).toBe(70)
  })

  test('qdrant: an upsert that failed half-way is made whole by the same call again', async () => {
    const points = Array.from({ length: 200 }, (_, i) => point(i))
    proxy.fate = (seen) => (seen.path.endsWith('/points') && upserts().length === 3 ? 503 : 'pass')
    await expect(index.upsert(points)).rejects.toMatchObject({ code: 'index_unavailable', retryable: true })
    expect(await index.count()).toBe(128)
    proxy.fate = () => 'pass'
    await index.upsert(points)
    expect(await index.count()).toBe(200)
  })

  test.each<[Fate, object]>([
    [500, { code: 'index_unavailable', retryable: true }],
    [502, { code: 'index_unavailable', retryable: true }],
    [429, { code: 'index_unavailable', retryable: true }],
    [401, { code: 'index_unavailable', retryable: true }],
    [404, { code: 'index_unavailable', retryable: true }],
    ['cut', { code: 'index_unavailable', retryable: true }],
    [400, { code: 'index_refused', retryable: false }],
    [413, { code: 'index_refused', retryable: false }],
  ])(
    'qdrant: %s makes every call fail with the code that says whether a retry helps',
    async (fate, expected) => {
      await index.upsert([point(0)])
      proxy.fate = () => fate
      for (const call of [
        () => index.upsert([point(1)]),
        () => index.search({ tenant: 'acme', groups: null, terms: ['passag'], limit: 3 }),
        () => index.fetch(ALL, 3),
        () => index.count(ALL),
        () => index.delete({ ...ALL, version: { lt: 'v9' } }),
        () => index.scan({ limit: 3 }),
        () => index.compact({ olderThanMs: 0 }),
        () => index.ping(),
        () => admin.list(),
        () => admin.alias('live'),
      ])
        await expect(call()).rejects.toMatchObject(expected)
      await expect(index.upsert([point(1)])).rejects.toThrow(/^Qdrant: upsert of 1 points to test\./)
      proxy.fate = () => 'pass'
      expect(await index.count()).toBe(1)
    },
  )

  test('qdrant: a server that does not answer is given up after the timeout', async () => {
    await admin.close()
    admin = await openQdrant({ url: url.replace('timeoutMs=5000', 'timeoutMs=200') })
    index = await admin.open({ fingerprint: 'f', dimensions: DIMENSIONS })
    proxy.fate = () => 'hang'
    await expect(index.upsert([point(0)])).rejects.toMatchObject({
      code: 'index_unavailable',
      retryable: true,
    })
    proxy.fate = () => 'pass'
    await index.upsert([point(0)])
  })

  test('qdrant: a connection that the server closed while it was idle is no failure', async () => {
    await index.upsert([point(0)])
    proxy.seen.length = 0
    proxy.fate = () => (proxy.seen.length === 1 ? 'cut' : 'pass')
    await index.upsert([point(1)])
    expect(upserts()).toHaveLength(2)
    expect(await index.count()).toBe(2)
  })

  test('qdrant: a server that is not there is told at once', async () => {
    await proxy.stop()
    await expect(openQdrant({ url })).rejects.toMatchObject({
      code: 'index_unavailable',
      retryable: true,
      message: expect.stringContaining('ECONNREFUSED') as string,
    })
  })

  test('qdrant: an open that was cut off leaves a collection that the next one completes', async () => {
    const spec = { fingerprint: 'cut', dimensions: DIMENSIONS }
    const indexed = () => paths('/index')
    proxy.fate = ({ path }) => (path.endsWith('/index') && indexed() >= 4 ? 'cut' : 'pass')
    await expect(admin.open(spec)).rejects.toMatchObject({ retryable: true })
    proxy.fate = () => 'pass'
    const [one, two] = await Promise.all([
      admin.open(spec),
      openQdrant({ url }).then((other) => other.open(spec)),
    ])
    expect(indexed()).toBeGreaterThanOrEqual(8)
    await one.upsert([point(0)])
    expect(await two.scan({ limit: 5 })).toHaveLength(1)
  })

  test.each(['quantization=int8&onDisk=true&shards=2', 'quantization=binary'])(
    'qdrant: a collection with %s finds what was just written',
    async (options) => {
      const tuned = await openQdrant({ url: `${url}&${options}` })
      const other = await tuned.open({ fingerprint: options, dimensions: DIMENSIONS })
      await other.upsert(Array.from({ length: 40 }, (_, i) => point(i)))
      const { dense, lexical } = await other.search({
        tenant: 'acme',
        groups: [],
        limit: 10,
        vector: point(1).vector,
        terms: ['passag'],
      })
      expect(lexical).toHaveLength(10)
      expect(dense.map((hit) => hit.index % DIMENSIONS)).toEqual(Array(10).fill(1))
      for (const { score } of dense) expect(score).toBeCloseTo(1, 4)
      await tuned.close()
    },
  )

  test('qdrant: weights are made anew for the measured average, however often that is cut off', async () => {
    const points = Array.from({ length: 600 }, (_, i) =>
      point(i, { terms: ['rare', ...Array<string>(i % 7).fill('x')] }),
    )
    await index.upsert(points.slice(0, 300))
    await index.upsert(points.slice(300))
    const before = await index.search({ tenant: 'acme', groups: null, terms: ['x'], limit: 10 })
    proxy.fate = ({ path }) =>
      path.endsWith('/points/batch') && paths('/points/batch') >= 4 ? 'cut' : 'pass'
    await expect(index.compact({ olderThanMs: 0 })).rejects.toMatchObject({ retryable: true })
    proxy.fate = () => 'pass'
    await index.compact({ olderThanMs: 0 })
    const after = await index.search({ tenant: 'acme', groups: null, terms: ['x'], limit: 10 })
    // 3.987 terms on average: length counts for more than it did.
    const held = points.find(({ id }) => id === after.lexical[0]!.id)
    const [tf, length] = [held!.terms.length - 1, held!.terms.length]
    const mean = points.reduce((sum, { terms }) => sum + terms.length, 0) / points.length
    const n = points.filter(({ terms }) => terms.includes('x')).length
    const idf = Math.log(1 + (600 - n + 0.5) / (n + 0.5))
    const expected = (idf * tf * 2.2) / (tf + 1.2 * (0.25 + (0.75 * length) / mean))
    expect(after.lexical[0]!.score).toBeCloseTo(expected, 4)
    expect(before.lexical[0]!.score).toBeGreaterThan(expected)
    proxy.seen.length = 0
    await index.compact({ olderThanMs: 0 })
    expect(paths('/points/batch')).toBe(0)
  })

  test('qdrant: the pages of a walk share one pass over the index', async () => {
    await index.upsert(
      Array.from({ length: 60 }, (_, i) => point(0, { documentId: `d${i % 30}`, version: `v${i % 2}` })),
    )
    proxy.seen.length = 0
    const seen: string[] = []
    let after: { tenant: string; documentId: string } | undefined
    do {
      const page = await index.scan({ ...(after && { after }), limit: 7 })
      seen.push(...page.map(({ documentId }) => documentId))
      after = page.length < 7 ? undefined : page.at(-1)
    } while (after)
    expect(seen).toEqual([...new Set(seen)].sort())
    expect(seen).toHaveLength(30)
    expect(paths('/facet')).toBe(1)
  })

  test('qdrant: what no UTF-8 can say is kept, and a range of a very long text is refused', async () => {
    const metadata = { 'a.b[0]["c"]': 'x\ud800', '': 9_007_199_254_740_991, 'a.b': 2 ** 70 }
    const added = point(0, { metadata, text: 'lone \udc00', access: ['g\ud800'] })
    await index.upsert([added])
    const query = { tenant: 'acme', groups: ['g\ud800'], terms: ['passag'], limit: 3 }
    const filter = { field: 'a.b[0]["c"]', op: 'eq', value: 'x\ud800' } as const
    const { lexical } = await index.search({ ...query, filter })
    expect(lexical[0]).toMatchObject({ metadata, text: 'lone \udc00', access: ['g\ud800'] })
    const { lexical: none } = await index.search({ ...query, filter: { ...filter, value: 'x\ufffd' } })
    expect(none).toEqual([])
    const range = { field: 'a', op: 'gt', value: 'x'.repeat(192) } as const
    await expect(index.search({ ...query, filter: range })).rejects.toMatchObject({ code: 'invalid_filter' })
  })

  test('qdrant: vectors come back to the bit, so that they can be used again', async () => {
    const vector = Float32Array.from([0.1, -0.7, 1e-20, 0.3])
    await index.upsert([point(0, { vector })])
    const [held] = await index.fetch(ALL, 1)
    expect(held!.vector).toEqual(vector)
  })

  const own = part.process !== null
  test.skipIf(!own)(
    `qdrant: what was answered outlives a kill of the server${own ? '' : ' (QDRANT_URL is not ours to kill)'}`,
    async () => {
      await index.upsert(Array.from({ length: 100 }, (_, i) => point(i)))
      await index.delete({ ...ALL, build: { ne: 'b1' } })
      await admin.switchAlias('live', index.collection)
      await part.kill()
      await expect(index.count()).rejects.toMatchObject({ code: 'index_unavailable', retryable: true })
      await part.restart()
      expect(await index.count()).toBe(100)
      expect(await admin.alias('live')).toEqual(index.collection)
      const { dense, lexical } = await index.search({
        tenant: 'acme',
        groups: null,
        limit: 200,
        vector: point(0).vector,
        terms: ['passag'],
      })
      expect([dense.length, lexical.length]).toEqual([100, 100])
    },
  )
}
