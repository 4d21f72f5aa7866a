import type { Chunk } from '@aquifer/contracts/types'
import { toCodePoints } from '@aquifer/text/code-points'

import type { LoadedDocument } from '../load/document.ts'
import { loadFailure } from '../load/failures.ts'
import { createSections, sharedPath } from './context.ts'
import { groupSections, packGroup } from './pack.ts'
import type { Group } from './pack.ts'
import { cutPieces } from './pieces.ts'

/** Tokens of each text as the embedder counts them, special tokens left out. */
export type CountTokens = (texts: readonly string[]) => number[]

export interface ChunkOptions {
  /** What a chunk aims at; neighbours are joined up to it. Tokens here include the passage's context. */
  readonly targetTokens: number
  /** What no chunk exceeds: what the embedder reads, less its special tokens. */
  readonly maxTokens: number
  /** How much of the end of a chunk the next one of its section repeats, in whole sentences or blocks. */
  readonly overlapTokens: number
  /** A document of more chunks fails as `too_large`. */
  readonly maxChunks: number
}

/** 254: a BERT model of 256 positions reads two special tokens with every passage. */
export const defaultChunkOptions: ChunkOptions = {
  targetTokens: 200,
  maxTokens: 254,
  overlapTokens: 0,
  maxChunks: 20_000,
}

/** Goes into the build: raise it where the same text would be cut elsewhere. */
export const CHUNKER_VERSION = 1

/** A tokenizer counts a run of any length that it does not know as one token: characters bound a chunk too. */
export const MAX_CHARACTERS_PER_TOKEN = 8

/**
 * Cuts a document into passages. Pure, and linear in the text.
 *
 *  C1  A chunk's text is exactly the code points `start` to `end` of the document's text.
 *  C2  The chunks are in order and hold all that is not blank; without overlap, no code point twice.
 *  C3  No chunk has more than `maxTokens` with its context, nor more than `MAX_CHARACTERS_PER_TOKEN` characters a token.
 *  C4  What fits stays whole: first the block, then the row or line, the sentence, the word.
 *  C5  Sections are joined only where what stands before is a few words.
 *  C6  Where a cut falls depends on what stands around it, so an edit changes the chunks next to it and few more.
 *
 * Each block, or each sentence of a block that is too long, is measured once; sums decide from there on. Fails `too_large`.
 */
export function chunkDocument(
  document: Pick<LoadedDocument, 'text' | 'title' | 'blocks' | 'pageStarts'>,
  options: ChunkOptions,
  countTokens: CountTokens,
): Chunk[] {
  const { text } = document
  const characters = options.maxTokens * MAX_CHARACTERS_PER_TOKEN
  if (document.text.length / characters > options.maxChunks) throw tooManyChunks(options)
  const sections = createSections(document, options.maxTokens, countTokens)
  const limits = { maxTokens: options.maxTokens, maxCharacters: characters }
  const pieces = cutPieces(text, sections, limits, countTokens)
  const drafts: Draft[] = []
  for (const group of groupSections(pieces, options)) {
    for (const [from, to] of packGroup(text, group, characters)) {
      drafts.push(draft(group, from, to, options))
      if (drafts.length > options.maxChunks) throw tooManyChunks(options)
    }
  }
  return toChunks(document, drafts)
}

function tooManyChunks({ maxChunks }: ChunkOptions) {
  return loadFailure('too_large', `the text makes more than ${maxChunks} chunks: publish it in parts`)
}

interface Draft {
  readonly start: number
  readonly end: number
  readonly headings: readonly string[]
}

/** Pieces `from` to `to` (exclusive), and before them as many as the overlap asks for and the limit allows. */
function draft(group: Group, from: number, to: number, { overlapTokens }: ChunkOptions): Draft {
  const { pieces } = group
  let start = from
  if (overlapTokens > 0) {
    let room = overlapTokens
    let left = group.limit
    for (let i = from; i < to; i++) left -= pieces[i]!.tokens
    const section = pieces[from]!.section
    while (start > 0 && pieces[start - 1]!.section === section) {
      const { tokens } = pieces[start - 1]!
      if (tokens > room || tokens > left) break
      room -= tokens
      left -= tokens
      start--
    }
  }
  const first = pieces[start]!
  const paths: (readonly string[])[] = []
  for (let i = start; i < to; i++) {
    const path = pieces[i]!.section.headings
    if (path !== paths.at(-1)) paths.push(path)
  }
  const headings = sharedPath(paths)
  const table = first.tableHeader
  return { start: first.start, end: pieces[to - 1]!.end, headings: table ? [...headings, table] : headings }
}

function toChunks(
  { text, pageStarts }: Pick<LoadedDocument, 'text' | 'pageStarts'>,
  drafts: readonly Draft[],
): Chunk[] {
  const starts = toCodePoints(
    text,
    drafts.map((each) => each.start),
  )
  const ends = toCodePoints(
    text,
    drafts.map((each) => each.end),
  )
  let page = 0
  return drafts.map(({ start, end, headings }, index) => {
    while (page < pageStarts.length && pageStarts[page]! <= start) page++
    return {
      index,
      text: text.slice(start, end),
      headings,
      page: pageStarts.length === 0 ? null : Math.max(page, 1),
      start: starts[index]!,
      end: ends[index]!,
    }
  })
}
