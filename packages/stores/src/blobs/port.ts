import type { Readable } from 'node:stream'

/**
 * Content too large for a log record, extracted texts and original bytes.
 * Keys are `/`-separated names of [A-Za-z0-9._-]; a `put` is atomic: a reader sees all of it or the old one.
 */
export interface Blobs {
  /** Stores the stream; past `maxBytes` stops reading, keeps nothing and rejects with `content_too_large`. */
  put(
    key: string,
    content: Readable | Buffer,
    options?: { maxBytes?: number },
  ): Promise<{ sizeBytes: number; sha256: string }>
  /** null where there is none. */
  get(key: string): Promise<Buffer | null>
  stream(key: string): Promise<Readable | null>
  /** Keys below a prefix that ends in `/`. */
  list(prefix: string): Promise<string[]>
  delete(key: string): Promise<void>
  /** Everything below a prefix that ends in `/`. */
  deletePrefix(prefix: string): Promise<void>
  ping(): Promise<void>
  close(): Promise<void>
}
