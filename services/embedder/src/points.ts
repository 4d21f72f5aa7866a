import { pointId } from '@aquifer/contracts/keys'
import type { Chunk } from '@aquifer/contracts/types'
import type { Embedder, Embedding, Lane, Passage } from '@aquifer/models/embedder'
import type { DocumentRecord } from '@aquifer/stores/registry'
import type { Point, VectorIndex } from '@aquifer/stores/vector-index'
import { mapInTurns } from '@aquifer/runtime/concurrency'
import { passageContext } from '@aquifer/text/passage'
import { terms } from '@aquifer/text/terms'
import type { Part } from './work.ts'

/** What is looked through of a document of which nothing is visible: as much as so many versions of it have. */
const MAX_VERSIONS = 2

/** The terms of so many passages of 500 tokens are found in about five milliseconds. */
const CHUNKS_PER_TURN = 64

type Vectors = Pick<Point, 'vector' | 'wordBits'>

/** What the vectors of a chunk depend on, given the embedder: its context and its text. */
function passageKey(title: string | null, { headings, text }: Pick<Chunk, 'headings' | 'text'>): string {
  return `${passageContext(title, headings)}\u0000${text}`
}

/**
 * Makes the points of parts. Text that the visible version already holds under the same title and headings keeps its
 * vectors (the collection has one embedder fingerprint); all other texts are embedded in one call. A registry that is made again
 * from the log knows of nothing visible, while the index still has it: then whatever it has of the document serves.
 */
export function createPointMaker({ index, embedder }: { index: VectorIndex; embedder: Embedder }) {
  async function vectorsHeld(
    part: Part,
    visible: DocumentRecord['visible'] | undefined,
  ): Promise<Map<string, Vectors>> {
    const { tenant, documentId, chunks } = part
    const points = visible
      ? await index.fetch(
          { tenant, documentId, version: { eq: visible.version }, build: { eq: visible.build } },
          visible.chunks,
        )
      : await index.fetch({ tenant, documentId }, MAX_VERSIONS * chunks.totalChunks)
    return new Map(points.map((point) => [passageKey(point.title, point), point]))
  }

  return async (
    parts: readonly Part[],
    known: ReadonlyMap<Part, DocumentRecord>,
    lane: Lane,
    signal: AbortSignal,
  ): Promise<{ points: Point[]; reused: number }[]> => {
    // Parts of one version hold the same: a large document comes in many.
    const held = new Map<string, Promise<Map<string, Vectors>>>()
    const vectors = await Promise.all(
      parts.map((part) => {
        const key = JSON.stringify([part.tenant, part.documentId, part.chunks.version])
        const vectorsOf = held.get(key) ?? vectorsHeld(part, known.get(part)?.visible)
        held.set(key, vectorsOf)
        return vectorsOf
      }),
    )
    const missing = new Map<string, Passage>()
    parts.forEach(({ chunks }, p) => {
      for (const chunk of chunks.chunks) {
        const key = passageKey(chunks.title, chunk)
        if (!vectors[p]!.has(key)) missing.set(key, toPassage(chunks.title, chunk))
      }
    })
    const embeddings =
      missing.size > 0 ? await embedder.embed([...missing.values()], { lane, signal, words: 'bits' }) : []
    const made = new Map([...missing.keys()].map((key, i) => [key, toVectors(embeddings[i]!)]))
    return await mapInTurns(parts, 1, async (part, p) => {
      let reused = 0
      const points = await mapInTurns(part.chunks.chunks, CHUNKS_PER_TURN, (chunk) => {
        const key = passageKey(part.chunks.title, chunk)
        const held = vectors[p]!.get(key)
        if (held) reused++
        return toPoint(part, chunk, (held ?? made.get(key))!)
      })
      return { points, reused }
    })
  }
}

function toPassage(title: string | null, chunk: Chunk): Passage {
  const context = passageContext(title, chunk.headings)
  return { text: context + chunk.text, contextLength: context.length }
}

function toVectors({ vector, words }: Embedding): Vectors {
  return { vector, wordBits: words?.bits ?? new Uint8Array() }
}

function toPoint({ tenant, documentId, chunks }: Part, chunk: Chunk, { vector, wordBits }: Vectors): Point {
  const { version, build, title, access, metadata } = chunks
  return {
    id: pointId(tenant, documentId, version, build, chunk.index),
    tenant,
    documentId,
    version,
    build,
    index: chunk.index,
    text: chunk.text,
    title,
    headings: chunk.headings,
    page: chunk.page,
    start: chunk.start,
    end: chunk.end,
    access,
    metadata,
    terms: terms(`${title ?? ''}\n${chunk.headings.join('\n')}\n${chunk.text}`),
    vector,
    wordBits,
  }
}
