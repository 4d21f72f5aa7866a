import { setImmediate as nextTurn } from 'node:timers/promises'
import { streamText } from 'hono/streaming'
import { expect, test } from 'vitest'
import { systemClock } from './clock.ts'
import type { Clock } from './clock.ts'
import { AquiferError } from './errors.ts'
import { createRoutes } from './http.ts'
import type { Routes } from './http.ts'
import { idempotent } from './idempotency.ts'
import type { IdempotencyStore } from './idempotency.ts'

/** A store whose values last as long as was said. */
function createStore(now: () => number): IdempotencyStore {
  const values = new Map<string, { value: Buffer; until: number }>()
  const get = (key: string) => ((values.get(key)?.until ?? -1) > now() ? values.get(key)!.value : null)
  const set = (key: string, value: Buffer, ttlMs: number) => values.set(key, { value, until: now() + ttlMs })
  return {
    get: async (key) => get(key),
    set: async (key, value, ttlMs) => void set(key, value, ttlMs),
    delete: async (key) => void values.delete(key),
    add: async (key, value, ttlMs) => get(key) === null && Boolean(set(key, value, ttlMs)),
  }
}

function createApp(store: IdempotencyStore, clock: Clock): Routes {
  const routes = createRoutes()
  routes.onError((error, c) =>
    error instanceof AquiferError ? c.json({ code: error.code }, error.status as 400) : c.text('', 500),
  )
  routes.use(async (c, next) => {
    c.set('identity', { tenant: 'acme', groups: null, canWrite: true })
    await next()
  })
  routes.use('/v1/*', idempotent(store, clock))
  return routes
}

test('idempotency: a write that takes longer than its mark lasts does not run twice', async () => {
  let now = 0
  const sleeping = new Map<() => void, number>()
  const clock: Clock = {
    now: () => now,
    sleep: async (ms, signal) =>
      await new Promise((resolve, reject) => {
        sleeping.set(resolve, now + ms)
        signal?.addEventListener('abort', () => sleeping.delete(resolve) && reject(signal.reason as Error))
      }),
  }
  const advance = async (minutes: number) => {
    for (let minute = 0; minute < minutes; minute++) {
      now += 60_000
      for (const [wake, at] of sleeping) if (at <= now && sleeping.delete(wake)) wake()
      await nextTurn()
    }
  }
  const [writing, streaming] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const begun = Promise.withResolvers<void>()
  let runs = 0
  const routes = createApp(
    createStore(() => now),
    clock,
  )
  const write = async () =>
    await routes.request('/v1/write', { method: 'POST', headers: { 'Idempotency-Key': 'k' } })
  routes.post('/v1/write', async (c) => {
    runs++
    begun.resolve()
    await writing.promise
    return streamText(c, async (stream) => {
      await stream.write('one ')
      await streaming.promise
      await stream.write('two')
    })
  })
  const first = write()
  await begun.promise
  await advance(20)
  expect((await write()).status).toBe(409)
  writing.resolve()
  const response = await first
  await advance(20)
  expect((await write()).status).toBe(409)
  streaming.resolve()
  expect(await response.text()).toBe('one two')
  expect(sleeping.size).toBe(0)
  await advance(20)
  expect(await (await write()).text()).toBe('one two')
  expect(runs).toBe(1)
})

test('idempotency: another body of the same length under the same key is 422; the same one is replayed', async () => {
  let runs = 0
  const routes = createApp(
    createStore(() => 0),
    systemClock,
  )
  routes.put('/v1/whole', async (c) => c.text(`${await c.req.text()} ${++runs}`))
  routes.put('/v1/unread', (c) => c.text(`${++runs}`))
  const put = async (path: string, body: string) =>
    await routes.request(path, { method: 'PUT', body, headers: { 'Idempotency-Key': path } })
  for (const body of ['one', 'one']) expect(await (await put('/v1/whole', body)).text()).toBe('one 1')
  for (const body of ['two', 'on', 'one more']) expect((await put('/v1/whole', body)).status).toBe(422)
  for (const body of ['one', 'one']) expect(await (await put('/v1/unread', body)).text()).toBe('2')
})

test('idempotency: another request under the same key is 422', async () => {
  let runs = 0
  const routes = createApp(
    createStore(() => 0),
    systemClock,
  )
  routes.all('/v1/:name', (c) => c.json({ run: ++runs }))
  const send = async (method: string, path: string, body: string, type: string) =>
    await routes.request(path, {
      method,
      body,
      headers: { 'Idempotency-Key': 'k', 'Content-Type': type, 'Content-Length': String(body.length) },
    })
  const form = 'multipart/form-data; boundary='
  expect(await (await send('POST', '/v1/a', 'text', `${form}1`)).json()).toEqual({ run: 1 })
  expect((await send('POST', '/v1/a', 'text', `${form}2`)).headers.get('idempotency-replayed')).toBe('true')
  for (const [method, path, body, type] of [
    ['PUT', '/v1/a', 'text', form],
    ['POST', '/v1/b', 'text', form],
    ['POST', '/v1/a', 'longer', form],
    ['POST', '/v1/a', 'text', 'text/plain'],
  ] as const) {
    const refused = await send(method, path, body, type)
    expect([refused.status, await refused.json()]).toMatchObject([422, { code: 'idempotency_mismatch' }])
  }
  expect(runs).toBe(1)
})
