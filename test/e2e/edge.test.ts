import { createHash } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  eventually,
  newDataDir,
  publish,
  removeDataDir,
  request,
  search,
  startServer,
} from './harness/server.ts'
import type { Server } from './harness/server.ts'

const ENV = {
  AQUIFER_EMBEDDER: 'lexical:',
  AQUIFER_MAX_DOCUMENT_BYTES: String(2 * 1024 * 1024),
  AQUIFER_PARSE_TIMEOUT_MS: '5000',
}

interface ShownDocument {
  state: string
  visibleVersion: string | null
  latest: { version: string; error?: { code: string; message: string } }
  chunks: number
}

async function settled(
  server: Server,
  id: string,
  headers: Record<string, string> = {},
): Promise<ShownDocument> {
  return await eventually(`${id} settles`, async () => {
    const { status, body } = await request<ShownDocument>(
      server,
      'GET',
      `/v1/documents/${encodeURIComponent(id)}`,
      { headers },
    )
    return status === 200 && body.state !== 'queued' && body
  })
}

/** fetch may not set Host or Origin; a plain request may. */
async function rawStatus(server: Server, headers: Record<string, string>): Promise<number> {
  return await new Promise((resolve, reject) => {
    const call = httpRequest(`${server.url}/v1/status`, { headers }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    call.on('error', reject)
    call.end()
  })
}

describe('without keys, on this machine alone', () => {
  let server: Server
  let dataDir: string
  beforeAll(async () => {
    dataDir = await newDataDir()
    server = await startServer(dataDir, ENV)
  })
  afterAll(async () => {
    await server.kill('SIGTERM')
    await removeDataDir(dataDir)
  })

  test('a publication is found with its receipt, exactly as its text says', async () => {
    const receipt = await publish(
      server,
      'notes',
      '# Notes\n\nDer Fluß 😀 rises in spring.\n\nIt falls in autumn.\n',
    )
    const { hits, fresh } = await search(server, 'river rises in spring', { after: receipt })
    expect(fresh).toBe(true)
    const { body: text } = await request<string>(server, 'GET', '/v1/documents/notes/text')
    for (const hit of hits) expect(Array.from(text).slice(hit.start, hit.end).join('')).toBe(hit.text)
    expect(hits[0]?.documentId).toBe('notes')
  })

  test('ids with slashes, blanks, dots and emoji come back as they are', async () => {
    for (const id of ['a/b/c', 'with blank', 'émoji 😀', '%2F', 'q?x=1#y', 'x'.repeat(512)]) {
      const receipt = await publish(
        server,
        id,
        `unusual identifier ${createHash('md5').update(id).digest('hex')}`,
      )
      const { hits } = await search(server, createHash('md5').update(id).digest('hex'), {
        after: receipt,
        mode: 'lexical',
      })
      expect(hits.map(({ documentId }) => documentId)).toEqual([id])
    }
    expect(
      (await request(server, 'PUT', `/v1/documents/${'x'.repeat(513)}`, { raw: 'x' })).body,
    ).toMatchObject({ code: 'invalid_id' })
  })

  test('a deletion binds the next query; the document is gone, an unknown one too', async () => {
    const receipt = await publish(server, 'short-lived', 'ephemeralword lives here')
    expect((await search(server, 'ephemeralword', { after: receipt, mode: 'lexical' })).hits).toHaveLength(1)
    const { status, body } = await request(server, 'DELETE', '/v1/documents/short-lived')
    expect([status, body['state']]).toEqual([202, 'deleted'])
    expect((await search(server, 'ephemeralword', { mode: 'lexical' })).hits).toEqual([])
    expect((await request(server, 'GET', '/v1/documents/short-lived/text')).status).toBe(410)
    expect((await request(server, 'DELETE', '/v1/documents/never-seen')).status).toBe(202)
  })

  test('what cannot be read fails with its cause, and the stream goes on', async () => {
    const cases: [string, string, string | Uint8Array<ArrayBuffer>, string][] = [
      ['empty', 'text/plain', '', 'empty'],
      ['blank', 'text/markdown', ' \n\t\n ', 'no_text'],
      ['broken-pdf', 'application/pdf', '%PDF-1.7\nnot really', 'broken'],
      ['unknown', 'application/x-nonsense', new Uint8Array([0, 1, 2, 3, 0, 255, 254]), 'unsupported_type'],
      ['mistyped', 'application/pdf', 'just text', 'mistyped'],
    ]
    for (const [id, type, raw] of cases) {
      const { status } = await request(server, 'PUT', `/v1/documents/${id}`, {
        raw,
        headers: { 'Content-Type': type },
      })
      expect(status).toBe(202)
    }
    for (const [id, , , code] of cases) {
      const document = await settled(server, id)
      expect([id, document.state, document.latest.error?.code]).toEqual([id, 'failed', code])
    }
    const receipt = await publish(server, 'after-the-bad', 'the stream goes on')
    expect((await search(server, 'stream goes on', { after: receipt })).fresh).toBe(true)
  })

  test('a failed publication ends the wait at once, and the earlier version stays', async () => {
    await publish(server, 'kept', 'the good version speaks of marmots')
    await settled(server, 'kept')
    const { body } = await request<{ receipt: string }>(server, 'PUT', '/v1/documents/kept', {
      raw: '%PDF-1.4 broken',
      headers: { 'Content-Type': 'application/pdf' },
    })
    const started = performance.now()
    const result = await search(server, 'marmots', { after: body.receipt, timeoutMs: 30_000 })
    expect(performance.now() - started).toBeLessThan(15_000)
    expect(result).toMatchObject({ fresh: false, reason: expect.stringContaining('failed') })
    expect(result.hits[0]?.documentId).toBe('kept')
  })

  test('one endless word is indexed and does not stop anything', async () => {
    await publish(server, 'endless', 'x'.repeat(1024 * 1024), { 'Content-Type': 'text/plain' })
    expect((await settled(server, 'endless')).state).toBe('indexed')
  })

  test('too much is 413, a query too long is 400, nonsense is said to be that', async () => {
    const big = new Uint8Array(3 * 1024 * 1024).fill(97)
    expect(
      (
        await request(server, 'PUT', '/v1/documents/big', {
          raw: big,
          headers: { 'Content-Type': 'text/plain' },
        })
      ).body,
    ).toMatchObject({ status: 413, code: 'content_too_large' })
    expect((await request(server, 'GET', '/v1/documents/big')).status).toBe(404)
    expect(
      (await request(server, 'POST', '/v1/search', { body: { query: 'q'.repeat(1024 * 1024) } })).status,
    ).toBe(400)
    expect(
      (
        await request(server, 'POST', '/v1/search', {
          raw: '{nonsense',
          headers: { 'Content-Type': 'application/json' },
        })
      ).body,
    ).toMatchObject({ status: 400 })
    expect(
      (
        await request(server, 'POST', '/v1/documents', {
          raw: '{nonsense',
          headers: { 'Content-Type': 'application/json' },
        })
      ).body,
    ).toMatchObject({ code: 'invalid_json' })
    expect(
      (
        await request(server, 'POST', '/v1/search', {
          body: { query: 'x', filter: { field: 'a', op: 'like', value: 'b' } },
        })
      ).status,
    ).toBe(400)
    expect((await request(server, 'GET', '/v1/nothing')).body).toMatchObject({
      status: 404,
      code: 'not_found',
    })
  })

  test('a page elsewhere cannot reach the server through the browser', async () => {
    const port = new URL(server.url).port
    expect(await rawStatus(server, { Host: `127.0.0.1:${port}` })).toBe(200)
    expect(await rawStatus(server, { Host: `localhost:${port}`, Origin: `http://localhost:${port}` })).toBe(
      200,
    )
    expect(await rawStatus(server, { Host: 'evil.example' })).toBe(403)
    expect(await rawStatus(server, { Host: `127.0.0.1:${port}`, Origin: 'https://evil.example' })).toBe(403)
    expect(await rawStatus(server, { Host: `127.0.0.1:${port}`, Origin: 'null' })).toBe(403)
  })

  test('metadata filters; absent access needs no groups', async () => {
    const { body } = await request<{ receipt: string }>(server, 'POST', '/v1/documents', {
      body: {
        id: 'meta',
        content: 'quokka facts',
        metadata: { year: 2024, tags: ['animal', 'small'], at: '2026-01-01T00:30:00+01:00' },
      },
    })
    const find = async (filter: unknown) =>
      (await search(server, 'quokka', { after: body.receipt, filter, mode: 'lexical' })).hits.length
    expect(
      await find({
        and: [
          { field: 'year', op: 'gte', value: 2024 },
          { field: 'tags', op: 'eq', value: 'small' },
        ],
      }),
    ).toBe(1)
    expect(await find({ field: 'year', op: 'eq', value: '2024' })).toBe(0)
    expect(
      await find({
        not: {
          or: [
            { field: 'missing', op: 'eq', value: 1 },
            { field: 'year', op: 'lt', value: 2000 },
          ],
        },
      }),
    ).toBe(1)
    expect(await find({ field: 'at', op: 'lt', value: '2026-01-01T00:00:00Z' })).toBe(1)
  })

  test('bulk: one bad line stops no other, and answers keep the order of the lines', async () => {
    const lines = [
      '{"id":"l1","content":"first bulk line"}',
      '{broken',
      '{"id":"l3"}',
      '',
      '{"id":"l5","content":"fifth bulk line"}',
    ]
    const { body } = await request<string>(server, 'POST', '/v1/documents/bulk', {
      raw: lines.join('\n'),
      headers: { 'Content-Type': 'application/x-ndjson' },
    })
    const results = body
      .trim()
      .split('\n')
      .map(
        (line) =>
          JSON.parse(line) as { line: number; id?: string; receipt?: string; error?: { code: string } },
      )
    expect(results.map(({ line, id, error }) => [line, id ?? error?.code])).toEqual([
      [1, 'l1'],
      [2, 'invalid_json'],
      [3, 'invalid_document'],
      [5, 'l5'],
    ])
    expect(
      (await search(server, 'fifth bulk line', { after: [results[0]!.receipt, results[3]!.receipt] })).fresh,
    ).toBe(true)
  })

  test('a form: fields describe the file, past the limit it is 413 and nothing is left', async () => {
    const form = new FormData()
    form.set('id', 'from-form')
    form.set('title', 'Ünïcode title')
    form.set('metadata', '{"kind":"form"}')
    form.set('file', new File(['a wombat in a form'], 'wombat.txt', { type: 'text/plain' }))
    const response = await fetch(`${server.url}/v1/documents`, { method: 'POST', body: form })
    const { receipt } = (await response.json()) as { receipt: string }
    const { hits } = await search(server, 'wombat', {
      after: receipt,
      mode: 'lexical',
      filter: { field: 'kind', op: 'eq', value: 'form' },
    })
    expect(hits[0]).toMatchObject({ documentId: 'from-form', title: 'Ünïcode title' })
    const large = new FormData()
    large.set('file', new File([new Uint8Array(3 * 1024 * 1024)], 'large.bin'))
    expect((await fetch(`${server.url}/v1/documents`, { method: 'POST', body: large })).status).toBe(413)
  })

  test('Idempotency-Key: the second answer is the first one', async () => {
    const headers = { 'Idempotency-Key': 'same', 'Content-Type': 'application/json' }
    const first = await request(server, 'POST', '/v1/documents', { raw: '{"content":"once"}', headers })
    const second = await request(server, 'POST', '/v1/documents', { raw: '{"content":"once"}', headers })
    expect(second.body).toEqual(first.body)
    expect(second.headers.get('idempotency-replayed')).toBe('true')
  })

  test('state changes are told until they settle', async () => {
    await publish(server, 'told', 'tell me about it')
    const response = await fetch(`${server.url}/v1/documents/told/events`)
    const events = (await response.text()).split('\n\n').filter((event) => event.startsWith('event: state'))
    expect(events.at(-1)).toContain('"state":"indexed"')
  })

  test('the OpenAPI document lists the routes', async () => {
    const { body } = await request<{ paths: Record<string, object> }>(server, 'GET', '/openapi.json')
    for (const path of [
      '/v1/documents',
      '/v1/documents/{id}',
      '/v1/documents/bulk',
      '/v1/search',
      '/v1/chat/completions',
      '/v1/embeddings',
      '/v1/models',
      '/v1/feedback',
      '/v1/answers/{id}',
      '/v1/evaluate',
      '/v1/evaluations',
      '/v1/evaluations/summary',
      '/v1/inspect',
      '/v1/status',
    ]) {
      expect(Object.keys(body.paths)).toContain(path)
    }
  })

  test('health, readiness by name, metrics', async () => {
    expect((await request(server, 'GET', '/livez')).status).toBe(200)
    expect(
      (await request<{ checks: object; warnings: string[] }>(server, 'GET', '/readyz')).body,
    ).toMatchObject({
      status: 'ready',
      checks: { eventLog: { ok: true }, vectorIndex: { ok: true } },
      warnings: [expect.stringContaining('lexical')],
    })
    const { body } = await request<string>(server, 'GET', '/metrics')
    for (const name of [
      'gen_ai_server_time_to_first_token_seconds',
      'aquifer_generation_tokens_per_second',
      'aquifer_consumer_lag',
      'aquifer_documents_total',
    ])
      expect(body).toContain(name)
  })

  test('a second process on the same data is refused with what to do', async () => {
    await expect(startServer(dataDir, ENV)).rejects.toThrow(/owns the data directory/)
  })
})
