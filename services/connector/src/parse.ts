import type { Chunk } from '@aquifer/contracts/types'
import { screenDocument } from '@aquifer/guard/policy'
import type { Action, GuardPolicy } from '@aquifer/guard/policy'
import { fingerprint } from '@aquifer/text/fingerprint'

import { chunkDocument } from './chunk/chunk.ts'
import type { ChunkOptions, CountTokens } from './chunk/chunk.ts'
import { fitTitle } from './chunk/context.ts'
import { redactDocument } from './redact-document.ts'
import type { LoadLimits } from './load/document.ts'
import { detectLanguage, languageTag } from './load/language.ts'
import { loadDocument } from './load/loaders.ts'
import type { SourceFile } from './load/loaders.ts'
import { normalizeText } from './load/normalize.ts'

export interface ParseInput extends SourceFile {
  /** The producer's title; it goes before the one in the document. */
  readonly title: string | null
  /** What it is tried with where it is protected. */
  readonly passwords?: readonly string[]
}

export interface ParsedDocument {
  /** What `/text` serves and the chunks' ranges refer to. */
  readonly text: string
  /** As the chunks were measured with it: the producer's, else the document's, else the file's name; cut where it is long. */
  readonly title: string | null
  /** BCP 47: as the document says, else as its text shows. */
  readonly language: string | null
  /** Near-identical texts have one no further than `NEAR_DISTANCE` from each other; null where there is too little text. */
  readonly fingerprint: string | null
  /** What the content was read as. */
  readonly mediaType: string
  /** 0 where the format has none. */
  readonly pages: number
  readonly chunks: readonly Chunk[]
  /** What the first screen found, and what the policy does about it. */
  readonly guard: { readonly verdicts: readonly string[]; readonly action: Action }
}

export interface ParseSettings {
  readonly limits: LoadLimits
  readonly chunk: ChunkOptions
  readonly guard: GuardPolicy
}

/** Bytes → text, title and chunks. Computes for long: only ever called in a worker thread. Fails with a `LoadFailure`. */
export async function parseDocument(
  input: ParseInput,
  { limits, chunk, guard }: ParseSettings,
  countTokens: CountTokens,
): Promise<ParsedDocument> {
  const loaded = await loadDocument(input, limits, input.passwords)
  const { verdicts, action } = screenDocument(loaded.text, guard)
  const document = action === 'redact' ? redactDocument(loaded, guard) : loaded
  const named = normalizeText(input.title ?? '').trim() || document.title || input.filename
  const title = fitTitle(named, chunk.maxTokens, countTokens)
  return {
    text: document.text,
    title,
    language: languageTag(document.language) ?? detectLanguage(document.text),
    fingerprint: fingerprint(document.text),
    mediaType: loaded.mediaType,
    pages: document.pageStarts.length,
    chunks: chunkDocument({ ...document, title }, chunk, countTokens),
    guard: { verdicts, action },
  }
}
