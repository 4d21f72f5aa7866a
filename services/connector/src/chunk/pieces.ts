import { passageContext } from '@aquifer/text/passage'
import { sentences } from '@aquifer/text/sentences'
import type { Range } from '@aquifer/text/sentences'

import type { Block } from '../load/document.ts'
import type { CountTokens } from './chunk.ts'

export interface Section {
  readonly blocks: readonly Block[]
  /** As its passages carry them: shortened where the whole path leaves too little room. */
  readonly headings: readonly string[]
  readonly contextTokens: number
}

/** What is never parted: a block that fits, or a part of one that does not. Offsets are UTF-16 units. */
export interface Piece {
  readonly start: number
  readonly end: number
  /** With the blank that follows it. */
  readonly tokens: number
  readonly section: Section
  readonly heading: boolean
  /** 0: begins a block; higher: stands within one, and the higher the worse a cut before it. */
  readonly depth: number
  /** For a later row of a table that was split: what its columns mean, and the tokens that takes as context. */
  readonly tableHeader: string | null
  readonly headerTokens: number
}

export interface CutLimits {
  readonly maxTokens: number
  readonly maxCharacters: number
}

/** All blocks of all sections as pieces, in order, each no larger than a passage of its section. */
export function cutPieces(
  text: string,
  sections: readonly Section[],
  { maxTokens, maxCharacters }: CutLimits,
  countTokens: CountTokens,
): Piece[] {
  const blocks = sections.flatMap((section) => section.blocks.map((block) => ({ block, section })))
  const ruler = createRuler(text, maxCharacters / 2, countTokens)
  const sizes = ruler.measure(
    blocks.map(({ block }) => [block.start, block.end]),
    text.length,
  )
  const pieces: Piece[] = []
  for (const [i, { block, section }] of blocks.entries()) {
    const heading = block.kind === 'heading'
    const before = pieces.at(-1)
    // A block right under its heading shares a passage with it.
    const taken = before?.heading && before.section === section && !heading ? before.tokens : 0
    const limit = Math.max(1, maxTokens - section.contextTokens)
    const tokens = sizes[i]!
    if (tokens <= limit - taken) {
      const { start, end } = block
      pieces.push({ start, end, tokens, section, heading, depth: 0, tableHeader: null, headerTokens: 0 })
      continue
    }
    const next = blocks[i + 1]?.block.start ?? text.length
    const header = tableHeader(text, block, limit, countTokens)
    const room = {
      tokens: Math.max(1, limit - header.tokens - Math.min(taken, limit / 2)),
      characters: maxCharacters / 2,
    }
    for (const [k, part] of cutBlock(text, block, next, room, ruler).entries())
      pieces.push({
        ...part,
        section,
        heading,
        tableHeader: k === 0 ? null : header.text,
        headerTokens: k === 0 ? 0 : header.tokens,
      })
  }
  return pieces
}

interface Room {
  readonly tokens: number
  readonly characters: number
}

/** From the gentlest cut to the one that always fits. */
const CUTTERS: readonly ((text: string, start: number, end: number, room: Room) => Range[])[] = [
  (text, start, end) => sentences(text.slice(start, end)).map(([from, to]) => [start + from, start + to]),
  cutLines,
  cutWords,
  cutCodePoints,
]

type Part = Pick<Piece, 'start' | 'end' | 'tokens' | 'depth'>

function cutBlock(text: string, block: Block, next: number, room: Room, ruler: Ruler): Part[] {
  // Rows and lines of code are no sentences.
  const first = block.kind === 'table' || block.kind === 'code' ? 1 : 0
  const cut = (from: number, to: number, end: number, depth: number): Part[] => {
    const cutter = CUTTERS[depth]!
    const ranges = cutter(text, from, to, room)
    const sizes = cutter === cutCodePoints ? ruler.measureEndless(ranges) : ruler.measure(ranges, end)
    return ranges.flatMap(([start, stop], i) => {
      const tokens = sizes[i]!
      if (tokens <= room.tokens || cutter === cutCodePoints)
        return { start, end: stop, tokens, depth: depth + 1 }
      return cut(start, stop, ranges[i + 1]?.[0] ?? end, depth + 1)
    })
  }
  const [head, ...rest] = cut(block.start, block.end, next, first)
  return head ? [{ ...head, depth: 0 }, ...rest] : []
}

