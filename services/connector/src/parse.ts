import type { Chunk } from '@aquifer/contracts/types'

import { chunkDocument } from './chunk/chunk.ts'
import type { ChunkOptions, CountTokens } from './chunk/chunk.ts'
import { fitTitle } from './chunk/context.ts'
import type { LoadLimits } from './load/document.ts'
import { loadDocument } from './load/loaders.ts'
import type { SourceFile } from './load/loaders.ts'
import { normalizeText } from './load/normalize.ts'

export interface ParseInput extends SourceFile {
  /** The producer's title; it goes before the one in the document. */
  readonly title: string | null
}

export interface ParsedDocument {
  /** What `/text` serves and the chunks' ranges refer to. */
  readonly text: string
  /** As the chunks were measured with it: the producer's, else the document's, else the file's name; cut where it is long. */
  readonly title: string | null
  readonly language: string | null
  /** What the content was read as. */
  readonly mediaType: string
  /** 0 where the format has none. */
  readonly pages: number
  readonly chunks: readonly Chunk[]
}

export interface ParseSettings {
  readonly limits: LoadLimits
  readonly chunk: ChunkOptions
}

/** Bytes → text, title and chunks. Computes for long: only ever called in a worker thread. Fails with a `LoadFailure`. */
export async function parseDocument(
  input: ParseInput,
  { limits, chunk }: ParseSettings,
  countTokens: CountTokens,
): Promise<ParsedDocument> {
  const document = await loadDocument(input, limits)
  const named = normalizeText(input.title ?? '').trim() || document.title || input.filename
  const title = fitTitle(named, chunk.maxTokens, countTokens)
  return {
    text: document.text,
    title,
    language: document.language,
    mediaType: document.mediaType,
    pages: document.pageStarts.length,
    chunks: chunkDocument({ ...document, title }, chunk, countTokens),
  }
}
