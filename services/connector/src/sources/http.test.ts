import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { topics } from '@aquifer/contracts/topics'
import { parseReceipt } from '@aquifer/contracts/version'
import { createMemoryEventLog } from '@aquifer/event-log/memory'
import type { EventLog } from '@aquifer/event-log/port'
import { systemClock } from '@aquifer/runtime/clock'
import { unavailable } from '@aquifer/runtime/errors'
import { startHttp } from '@aquifer/runtime/http'
import { createLogger } from '@aquifer/runtime/logger'
import { createMetrics } from '@aquifer/runtime/metrics'
import { openDatabase } from '@aquifer/runtime/sqlite'
import { createTracing } from '@aquifer/runtime/tracing'
import type { Blobs } from '@aquifer/stores/blobs'
import { openFileBlobs } from '@aquifer/stores/blobs-file'
import { cacheSchema, createSqliteCache } from '@aquifer/stores/cache-sqlite'
import { createDocumentFiles } from '@aquifer/stores/document-files'
import type { DocumentFiles } from '@aquifer/stores/document-files'
import type { Registry } from '@aquifer/stores/registry'
import { createMemoryRegistry } from '@aquifer/stores/registry-memory'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { documentsCodec, showVersion, TENANT, until } from '../world.fixture.ts'
import type { ShownVersion } from '../world.fixture.ts'
import { documentRoutes } from './http.ts'

const MIB = 1024 * 1024
let dir: string
let url: string
let log: EventLog
let blobs: Blobs
let files: DocumentFiles
let registry: Registry
let failRegistry = false
let beforeText: (() => Promise<void>) | null = null
let close: () => Promise<void>

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'aquifer-door-'))
  failRegistry = false
  beforeText = null
  log = createMemoryEventLog({ clock: systemClock, maintainEveryMs: null })
  await log.ensureTopics(Object.values(topics).map((topic) => Object.assign({ partitions: 2 }, topic)))
  blobs = await openFileBlobs({ path: dir })
  files = createDocumentFiles(blobs)
  registry = createMemoryRegistry()
  const database = openDatabase({ path: ':memory:', schema: cacheSchema, survives: 'kill' })
  const shared = {
    logger: createLogger('silent', 'test'),
    metrics: createMetrics(),
    tracing: createTracing(),
  }
  const routes = documentRoutes({
    ...shared,
    log,
    blobs,
    files: {
      ...files,
      text: async (key) => {
        await beforeText?.()
        return await files.text(key)
      },
    },
    registry: {
      ...registry,
      raiseFloor: async (...of) => {
        if (failRegistry) throw unavailable('registry_down', 'down')
        await registry.raiseFloor(...of)
      },
    },
    cache: createSqliteCache(database, { clock: systemClock }),
    limits: { maxDocumentBytes: 4 * MIB, uriHosts: ['files.example'] },
    clock: systemClock,
    random: Math.random,
    uuid: () => crypto.randomUUID(),
    probe: () => {},
    alsoDelete: () => [],
    status: async () => ({
      lag: { connector: 0, embedder: 0, evaluator: 0 },
      embedder: 'e',
      generator: 'g',
      index: 'i',
    }),
  })
  const http = await startHttp({
    ...shared,
    host: '127.0.0.1',
    port: 0,
    routes: [routes],
    localOnly: false,
    checks: {},
    onScrape: async () => {},
    warnings: [],
    welcome: '',
    authenticate: (head) => ({
      tenant: TENANT,
      groups: head.header('x-groups')?.split(',') ?? null,
      canWrite: head.header('x-reader') === undefined,
    }),
  })
  url = http.url
  close = async () => {
    await http.close(200)
    await log.close()
    await database.close()
    await rm(dir, { recursive: true, force: true })
  }
})
afterEach(async () => await close())

