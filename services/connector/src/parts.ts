import { MAX_INLINE_BYTES } from '@aquifer/contracts/topics'
import type { Chunk } from '@aquifer/contracts/types'
import { invalid } from '@aquifer/runtime/errors'

/** Avro's upper bounds for a length, and for what a chunk has beside its texts. */
const LENGTH_BYTES = 5
const CHUNK_BYTES = 64

/**
 * Parts of at most `maxBytes` encoded, `commonBytes` of which each repeats of its document. Throws `fields_too_large` where
 * that alone takes half of it, `empty` of nothing.
 */
export function toParts(
  chunks: readonly Chunk[],
  commonBytes: number,
  maxBytes = MAX_INLINE_BYTES,
): Chunk[][] {
  if (commonBytes > maxBytes / 2)
    throw invalid('fields_too_large', `title, metadata and access list take ${commonBytes} bytes`, 413)
  const parts: Chunk[][] = []
  let sizeBytes = Number.POSITIVE_INFINITY
  for (const chunk of chunks) {
    const own =
      Buffer.byteLength(chunk.text) +
      chunk.headings.reduce((sum, heading) => sum + Buffer.byteLength(heading) + LENGTH_BYTES, CHUNK_BYTES)
    if (sizeBytes + own > maxBytes) {
      parts.push([])
      sizeBytes = commonBytes + CHUNK_BYTES
    }
    parts.at(-1)!.push(chunk)
    sizeBytes += own
  }
  if (parts.length === 0) throw invalid('empty', 'the document has no text')
  return parts
}
