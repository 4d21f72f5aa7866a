import { Readable } from 'node:stream'
import { MAX_INLINE_BYTES } from '@aquifer/contracts/topics'
import type { Document } from '@aquifer/contracts/types'
import { AquiferError, invalid } from '@aquifer/runtime/errors'
import type { Blobs } from '@aquifer/stores/blobs'
import type { ConnectorLimits } from '../deps.ts'

/**
 * Takes in content of unknown length: a short one is returned, a longer one goes to the blob store as it comes. Past the limit
 * nothing is kept and the error is `content_too_large` (413). `name` is that of the blob.
 */
export async function takeContent(
  { blobs, limits }: { blobs: Blobs; limits: ConnectorLimits },
  tenant: string,
  source: Readable,
  name: string,
): Promise<Pick<Document, 'content' | 'blob'>> {
  const { maxDocumentBytes: maxBytes } = limits
  const head: Buffer[] = []
  let sizeBytes = 0
  const chunks = source[Symbol.asyncIterator]() as AsyncIterableIterator<Buffer>
  while (sizeBytes <= MAX_INLINE_BYTES) {
    const { done, value } = await chunks.next()
    if (done) return { content: Buffer.concat(head), blob: null }
    head.push(value)
    sizeBytes += value.length
    if (sizeBytes > maxBytes) throw tooLarge(maxBytes)
  }
  const key = `uploads/${tenant}/${name}`
  async function* all() {
    yield* head
    yield* chunks
  }
  try {
    await blobs.put(key, Readable.from(all()), { maxBytes })
  } catch (error) {
    // The store speaks of its keys.
    throw error instanceof AquiferError && error.code === 'content_too_large' ? tooLarge(maxBytes) : error
  }
  return { content: null, blob: key }
}

/** Refuses what says itself that it is too much, before any of it is read. */
export function checkLength(contentLength: string | undefined, { maxDocumentBytes }: ConnectorLimits): void {
  if (Number(contentLength ?? 0) > maxDocumentBytes) throw tooLarge(maxDocumentBytes)
}

function tooLarge(maxBytes: number) {
  return invalid(
    'content_too_large',
    `a document has at most ${maxBytes} bytes (AQUIFER_MAX_DOCUMENT_BYTES)`,
    413,
  )
}