async function published() {
  const all = await Promise.all(
    [topics.documents.name, topics.documentsBulk.name].flatMap((topic) =>
      [0, 1].map((partition) => log.read(topic, partition, 0, 1000)),
    ),
  )
  return all
    .flat()
    .map(({ key, value }) => ({ key: key!.toString(), document: value && documentsCodec.decode(value) }))
}
const uploads = async () => [
  ...(await blobs.list(`uploads/${TENANT}/`)),
  ...(await readdir(join(dir, 'incoming'))),
]
const put = async (
  id: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
) =>
  await fetch(`${url}/v1/documents/${encodeURIComponent(id)}`, {
    method: 'PUT',
    body,
    headers: { 'Content-Type': 'text/plain', ...headers },
  })
const codeOf = async (response: Response) => [
  response.status,
  ((await response.json()) as { code: string }).code,
]

const show = async (...version: ShownVersion) => await showVersion({ files, registry }, ...version)
const versionOf = (receipt: string) => parseReceipt(receipt, TENANT).at as string
async function receiptOf(response: Response): Promise<string> {
  expect(response.status).toBe(202)
  return ((await response.json()) as { receipt: string }).receipt
}

describe('door: bodies', () => {
  test('a long one goes to the blob store as it comes, a short one into the record', async () => {
    await put('short', 'x')
    await put('long', new Uint8Array(MIB).fill(97))
    const [short, long] = ['short', 'long'].map((id) =>
      published().then((all) => all.find(({ key }) => key === `${TENANT}/${id}`)),
    )
    expect((await short)!.document).toMatchObject({ content: Buffer.from('x'), blob: null })
    expect((await long)!.document!.content).toBeNull()
    expect(await blobs.get((await long)!.document!.blob!)).toHaveLength(MIB)
  })

  /** Sends a part of a body, then goes away. */
  async function abandon(method: string, path: string, type: string, part: Buffer): Promise<void> {
    const call = request(`${url}${path}`, {
      method,
      headers: { 'Content-Type': type, 'Content-Length': 3 * MIB },
    })
    call.on('error', () => {})
    call.write(part)
    await until('the blob store takes it', async () => (await readdir(join(dir, 'incoming'))).length > 0)
    call.destroy()
  }
  const form = (boundary: string) =>
    Buffer.concat([
      Buffer.from(
        `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n`,
      ),
      Buffer.alloc(2 * MIB, 'a'),
    ])

  test.each([
    ['raw', 'PUT', '/v1/documents/a', 'text/plain', Buffer.alloc(2 * MIB, 'a')],
    ['as a form', 'POST', '/v1/documents', 'multipart/form-data; boundary=xyz', form('xyz')],
  ])('one that is broken off, %s, leaves no blob and no document', async (_, method, path, type, part) => {
    await abandon(method, path, type, part)
    await until('nothing is left of it', async () => (await uploads()).length === 0)
    expect(await published()).toEqual([])
  })

  test('too much is 413 and leaves nothing', async () => {
    expect(await codeOf(await put('a', new Uint8Array(5 * MIB)))).toEqual([413, 'content_too_large'])
    const large = new FormData()
    large.set('ok', new File(['fine'], 'ok.txt'))
    large.set('file', new File([new Uint8Array(5 * MIB)], 'large.bin'))
    expect((await fetch(`${url}/v1/documents`, { method: 'POST', body: large })).status).toBe(413)
    await until('nothing is left of it', async () => (await uploads()).length === 0)
    expect(await published()).toEqual([])
  })

  test('files of a form have each the id before it; the other fields hold on', async () => {
    const body = new FormData()
    body.append('title', 'Both')
    body.append('id', 'one')
    body.append('file', new File(['1'], '1.txt', { type: 'text/plain' }))
    body.append('id', 'two')
    body.append('file', new File(['2'], '2.txt', { type: 'text/plain' }))
    const response = await fetch(`${url}/v1/documents`, { method: 'POST', body })
    expect(
      ((await response.json()) as { documents: { id: string }[] }).documents.map(({ id }) => id),
    ).toEqual(['one', 'two'])
    expect((await published()).map(({ document }) => document!.title)).toEqual(['Both', 'Both'])
  })

  test.each([
    ['no boundary', 'multipart/form-data', 'x'],
    [
      'no file',
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data; name="id"\r\n\r\na\r\n--x--\r\n',
    ],
    [
      'cut off',
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nabc',
    ],
    [
      'wrong metadata',
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{\r\n--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nabc\r\n--x--\r\n',
    ],
  ])('a form with %s is 400', async (_, type, body) => {
    expect(
      (await fetch(`${url}/v1/documents`, { method: 'POST', body, headers: { 'Content-Type': type } }))
        .status,
    ).toBe(400)
    expect(await uploads()).toEqual([])
  })

  test('bulk: a line that is not UTF-8 or too long stops no other and changes nothing in silence', async () => {
    const lines = [
      Buffer.from('{"id":"a","content":"1"}'),
      Buffer.concat([Buffer.from('{"id":"b","content":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]),
      Buffer.from(`{"id":"c","content":"${'x'.repeat(9 * MIB)}"}`),
      Buffer.from('  \t\r'),
      Buffer.from('{"id":"e","content":"5","metadata":{"__proto__":{"x":1}}}'),
      Buffer.from('{"id":"f","content":"6","metadata":{"constructor":"c"}}'),
    ]
    const body = Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')]))
    const response = await fetch(`${url}/v1/documents/bulk`, {
      method: 'POST',
      body: new Uint8Array(body),
      headers: { 'Content-Type': 'application/x-ndjson' },
    })
    const results = (await response.text())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { line: number; id?: string; error?: { code: string } })
    expect(results.map(({ line, id, error }) => [line, id ?? error?.code])).toEqual([
      [1, 'a'],
      [2, 'invalid_json'],
      [3, 'body_too_large'],
      [5, 'invalid_document'],
      [6, 'f'],
    ])
    const last = (await published()).find(({ key }) => key === `${TENANT}/f`)!.document!
    expect(last.metadata).toEqual({ constructor: 'c' })
  })

  test('one file of a form that is refused stops no other and is named', async () => {
    await put('taken', 'x', { 'Aquifer-Access': 'hr' })
    const body = new FormData()
    for (const id of ['taken', 'free']) {
      body.append('id', id)
      body.append('file', new File([id], `${id}.txt`, { type: 'text/plain' }))
    }
    const response = await fetch(`${url}/v1/documents`, { method: 'POST', body })
    expect([response.status, await response.json()]).toMatchObject([
      202,
      { documents: [{ filename: 'taken.txt', error: { code: 'access_required' } }, { id: 'free' }] },
    ])
  })

  test('who may only read writes nothing', async () => {
    expect(await codeOf(await put('a', 'x', { 'X-Reader': '1' }))).toEqual([403, 'forbidden'])
    const removed = await fetch(`${url}/v1/documents/a`, { method: 'DELETE', headers: { 'X-Reader': '1' } })
    expect(removed.status).toBe(403)
    expect(await published()).toEqual([])
  })
})

describe('door: deletion and access', () => {
  test('a deletion that cannot take effect is 503, recorded all the same; asked again it is done', async () => {
    failRegistry = true
    expect(await codeOf(await fetch(`${url}/v1/documents/a`, { method: 'DELETE' }))).toEqual([
      503,
      'registry_unavailable',
    ])
    expect(await published()).toEqual([{ key: `${TENANT}/a`, document: null }])
    failRegistry = false
    const version = versionOf(await receiptOf(await fetch(`${url}/v1/documents/a`, { method: 'DELETE' })))
    expect((await registry.lookUp(TENANT, ['a'])).get('a')?.floor).toBe(version)
  })

  test('a restricted document is not opened by forgetting', async () => {
    await put('a', 'x', { 'Aquifer-Access': 'hr' })
    expect(await codeOf(await put('a', 'y'))).toEqual([409, 'access_required'])
    expect((await put('a', 'y', { 'Aquifer-Access': '*' })).status).toBe(202)
  })

  test('what another group may read is unknown to who is not in it', async () => {
    await put('a', 'x', { 'Aquifer-Access': 'hr' })
    const get = async (groups: string) =>
      (await fetch(`${url}/v1/documents/a`, { headers: { 'X-Groups': groups } })).status
    expect([await get('hr'), await get('ops')]).toEqual([200, 404])
  })
})

describe('door: reading back', () => {
  const read = async (path: string) => await fetch(`${url}/v1/documents/${path}`)

  test('the visible version, 410 for one before it or deleted, 404 for one that never was', async () => {
    const first = versionOf(await receiptOf(await put('a', 'one')))
    await show('a', first, 'one')
    const second = versionOf(await receiptOf(await put('a', 'two')))
    expect((await read(`a/text?version=${second}`)).status).toBe(404)
    await show('a', second, 'two')
    expect(await (await read('a/text')).text()).toBe('two')
    expect(await (await read(`a/text?version=${second}`)).text()).toBe('two')
    expect(await codeOf(await read(`a/text?version=${first}`))).toEqual([410, 'gone'])
    await fetch(`${url}/v1/documents/a`, { method: 'DELETE' })
    expect(await codeOf(await read('a/text'))).toEqual([410, 'gone'])
    expect(await codeOf(await read('none/text'))).toEqual([404, 'unknown_document'])
  })

  test('a version that takes the place of the one being read is read instead', async () => {
    const first = versionOf(await receiptOf(await put('a', 'one')))
    await show('a', first, 'one')
    const second = versionOf(await receiptOf(await put('a', 'two')))
    const replace = async () => {
      beforeText = null
      await show('a', second, 'two')
      await files.remove(TENANT, 'a', (version) => version < second)
    }
    beforeText = replace
    const response = await read('a/text')
    expect([response.status, response.headers.get('aquifer-version'), await response.text()]).toEqual([
      200,
      second,
      'two',
    ])
  })

  test.each([
    ['text/html', 'x.html', 'text/plain; charset=utf-8', 'attachment'],
    ['image/svg+xml', 'x.svg', 'application/octet-stream', 'attachment'],
    ['application/pdf', 'x.pdf', 'application/pdf', 'inline'],
    [
      'text/plain; charset=utf-8',
      'a"\r\nSet-Cookie: b=\'(1)*\ud800é.txt',
      'text/plain; charset=utf-8',
      'inline',
    ],
    ['text/plain\n; x\u0100', 'x', 'text/plain; charset=utf-8', 'attachment'],
    ['text/plain; é\u2603', null, 'text/plain; charset=utf-8', 'attachment'],
  ])(
    'the original of %j named %j is served so that nothing runs',
    async (type, filename, shown, disposition) => {
      const version = versionOf(await receiptOf(await put('a', 'x')))
      await show('a', version, 'body', type, filename)
      const response = await read('a/source')
      expect([response.status, await response.text()]).toEqual([200, 'body'])
      expect(response.headers.get('content-type')).toBe(shown)
      expect(response.headers.get('content-disposition')).toMatch(
        new RegExp(`^${disposition}; filename\\*=UTF-8''[\\w.%!~-]+$`, 'u'),
      )
      expect(response.headers.get('set-cookie')).toBeNull()
      expect(response.headers.get('content-security-policy')).toContain('sandbox')
      expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    },
  )

  test('state changes are told until they settle', async () => {
    const version = versionOf(await receiptOf(await put('a', 'one')))
    const response = await read('a/events')
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    let events = ''
    const told = async (part: string) => {
      while (!events.includes(part))
        events += (await reader.read()).value ?? expect.fail(`no ${part}: ${events}`)
    }
    await told('"state":"queued"')
    await told('event: progress\ndata: {"stage":"parsing","ahead":0}')
    await show('a', version, 'one')
    await told('"state":"indexed"')
    expect((await reader.read()).done).toBe(true)
  })
})
