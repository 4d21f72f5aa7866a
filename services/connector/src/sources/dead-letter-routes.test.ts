import { createCodec } from '@aquifer/contracts/avro'
import { topics, VERSION_HEADER } from '@aquifer/contracts/topics'
import { formatVersion } from '@aquifer/contracts/version'
import { deadLetter } from '@aquifer/event-log/dead-letter'
import { systemClock } from '@aquifer/runtime/clock'
import { invalid } from '@aquifer/runtime/errors'
import { startHttp } from '@aquifer/runtime/http'
import { createLogger } from '@aquifer/runtime/logger'
import { createMetrics } from '@aquifer/runtime/metrics'
import { openDatabase } from '@aquifer/runtime/sqlite'
import { createTracing } from '@aquifer/runtime/tracing'
import { cacheSchema, createSqliteCache } from '@aquifer/stores/cache-sqlite'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createParsePool } from '../parse-pool.ts'
import type { ParsePool } from '../parse-pool.ts'
import { avroDocument, chunksCodec, createWorld, TENANT } from '../world.fixture.ts'
import type { World } from '../world.fixture.ts'
import { documentRoutes } from './http.ts'

const DOCUMENTS = topics.documents.name
const DLQ = topics.documentsDlq.name
const RETRY = topics.documentsRetry.name

interface Shown {
  id: string
  key: string
  origin: object | null
  cause: string
  attempts: number
}
interface Replayed {
  replayed: number
  skipped: { id: string; code: string }[]
  cursor?: string
}

let strict: ParsePool
let parsePool: ParsePool
let world: World
let url: string
let closeDoor: () => Promise<void>

beforeAll(() => {
  strict = createParsePool({ tokenizerPath: null, limits: { maxBytes: 20 } })
  parsePool = createParsePool({ tokenizerPath: null })
})
afterAll(async () => await Promise.all([strict.close(), parsePool.close()]))
beforeEach(async () => {
  world = await createWorld()
  const shared = { logger: createLogger('silent', 't'), metrics: createMetrics(), tracing: createTracing() }
  const database = openDatabase({ path: ':memory:', schema: cacheSchema, survives: 'kill' })
  const door = documentRoutes({
    ...shared,
    log: world.log,
    registry: world.registry,
    blobs: world.blobs,
    files: world.files,
    cache: createSqliteCache(database, { clock: systemClock }),
    limits: { maxDocumentBytes: 1024 * 1024, uriHosts: [] },
    clock: systemClock,
    random: Math.random,
    uuid: () => crypto.randomUUID(),
    probe: () => {},
    alsoDelete: () => [],
    status: async () => ({
      lag: { connector: 0, embedder: 0, evaluator: 0 },
      embedder: '',
      generator: '',
      index: '',
    }),
  })
  const http = await startHttp({
    ...shared,
    host: '127.0.0.1',
    port: 0,
    routes: [door],
    localOnly: false,
    checks: {},
    onScrape: async () => {},
    warnings: [],
    welcome: '',
    authenticate: (head) => ({
      tenant: head.header('x-tenant') ?? TENANT,
      groups: head.header('x-groups')?.split(',') ?? null,
      canWrite: true,
      operator: head.header('x-operator') !== undefined,
    }),
  })
  url = http.url
  closeDoor = async () => {
    await http.close(200)
    await database.close()
  }
})
afterEach(async () => {
  await closeDoor()
  await world.close()
})

