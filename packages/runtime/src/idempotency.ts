import type { Context, HonoRequest, MiddlewareHandler } from 'hono'
import { createHash } from 'node:crypto'
import type { Clock } from './clock.ts'
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
/** A request whose process died blocks its key for so long; the mark of one that goes on is renewed well before. */
const PENDING_MS = 5 * 60 * 1000
const RENEW_MS = PENDING_MS / 3
const MAX_RENEWALS = DAY / RENEW_MS
const MAX_KEY_CHARS = 255

/** A longer answer, that of a large bulk load, is not kept. */
const MAX_KEPT_BYTES = 8 * 1024 * 1024

interface Kept {
  readonly request: string
  /** Null while the request is under way. */
  readonly answer: { readonly status: number; readonly type: string; readonly text: string } | null
  /** Of what was read of the body; null where it is not compared. */
  readonly body: SeenBody | null
}

interface SeenBody {
  readonly sizeBytes: number
  readonly sha256: string
  /** False where it was answered before the end. */
  readonly whole: boolean
}

/**
 * Answers a repeated write (`Idempotency-Key`) with what the first one was answered, for a day. One that is still under way is
 * 409 `idempotency_in_progress`; another request under the same key, or another body, is 422 `idempotency_mismatch`; but forms are
 * told apart by their length alone, since their boundary is new each time. An answer of 500 or more is
 * not kept, nor one that broke off: the write may be tried again. An answer that streams goes on streaming.
 */
export function idempotent(store: IdempotencyStore, clock: Clock): MiddlewareHandler<Env> {
  return async (c, next) => {
    const key = c.req.header('idempotency-key')
    if (key === undefined || c.req.method === 'GET') return await next()
    if (key === '' || key.length > MAX_KEY_CHARS) {
      throw invalid('invalid_idempotency_key', `an Idempotency-Key has 1 to ${MAX_KEY_CHARS} characters`)
    }
    const name = `idempotency:${createHash('sha256')
      .update(JSON.stringify([c.get('identity').tenant, key]))
      .digest('hex')}`
    const request = fingerprint(c.req)
    const pending = toBytes({ request, answer: null, body: null })
    if (!(await store.add(name, pending, PENDING_MS)))
      return await replay(request, await store.get(name), c.req.raw.body)
    const seen = watchBody(c)

    const stopRenewing = renew(async () => await store.set(name, pending, PENDING_MS), clock)
    const keep = async (text: string): Promise<void> => {
      await stopRenewing()
      const { status, headers } = c.res
      const answer = { status, type: headers.get('content-type') ?? 'application/json', text }
      await store.set(name, toBytes({ request, answer, body: seen() }), DAY)
    }
    const forget = async (): Promise<void> => {
      await stopRenewing()
      await store.delete(name)
    }
    try {
      await next()
    } catch (error) {
      await forget()
      throw error
    }
    if (c.res.status >= 500 || c.error) return await forget()
    const { status, body, headers } = c.res
    if (!body) return await keep('')
    // Who went away before reading may leave the body neither ended nor cancelled.
    c.req.raw.signal.addEventListener('abort', () => void stopRenewing(), { once: true })
    c.res = new Response(body.pipeThrough(copyTo(keep, forget)), { status, headers })
  }
}

/** Tells most other requests apart without reading a body. The boundary of a form is new each time, and so left out. */
function fingerprint(request: HonoRequest): string {
  const type = request.header('content-type')?.split(';')[0]?.trim().toLowerCase()
  return JSON.stringify([request.method, request.path, request.header('content-length'), type])
}

function toBytes(kept: Kept): Buffer {
  return Buffer.from(JSON.stringify(kept))
}

async function replay(
  request: string,
  bytes: Buffer | null,
  body: ReadableStream<Uint8Array> | null,
): Promise<Response> {
  const kept = bytes && (JSON.parse(bytes.toString()) as Kept)
  if (kept && (kept.request !== request || !(await isSame(body, kept.body)))) {
    throw invalid('idempotency_mismatch', 'this Idempotency-Key belongs to another request', 422)
  }
  if (!kept?.answer) {
    throw invalid(
      'idempotency_in_progress',
      'the first request with this Idempotency-Key is still under way',
      409,
    )
  }
  const { status, type, text } = kept.answer
  return new Response(text, { status, headers: { 'Content-Type': type, 'Idempotency-Replayed': 'true' } })
}

/** Hashes a body, unless it is a form, while it is read. What it returns says what was read so far. */
function watchBody(c: Context<Env>): () => SeenBody | null {
  const { body } = c.req.raw
  if (!body || c.req.header('content-type')?.startsWith('multipart/')) return () => null
  const hash = createHash('sha256')
  let sizeBytes = 0
  let whole = false
  const hashing = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      hash.update(chunk)
      sizeBytes += chunk.length
      controller.enqueue(chunk)
    },
    flush: () => void (whole = true),
  })
  c.req.raw = new Request(c.req.raw, {
    method: c.req.method,
    body: body.pipeThrough(hashing),
    duplex: 'half',
  })
  return () => ({ sizeBytes, sha256: hash.copy().digest('hex'), whole })
}

/** Is a body the one that was seen, as far as that was read? */
async function isSame(body: ReadableStream<Uint8Array> | null, seen: SeenBody | null): Promise<boolean> {
  if (!seen) return true
  const hash = createHash('sha256')
  let left = seen.sizeBytes
  for await (const chunk of body ?? []) {
    if (chunk.length > left && seen.whole) return false
    hash.update(chunk.subarray(0, left))
    left -= Math.min(left, chunk.length)
    if (left === 0 && !seen.whole) break
  }
  return left === 0 && hash.digest('hex') === seen.sha256
}

/** Renews at intervals. What it returns ends that, and resolves when no renewal is under way any more. */
function renew(mark: () => Promise<void>, clock: Clock): () => Promise<void> {
  const stop = new AbortController()
  const running = (async () => {
    for (let renewals = 0; renewals < MAX_RENEWALS; renewals++) {
      await clock.sleep(RENEW_MS, stop.signal)
      // The store may be back by the next time.
      await mark().catch(() => undefined)
    }
  })().catch(() => undefined)
  return async () => {
    stop.abort()
    await running
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
