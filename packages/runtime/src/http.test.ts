import { once } from 'node:events'
import { request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { createRoute, z } from '@hono/zod-openapi'
import { streamText } from 'hono/streaming'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from './clock.ts'
import { invalid, unavailable } from './errors.ts'
import { createRoutes, startHttp } from './http.ts'
import type { HttpServer, Routes } from './http.ts'
import { idempotent } from './idempotency.ts'
import type { IdempotencyStore } from './idempotency.ts'
import { createLogger } from './logger.ts'
import { createMetrics } from './metrics.ts'
import { backoffMs, untilAvailable } from './retry.ts'
import { createTracing } from './tracing.ts'

let server: HttpServer
afterEach(async () => await server?.close(200))

async function start(routes: Routes, checks: Record<string, () => Promise<void>> = {}): Promise<void> {
  server = await startHttp({
    host: '127.0.0.1',
    port: 0,
    routes: [routes],
    localOnly: true,
    authenticate: () => ({ tenant: 'acme', groups: null, canWrite: true }),
    logger: createLogger('silent', 'test'),
    metrics: createMetrics(),
    tracing: createTracing(),
    checks,
    onScrape: async () => {},
    warnings: ['makeshift'],
    welcome: 'hello',
  })
}

describe('http: errors', () => {
  const failing = (error: unknown): Routes => {
    const routes = createRoutes()
    for (const path of ['/v1/x', '/v1/chat/x', '/v1/embeddings'])
      routes.get(path, () => {
        throw error
      })
    return routes
  }

  test('are problem+json with a stable code and the trace, and OpenAI’s shape under its routes', async () => {
    await start(failing(invalid('bad_thing', 'this is wrong', 422)))
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
    const response = await fetch(`${server.url}/v1/x`, {
      headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-01` },
    })
    expect([response.status, response.headers.get('content-type')]).toEqual([422, 'application/problem+json'])
    expect(response.headers.get('traceresponse')).toContain(traceId)
    expect(await response.json()).toEqual({
      type: 'urn:aquifer:problem:bad_thing',
      title: 'bad thing',
      status: 422,
      detail: 'this is wrong',
      code: 'bad_thing',
      traceId,
    })
    for (const path of ['/v1/chat/x', '/v1/embeddings'])
      expect(await (await fetch(`${server.url}${path}`)).json()).toEqual({
        error: { message: 'this is wrong', type: 'invalid_request_error', param: null, code: 'bad_thing' },
      })
  })

  test('one that can be retried says when; one that is not known tells nothing', async () => {
    await start(failing(unavailable('index_down', 'the index is down')))
    const down = await fetch(`${server.url}/v1/x`)
    expect([down.status, down.headers.get('retry-after')]).toEqual([503, '1'])
    await server.close(200)
    await start(failing(new TypeError('secret detail')))
    const broken = await fetch(`${server.url}/v1/x`)
    const text = await broken.text()
    expect([broken.status, text.includes('secret'), text.includes('"code":"internal"')]).toEqual([
      500,
      false,
      true,
    ])
  })

  test('a wrong request says what is wrong where; a body too large is 413', async () => {
    const route = createRoute({
      method: 'post',
      path: '/v1/typed',
      request: {
        body: { content: { 'application/json': { schema: z.object({ n: z.number() }) } }, required: true },
      },
      responses: { 200: { description: 'x' } },
    })
    await start(createRoutes().openapi(route, (c) => c.text('ok')))
    const post = async (body: string) =>
      await fetch(`${server.url}/v1/typed`, {
        method: 'POST',
        body,
        headers: { 'Content-Type': 'application/json' },
      })
    expect(await (await post('{"n":"x"}')).json()).toMatchObject({
      code: 'invalid_request',
      errors: [{ path: 'n' }],
    })
    expect((await post('{nonsense')).status).toBe(400)
    const large = await post(JSON.stringify({ n: 'x'.repeat(5 * 1024 * 1024) })).catch(() => null)
    expect(large?.status ?? 413).toBe(413)
    expect(await (await fetch(`${server.url}/v1/none`)).json()).toMatchObject({
      code: 'not_found',
      status: 404,
    })
  })

  test('a taken port says so', async () => {
    await start(createRoutes())
    const port = Number(new URL(server.url).port)
    await expect(
      startHttp({
        host: '127.0.0.1',
        port,
        routes: [],
        localOnly: false,
        authenticate: () => ({ tenant: 'x', groups: null, canWrite: true }),
        logger: createLogger('silent', 'test'),
        metrics: createMetrics(),
        tracing: createTracing(),
        checks: {},
        onScrape: async () => {},
        warnings: [],
        welcome: '',
      }),
    ).rejects.toMatchObject({ code: 'port_in_use' })
  })
})

describe('http: on this machine alone', () => {
  /** With a browser's own headers, which fetch keeps to itself. */
  async function statusOf(path: string, headers: Record<string, string>, method = 'GET'): Promise<number> {
    const [response] = (await once(
      request(`${server.url}${path}`, { method, headers }).end(),
      'response',
    )) as [IncomingMessage]
    response.resume()
    return response.statusCode!
  }
  const LINK = {
    'sec-fetch-site': 'cross-site',
    'sec-fetch-mode': 'navigate',
    'sec-fetch-dest': 'document',
    'sec-fetch-user': '?1',
  }

  test('a link elsewhere opens the page and the reference; an API stays out of reach', async () => {
    const routes = createRoutes()
    routes.get('/v1/x', (c) => c.text('x'))
    await start(routes)
    expect(await Promise.all(['/', '/reference'].map((path) => statusOf(path, LINK)))).toEqual([200, 200])
    const refused = ['/v1/x', '/metrics', '/readyz', '/openapi.json', '/v1/x/../../v1/x']
    expect(await Promise.all(refused.map((path) => statusOf(path, LINK)))).toEqual(refused.map(() => 403))
  })

  test.each([
    ['a frame', { ...LINK, 'sec-fetch-dest': 'iframe' }, 'GET'],
    ['a script', { ...LINK, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' }, 'GET'],
    ['a fetch', { ...LINK, 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }, 'GET'],
    ['a form', { ...LINK, origin: 'https://evil.example' }, 'POST'],
    ['a name that leads here', { ...LINK, host: 'evil.example' }, 'GET'],
  ])('the page, by another site’s %s: refused', async (_, headers, method) => {
    await start(createRoutes())
    expect(await statusOf('/', headers, method)).toBe(403)
  })
})

describe('http: health and the end', () => {
  test('readiness names each dependency', async () => {
    await start(createRoutes(), {
      good: async () => {},
      bad: async () => Promise.reject(new Error('no disk')),
    })
    const response = await fetch(`${server.url}/readyz`)
    expect(response.status).toBe(503)
    expect(await response.json()).toEqual({
      status: 'not ready',
      checks: { good: { ok: true }, bad: { ok: false, error: 'no disk' } },
      warnings: ['makeshift'],
    })
    expect((await fetch(`${server.url}/livez`)).status).toBe(200)
    expect(await (await fetch(`${server.url}/metrics`)).text()).toContain('aquifer_http_request_seconds')
  })

  test('closing lets an open answer end, takes no more, and cuts what does not end in time', async () => {
    const gate = Promise.withResolvers<void>()
    const routes = createRoutes()
    routes.get('/v1/slow', (c) =>
      streamText(c, async (stream) => {
        await stream.write('begun ')
        await gate.promise
        await stream.write('ended')
      }),
    )
    routes.get('/v1/endless', (c) =>
      streamText(c, async (stream) => {
        await stream.write('x')
        await new Promise<void>((resolve) => stream.onAbort(resolve))
      }),
    )
    await start(routes)
    const open = await fetch(`${server.url}/v1/slow`)
    const closed = server.close(10_000)
    await expect(fetch(`${server.url}/livez`)).rejects.toThrow()
    gate.resolve()
    expect(await open.text()).toBe('begun ended')
    await closed
    await start(routes)
    const endless = await fetch(`${server.url}/v1/endless`)
    await server.close(50)
    await expect(endless.text()).rejects.toThrow()
  })

  test('a foreign Host is refused on every route', async () => {
    await start(createRoutes())
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    socket.write('GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n')
    const [data] = (await once(socket, 'data')) as [Buffer]
    expect(data.toString()).toContain('403')
    socket.destroy()
  })
})

describe('idempotency', () => {
  function memoryStore(): IdempotencyStore & { values: Map<string, Buffer> } {
    const values = new Map<string, Buffer>()
    return {
      values,
      get: async (key) => values.get(key) ?? null,
      set: async (key, value) => void values.set(key, value),
      delete: async (key) => void values.delete(key),
      add: async (key, value) => !values.has(key) && Boolean(values.set(key, value)),
    }
  }
  const write = async (path: string, key = 'k') =>
    await fetch(`${server.url}${path}`, { method: 'POST', headers: { 'Idempotency-Key': key } })

  test('a repeated write is answered as the first, and does nothing', async () => {
    let runs = 0
    const routes = createRoutes()
    routes.use('/v1/*', idempotent(memoryStore(), systemClock))
    routes.post('/v1/write', (c) => c.json({ run: ++runs }, 202))
    await start(routes)
    const [first, second] = [await write('/v1/write'), await write('/v1/write')]
    expect([first.status, await first.json()]).toEqual([202, { run: 1 }])
    expect([second.status, await second.json(), second.headers.get('idempotency-replayed')]).toEqual([
      202,
      { run: 1 },
      'true',
    ])
    expect(await (await write('/v1/write', 'other')).json()).toEqual({ run: 2 })
    expect((await write('/v1/write', 'k'.repeat(256))).status).toBe(400)
  })

  test('one under way is 409; one that failed may be tried again', async () => {
    const gate = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    let fail = true
    const routes = createRoutes()
    routes.use('/v1/*', idempotent(memoryStore(), systemClock))
    routes.post('/v1/write', async (c) => {
      begun.resolve()
      await gate.promise
      if (fail) throw unavailable('down', 'down')
      return c.json({ ok: true })
    })
    await start(routes)
    const first = write('/v1/write')
    await begun.promise
    const second = await write('/v1/write')
    expect([second.status, await second.json()]).toMatchObject([409, { code: 'idempotency_in_progress' }])
    gate.resolve()
    expect((await first).status).toBe(503)
    fail = false
    expect((await write('/v1/write')).status).toBe(200)
  })

  test('an answer that streams goes on streaming, and is kept whole; one that breaks off is not', async () => {
    const gate = Promise.withResolvers<void>()
    const store = memoryStore()
    let runs = 0
    const routes = createRoutes()
    routes.use('/v1/*', idempotent(store, systemClock))
    routes.post('/v1/lines', (c) =>
      streamText(c, async (stream) => {
        runs++
        await stream.write('one\n')
        await gate.promise
        await stream.write('two\n')
      }),
    )
    await start(routes)
    const left = new AbortController()
    const cut = await fetch(`${server.url}/v1/lines`, {
      method: 'POST',
      headers: { 'Idempotency-Key': 'cut' },
      signal: left.signal,
    })
    await cut.body!.getReader().read()
    left.abort()
    const response = await write('/v1/lines')
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader.read()).value).toBe('one\n')
    gate.resolve()
    expect((await reader.read()).value).toBe('two\n')
    expect((await reader.read()).done).toBe(true)
    expect(await (await write('/v1/lines')).text()).toBe('one\ntwo\n')
    expect(runs).toBe(2)
    expect(store.values.size).toBe(1)
  })
})

describe('retry', () => {
  const clock = { now: () => 0, sleep: async (_ms: number, signal?: AbortSignal) => signal?.throwIfAborted() }
  const options = (signal = new AbortController().signal) => ({ clock, random: () => 0.5, signal })

  test('a dependency is waited for without end, a message’s own fault is not', async () => {
    let failures = 100
    const told: number[] = []
    const result = await untilAvailable(
      async () => {
        if (failures-- > 0) throw failures % 2 ? unavailable('down', 'down') : new Error('reset')
        return 'up'
      },
      { ...options(), onFailure: (_, attempt) => told.push(attempt) },
    )
    expect([result, told.length]).toEqual(['up', 100])
    await expect(
      untilAvailable(async () => Promise.reject(invalid('bad', 'bad')), options()),
    ).rejects.toMatchObject({ code: 'bad' })
  })

  test('it ends when the signal does', async () => {
    const stop = new AbortController()
    let attempts = 0
    const waiting = untilAvailable(async () => {
      if (++attempts === 3) stop.abort(new Error('stopped'))
      throw new Error('down')
    }, options(stop.signal))
    await expect(waiting).rejects.toThrow('down')
    await expect(untilAvailable(async () => 'x', options(stop.signal))).rejects.toThrow('stopped')
  })

  test('pauses grow, have a bound, and are spread', () => {
    const pauses = (random: number) => Array.from({ length: 40 }, (_, i) => backoffMs(i + 1, () => random))
    expect(pauses(1).slice(0, 3)).toEqual([100, 200, 400])
    expect(Math.max(...pauses(1))).toBe(15_000)
    expect(pauses(0)).toEqual(pauses(1).map((pause) => pause / 2))
  })
})