// What a body is, each test knows.
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters
async function call<T = { code: string }>(
  method: string,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: T }> {
  const response = await fetch(`${url}/v1/dead-letters${path}`, {
    method,
    headers: { 'Content-Type': 'application/json', ...headers },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  return { status: response.status, body: (await response.json()) as T }
}
const list = async (query = '', headers = {}) =>
  (await call<{ deadLetters: Shown[] }>('GET', query, undefined, headers)).body.deadLetters
const replay = async (body: object) => (await call<Replayed>('POST', '/replay', body)).body
const all = { selection: {} }

const text = (content: string) => ({ content, contentType: 'text/plain' })
const versionOf = (position: { partition: number; offset: number; appendTimeMs: number }) =>
  formatVersion({ ...position, topic: DOCUMENTS })

/** Dead-letters what is appended to a source as a consumer would. */
async function kill(topic: string, dlq: string, key: string | Buffer, value: Buffer | null, code = 'broken') {
  const [place] = await world.log.append(topic, [{ key, value, headers: { traceparent: 'kept' } }])
  const [record] = await world.log.read(topic, place!.partition, place!.offset, 1)
  await deadLetter(world.log, dlq, record!, invalid(code, `it is ${code}`))
  return place!
}
const killDocument = async (id: string, value: Buffer | null, code?: string, tenant = TENANT) =>
  await kill(DOCUMENTS, DLQ, `${tenant}/${id}`, value, code)

describe('dead letters: the list', () => {
  test('newest first, by topic, cause, key and time, page by page', async () => {
    const from = new Date().toISOString()
    await killDocument('a', Buffer.from('{'), 'invalid_json')
    await killDocument('b', Buffer.from('x'), 'timeout')
    const poison = Buffer.from([0, 9])
    await kill(topics.chunks.name, topics.chunksDlq.name, `${TENANT}/a`, poison, 'unknown_schema')
    const found = await list()
    expect(found.map(({ cause }) => cause).sort()).toEqual(['invalid_json', 'timeout', 'unknown_schema'])
    expect(found.find(({ cause }) => cause === 'invalid_json')).toMatchObject({
      key: `${TENANT}/a`,
      origin: { topic: DOCUMENTS },
      message: 'it is invalid_json',
      attempts: 1,
      sizeBytes: 1,
    })
    expect(await list('?topic=chunks')).toHaveLength(1)
    expect(await list(`?topic=${DLQ}&cause=timeout`)).toHaveLength(1)
    expect(await list('?key=a')).toHaveLength(2)
    expect(await list(`?key=${TENANT}%2Fa&topic=documents.dlq`)).toHaveLength(1)
    expect(await list(`?from=${from}`)).toHaveLength(3)
    expect(await list(`?to=${from}`)).toEqual([])
    const page = (await call<{ deadLetters: Shown[]; cursor: string }>('GET', '?limit=2')).body
    const rest = (await call<{ deadLetters: Shown[]; cursor?: string }>('GET', `?cursor=${page.cursor}`)).body
    expect([...page.deadLetters, ...rest.deadLetters].map(({ id }) => id)).toEqual(found.map(({ id }) => id))
    expect(rest.cursor).toBeUndefined()
    for (const wrong of ['?topic=nonsense', '?from=yesterday', '?limit=0', '?cursor=nonsense'])
      expect((await call('GET', wrong)).status).toBe(400)
  })

  test('admins alone, each of their own tenant; what names no tenant is the operators’', async () => {
    await killDocument('mine', Buffer.from('{'))
    await killDocument('theirs', Buffer.from('{'), 'broken', 'other')
    await kill(DOCUMENTS, DLQ, 'no-slash', Buffer.from('{'), 'invalid_key')
    expect((await list()).map(({ key }) => key)).toEqual([`${TENANT}/mine`])
    const [theirs] = await list('', { 'x-tenant': 'other' })
    expect(theirs!.key).toBe('other/theirs')
    const nobodys = (await list('', { 'x-operator': 'yes' })).find(({ key }) => key === 'no-slash')!
    for (const { id } of [theirs!, nobodys]) {
      expect(await call('GET', `/${id}`)).toMatchObject({
        status: 404,
        body: { code: 'unknown_dead_letter' },
      })
      expect((await replay({ ids: [id] })).skipped).toMatchObject([{ id, code: 'unknown_dead_letter' }])
    }
    const [mine] = await list()
    for (const [method, path, body] of [
      ['GET', ''],
      ['GET', `/${mine!.id}`],
      ['POST', '/replay', all],
    ] as const)
      expect((await call(method, path, body, { 'x-groups': 'staff' })).status).toBe(403)
    expect(await world.read(RETRY)).toEqual([])
  })
})

describe('dead letters: one of them', () => {
  const shownOf = async (value: Buffer | null) => {
    await killDocument('a', value)
    const [{ id } = { id: '' }] = await list('?key=a')
    return (await call<{ value: object; headers: object; refusal: object | null }>('GET', `/${id}`)).body
  }

  test.each([
    ['JSON', Buffer.from('{"content":1}'), { encoding: 'json', value: { content: 1 } }],
    ['text', Buffer.from('{"content":'), { encoding: 'text', value: '{"content":' }],
    ['bytes', Buffer.from([0xff, 0, 1]), { encoding: 'hex', value: 'ff0001', truncated: false }],
    ['long bytes', Buffer.alloc(1000, 0xfe), { encoding: 'hex', sizeBytes: 1000, truncated: true }],
    ['broken Avro', Buffer.from([0, 1, 2, 3, 4, 5]), { encoding: 'hex', value: '000102030405' }],
    ['a tombstone', null, { encoding: 'none', value: null }],
    [
      'Avro',
      avroDocument('a', 'the text', { title: 'T' }),
      { encoding: 'avro', value: { title: 'T', content: { encoding: 'text', value: 'the text' } } },
    ],
  ])('shows %s', async (_, value, shown) => {
    const whole = await shownOf(value)
    expect(whole.value).toMatchObject(shown)
    expect(whole.headers).toMatchObject({ traceparent: 'kept' })
    expect(whole.refusal).toBeNull()
  })

  test('one that is not there is 404', async () => {
    for (const id of [`${DLQ}/0/7`, `${DLQ}/99/0`, `${DOCUMENTS}/0/0`, 'nonsense/0/0'])
      expect((await call('GET', `/${id}`)).status).toBe(404)
  })
})

describe('dead letters: replay', () => {
  test('what failed by a limit goes on at its own version once the limit is higher, and shows as queued', async () => {
    let raised = false
    const pool: ParsePool = {
      ...strict,
      parse: async (...of) => await (raised ? parsePool : strict).parse(...of),
    }
    await world.start({ parsePool: pool })
    const version = versionOf(await world.send(DOCUMENTS, 'a', text('longer than twenty bytes')))
    await world.settled()
    expect((await world.record('a'))?.latest).toMatchObject({ state: 'failed', error: { code: 'too_large' } })
    const sources = await world.read(DOCUMENTS)

    expect(await replay({ ...all, dryRun: true })).toEqual({ replayed: 1, skipped: [] })
    expect(await world.read(RETRY)).toEqual([])
    expect(await replay(all)).toEqual({ replayed: 1, skipped: [] })
    expect((await world.record('a'))?.latest).toMatchObject({ version, state: 'queued' })
    await world.settled()
    // The limit was still the same: the first place is kept, and each attempt counted.
    const [again, first] = await list()
    expect(again).toMatchObject({ origin: first!.origin, attempts: 2, cause: 'too_large' })
    expect((await world.record('a'))?.latest).toMatchObject({ version, state: 'failed' })

    raised = true
    // Both dead letters are of one version, which is replayed once.
    expect(await replay(all)).toEqual({ replayed: 2, skipped: [] })
    await world.settled()
    expect((await world.chunksOf('a', topics.chunksBulk.name)).map((made) => made?.version)).toEqual([
      version,
    ])
    expect((await world.record('a'))?.latest).toMatchObject({ version, state: 'queued' })
    expect(await world.read(DOCUMENTS)).toEqual(sources)
  })

  test('replayed twice, it makes the same chunks; the source is not written', async () => {
    const place = await killDocument('a', Buffer.from(JSON.stringify(text('The heron waits.'))))
    const sources = await world.read(DOCUMENTS)
    await replay(all)
    const [{ id } = { id: '' }] = await list()
    expect(await replay({ ids: [id, id] })).toEqual({ replayed: 1, skipped: [] })
    const [record] = await world.read(RETRY)
    expect(record!.headers).toMatchObject({ [VERSION_HEADER]: versionOf(place), traceparent: 'kept' })
    expect(Object.keys(record!.headers).filter((name) => name.includes('exception'))).toEqual([])
    expect(await world.read(DOCUMENTS)).toEqual(sources)
    await world.start({ parsePool })
    await world.settled()
    const made = await world.chunksOf('a', topics.chunksBulk.name)
    expect(made.map((chunks) => chunks?.version)).toEqual([versionOf(place), versionOf(place)])
  })

  test('a part of chunks is replayed as its document, once however many parts failed', async () => {
    const value = Buffer.from(JSON.stringify(text('The heron waits.')))
    const version = versionOf(await world.send(DOCUMENTS, 'a', value))
    const part = (n: number, of = version) =>
      chunksCodec.encode({
        version: of,
        build: 'older',
        part: n,
        parts: 2,
        totalChunks: 2,
        title: null,
        contentType: 'text/plain',
        metadata: {},
        access: null,
        guard: [],
        language: null,
        fingerprint: null,
        publishedAt: 1,
        chunks: [],
      })
    const key = `${TENANT}/a`
    for (const n of [0, 1]) await kill(topics.chunks.name, topics.chunksDlq.name, key, part(n), 'refused')
    expect(await replay({ selection: { topic: 'chunks' } })).toEqual({ replayed: 2, skipped: [] })
    const [record, ...more] = await world.read(RETRY)
    expect([record!.value, record!.headers[VERSION_HEADER], more]).toEqual([value, version, []])

    // A part that names another document's record brings nothing of it.
    const foreign = versionOf(await world.send(DOCUMENTS, 'b', value))
    await kill(topics.chunks.name, topics.chunksDlq.name, key, part(0, foreign), 'forged')
    expect((await replay({ selection: { cause: 'forged' } })).skipped).toMatchObject([{ code: 'superseded' }])
    // One that does not read goes back as it is.
    const poison = Buffer.from([0, 1, 2, 3, 4, 5])
    await kill(topics.chunksBulk.name, topics.chunksDlq.name, key, poison, 'unknown_schema')
    await replay({ selection: { cause: 'unknown_schema' } })
    expect((await world.read(topics.chunksRetry.name)).map(({ value: held }) => held)).toEqual([poison])
  })

  test('a sampled answer goes to its own retry topic', async () => {
    const value = Buffer.from([0, 1, 2])
    await kill(topics.answersSampled.name, topics.answersSampledDlq.name, `${TENANT}/talk`, value)
    await replay(all)
    expect((await world.read(topics.answersSampledRetry.name)).map((record) => record.value)).toEqual([value])
  })

  test('what nothing would come of is refused, with the reason', async () => {
    const value = Buffer.from(JSON.stringify(text('x')))
    const later = (offset: number) =>
      formatVersion({ appendTimeMs: Date.now() + 60_000, topic: DOCUMENTS, partition: 0, offset })
    const visible = {
      build: 'b',
      chunks: 1,
      title: null,
      contentType: null,
      access: null,
      metadata: {},
      guard: [],
      language: null,
      fingerprint: null,
      publishedAt: 0,
      indexedAt: 0,
    }
    await killDocument('superseded', value)
    await world.registry.flip(TENANT, 'superseded', { ...visible, version: later(1) })
    const indexed = versionOf(await killDocument('already_indexed', value))
    await world.registry.flip(TENANT, 'already_indexed', { ...visible, version: indexed })
    await killDocument('deleted', value)
    await world.registry.raiseFloor(TENANT, 'deleted', later(2))
    const blob = { content: null, blob: `uploads/${TENANT}/gone` }
    await killDocument('content_gone', avroDocument('content_gone', '', blob))
    const key = `${TENANT}/no_origin`
    await world.log.append(DLQ, [{ key, value, headers: { '__connect.errors.topic': DOCUMENTS } }])
    const names = ['already_indexed', 'content_gone', 'deleted', 'no_origin', 'superseded']

    for (const dryRun of [true, false]) {
      const { replayed, skipped } = await replay({ ...all, dryRun })
      expect([replayed, skipped.map(({ code }) => code).sort()]).toEqual([0, names])
    }
    for (const { id, key: named } of await list())
      expect((await call<{ refusal: { code: string } }>('GET', `/${id}`)).body.refusal.code).toBe(
        named.split('/')[1],
      )
    expect(await world.read(RETRY)).toEqual([])

    await world.blobs.put(blob.blob, Buffer.from('back'))
    expect(await replay({ selection: { key: 'content_gone' } })).toMatchObject({ replayed: 1 })
    await kill(DOCUMENTS, DLQ, 'no-slash', value)
    const operator = { 'x-operator': 'yes' }
    const nobodys = await call<Replayed>('POST', '/replay', { selection: { key: 'no-slash' } }, operator)
    expect(nobodys.body.skipped).toMatchObject([{ code: 'no_document' }])
  })

  test('a selection is replayed page by page; a request says ids or a selection', async () => {
    for (let n = 0; n < 5; n++) await killDocument(`d${n}`, Buffer.from(JSON.stringify(text(`n ${n}`))))
    let cursor: string | undefined
    let replayed = 0
    do {
      const page: Replayed = await replay({ ...all, limit: 2, ...(cursor ? { cursor } : {}) })
      replayed += page.replayed
      cursor = page.cursor
    } while (cursor)
    expect([replayed, (await world.read(RETRY)).length]).toEqual([5, 5])
    for (const wrong of [{}, { ids: ['x'], ...all }, { ids: [] }, { selection: { other: 1 } }])
      expect((await call('POST', '/replay', wrong)).status).toBe(400)
  })

  test('what was refused for its access list is refused again, and opens nothing', async () => {
    await world.start({ parsePool })
    await world.send(DOCUMENTS, 'a', { ...text('for hr'), access: ['hr'] })
    await world.send(DOCUMENTS, 'a', text('forgotten'))
    await world.settled()
    await replay(all)
    await world.settled()
    expect((await world.record('a'))?.latest).toMatchObject({
      state: 'failed',
      error: { code: 'access_required' },
      access: ['hr'],
    })
    expect(await world.chunksOf('a', topics.chunksBulk.name)).toEqual([])
    const told = (await world.read(topics.indexed.name)).at(-1)!
    expect(createCodec('indexed').decode(told.value!).errorCode).toBe('access_required')
  })
})
