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

/** A longer answer, that of a large bulk load, is not kept. */
const MAX_KEPT_BYTES = 8 * 1024 * 1024

/**
 * Answers a repeated write (`Idempotency-Key`, same method and path) with what the first one was answered, for a day. One that is
 * still under way is 409 `idempotency_in_progress`. An answer of 500 or more is not kept, nor one that broke off: the write may be
 * tried again. An answer that streams goes on streaming.
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
    const { status, body, headers } = c.res
    const type = headers.get('content-type') ?? 'application/json'
    const keep = async (text: string): Promise<void> =>
      await store.set(name, Buffer.from(JSON.stringify({ status, type, text })), DAY)
    const copied = body?.pipeThrough(copyTo(keep, async () => await store.delete(name)))
    if (copied) c.res = new Response(copied, { status, headers })
    else await keep('')
  }
}

/** Lets a body pass, and ends it when its text is kept. */
function copyTo(
  keep: (text: string) => Promise<void>,
  forget: () => Promise<void>,
): TransformStream<Uint8Array, Uint8Array> {
  let held: Uint8Array[] = []
  let sizeBytes = 0
  return new TransformStream({
    transform(chunk, controller) {
      sizeBytes += chunk.length
      if (sizeBytes <= MAX_KEPT_BYTES) held.push(chunk)
      else held = []
      controller.enqueue(chunk)
    },
    flush: async () => await (sizeBytes > MAX_KEPT_BYTES ? forget() : keep(Buffer.concat(held).toString())),
    cancel: forget,
  })
}
