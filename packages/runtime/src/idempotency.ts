import type { MiddlewareHandler } from 'hono'
import { createHash } from 'node:crypto'
import { invalid } from './errors.ts'
import type { Env } from './http.ts'

/** The part of a cache that is needed here. */
export interface IdempotencyStore {
  get(key: string): Promise<Buffer | null>
  set(key: string, value: Buffer, ttlMs: number): Promise<void>
  add(key: string, value: Buffer, ttlMs: number): Promise<boolean>
  delete(key: string): Promise<void>
}

const DAY = 24 * 60 * 60 * 1000
/** A request that died without an answer blocks its key for so long. */
const PENDING_MS = 5 * 60 * 1000
const PENDING = Buffer.from('pending')
const MAX_KEY_CHARS = 255

/**
 * Answers a repeated write (`Idempotency-Key`, same method and path) with what the first one was answered, for a day. One that is
 * still under way is 409 `idempotency_in_progress`. An answer of 500 or more is not kept: the write may be tried again.
 */
export function idempotent(store: IdempotencyStore): MiddlewareHandler<Env> {
  return async (c, next) => {
    const key = c.req.header('idempotency-key')
    if (key === undefined || c.req.method === 'GET') return await next()
    if (key === '' || key.length > MAX_KEY_CHARS) {
      throw invalid('invalid_idempotency_key', `an Idempotency-Key has 1 to ${MAX_KEY_CHARS} characters`)
    }
    const name = `idempotency:${createHash('sha256')
      .update(JSON.stringify([c.get('identity').tenant, c.req.method, c.req.path, key]))
      .digest('hex')}`
    if (!(await store.add(name, PENDING, PENDING_MS))) {
      const kept = await store.get(name)
      if (!kept || kept.equals(PENDING)) {
        throw invalid(
          'idempotency_in_progress',
          'the first request with this Idempotency-Key is still under way',
          409,
        )
      }
      const { status, type, text } = JSON.parse(kept.toString()) as {
        status: number
        type: string
        text: string
      }
      return new Response(text, { status, headers: { 'Content-Type': type, 'Idempotency-Replayed': 'true' } })
    }
    await next()
    if (c.res.status >= 500 || c.error) return await store.delete(name)
    const type = c.res.headers.get('content-type') ?? 'application/json'
    await store.set(
      name,
      Buffer.from(JSON.stringify({ status: c.res.status, type, text: await c.res.clone().text() })),
      DAY,
    )
  }
}