interface Ruler {
  /** Tokens from each range's start to the next one's, so that the blanks between are counted too. Infinity for what is
   * too long whatever its tokens are. */
  measure(ranges: readonly Range[], end: number): number[]
  /** Tokens of parts of words without end. */
  measureEndless(ranges: readonly Range[]): number[]
}

/** So much of what is no language is tokenized; of the rest each byte counts as a token, which none exceeds. */
const MAX_ENDLESS = 1 << 18

function createRuler(text: string, maxCharacters: number, countTokens: CountTokens): Ruler {
  let endless = 0
  return {
    measure(ranges, end) {
      const stop = (i: number) => ranges[i + 1]?.[0] ?? end
      const short = ranges.map(([from, to]) => to - from <= maxCharacters)
      const counted = countTokens(ranges.flatMap(([from], i) => (short[i] ? text.slice(from, stop(i)) : [])))
      let next = 0
      return short.map((isShort) => (isShort ? counted[next++]! : Infinity))
    },
    measureEndless(ranges) {
      const slices = ranges.map(([from, to]) => text.slice(from, to))
      endless += slices.length === 0 ? 0 : ranges.at(-1)![1] - ranges[0]![0]
      return endless <= MAX_ENDLESS ? countTokens(slices) : slices.map((slice) => Buffer.byteLength(slice))
    },
  }
}

function cutLines(text: string, start: number, end: number): Range[] {
  const ranges: Range[] = []
  for (let from = start; from < end;) {
    const found = text.indexOf('\n', from)
    const to = found === -1 || found > end ? end : found
    const line = text.slice(from, to)
    const trimmed = line.trim()
    if (trimmed !== '') {
      const lead = line.length - line.trimStart().length
      ranges.push([from + lead, from + lead + trimmed.length])
    }
    from = to + 1
  }
  return ranges
}

/** Runs of words, up to a character for each token that fits, so that a run's tokens fit whatever its words are. */
function cutWords(text: string, start: number, end: number, { tokens }: Room): Range[] {
  const ranges: Range[] = []
  // Without the flag u: with it, a run of millions of code points overflows the stack of the matcher.
  // oxlint-disable-next-line require-unicode-regexp
  const word = /\S+/g
  word.lastIndex = start
  let open: [number, number] | null = null
  for (let found = word.exec(text); found && found.index < end; found = word.exec(text)) {
    const stop = Math.min(found.index + found[0].length, end)
    if (open && stop - open[0] > tokens) {
      ranges.push(open)
      open = null
    }
    open = [open ? open[0] : found.index, stop]
  }
  if (open) ranges.push(open)
  return ranges
}

/** A tokenizer makes four tokens of a code point at most: one for each of its UTF-8 bytes. */
function cutCodePoints(text: string, start: number, end: number, { tokens, characters }: Room): Range[] {
  const size = Math.max(2, Math.floor(Math.min(tokens / 4, characters)))
  const ranges: Range[] = []
  for (let from = start; from < end;) {
    let to = Math.min(from + size, end)
    if (to < end && text.charCodeAt(to) >= 0xdc00 && text.charCodeAt(to) <= 0xdfff) to--
    ranges.push([from, to])
    from = to
  }
  return ranges
}

/** The first row, where it leaves most of the room to the rows. */
function tableHeader(
  text: string,
  block: Block,
  limit: number,
  countTokens: CountTokens,
): { text: string | null; tokens: number } {
  if (block.kind !== 'table') return { text: null, tokens: 0 }
  const end = text.indexOf('\n', block.start)
  if (end === -1 || end >= block.end || end - block.start > limit * 4) return { text: null, tokens: 0 }
  const cells = text.slice(block.start, end).replace(/^\|\s*|\s*\|$/gu, '')
  const tokens = countTokens([passageContext(null, ['', cells])])[0]!
  return tokens <= limit / 4 ? { text: cells, tokens } : { text: null, tokens: 0 }
}
