import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { invalid } from '@aquifer/runtime/errors'

/** What every blob store holds its callers to: keys that are names, content within a limit, its size and hash told. */

const MAX_KEY_LENGTH = 1024
const NAME = /^[A-Za-z0-9._-]{1,200}$/
const HASHED_AT_ONCE = 256 * 1024

/** Throws `invalid_key`. No name is `.` or `..`: a key never leads out of the store. */
export function checkKey(key: string): string {
  const names = key.split('/')
  if (key.length > MAX_KEY_LENGTH || !names.every((name) => NAME.test(name) && !/^\.+$/.test(name))) {
    throw invalid(
      'invalid_key',
      `${JSON.stringify(key.slice(0, 100))} is not names of [A-Za-z0-9._-] separated by /`,
    )
  }
  return key
}

/** Throws `invalid_key`. Returns the prefix without the `/` that it ends in. */
export function checkPrefix(prefix: string): string {
  if (!prefix.endsWith('/'))
    throw invalid('invalid_key', `a prefix ends in /, ${JSON.stringify(prefix)} does not`)
  return checkKey(prefix.slice(0, -1))
}

export interface Measured {
  /** The content again. Fails with `content_too_large` past the limit, and with what the source failed with; then the source is destroyed. */
  readonly bytes: AsyncGenerator<Buffer, void, undefined>
  /** What `bytes` failed with, be it the source or who reads; null as long as it did not. */
  failure(): unknown
  /** Once `bytes` is read to its end. */
  result(): { sizeBytes: number; sha256: string }
}

/** Counts and hashes content while it streams through, a slice a turn, so that no other work waits for long. */
export function measure(key: string, content: Readable | Buffer, maxBytes: number): Measured {
  const hash = createHash('sha256')
  let sizeBytes = 0
  let failure: unknown = null

  async function* read(): AsyncGenerator<Buffer, void, undefined> {
    const source = Buffer.isBuffer(content) ? [content] : (content as AsyncIterable<Buffer | string>)
    for await (const chunk of source) {
      const whole = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
      sizeBytes += whole.length
      if (sizeBytes > maxBytes) {
        throw invalid('content_too_large', `${key}: more than ${maxBytes} bytes`, 413)
      }
      for (let at = 0; at < whole.length; at += HASHED_AT_ONCE) {
        if (at > 0) await nextTurn()
        const slice = whole.subarray(at, at + HASHED_AT_ONCE)
        hash.update(slice)
        yield slice
      }
    }
  }
  async function* bytes(): AsyncGenerator<Buffer, void, undefined> {
    try {
      yield* read()
    } catch (error) {
      failure = error
      throw error
    }
  }
  return {
    bytes: bytes(),
    failure: () => failure,
    result: () => ({ sizeBytes, sha256: hash.digest('hex') }),
  }
}
