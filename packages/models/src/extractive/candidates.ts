import { sentences } from '@aquifer/text/sentences'
import type { Range } from '@aquifer/text/sentences'
import type { EvidencePassage } from '../generator.ts'
import { wordsOf } from './words.ts'
import type { Word } from './words.ts'

/** A sentence of the evidence that could be quoted. Ranges and words index the passage's text. */
export interface Candidate {
  readonly passage: number
  readonly start: number
  readonly end: number
  /** Which of its passage's candidates it is. */
  readonly order: number
  readonly words: readonly Word[]
  readonly stems: ReadonlySet<string>
}

export interface ReadPassage {
  readonly marker: string
  readonly text: string
  readonly score: number
  /** Stems of title and headings. */
  readonly titleStems: ReadonlySet<string>
  readonly stems: ReadonlySet<string>
  readonly candidates: readonly Candidate[]
}

/** More evidence than this is left unread: it is ordered best first, and an answer has two sentences. */
export const EVIDENCE_LIMITS = {
  passages: 12,
  passageCharacters: 8_000,
  candidatesPerPassage: 60,
  quoteCharacters: 600,
  words: 120,
} as const

/** Anything that a reader could take for a citation; a quote never holds one, or it would cite what it does not come from. */
const MARKER = /\[[^\][\n]{1,16}\]/gu

export function readPassage(passage: EvidencePassage, index: number): ReadPassage {
  const text = passage.text.slice(0, EVIDENCE_LIMITS.passageCharacters)
  const all = sentences(text)
  const headings = new Set([passage.title, ...passage.headings].map((line) => line?.trim().toLowerCase()))
  const said = all.filter(([start, end]) => !headings.has(text.slice(start, end).toLowerCase()))
  // A heading names its subject and says nothing of it; it is quoted only where there is nothing else.
  const ranges = (said.length > 0 ? said : all)
    .flatMap(([start, end]) => withoutMarkers(text, start, end))
    .flatMap(([start, end]) => inPieces(text, start, end))
    .slice(0, EVIDENCE_LIMITS.candidatesPerPassage)
  const candidates = ranges.map(([start, end], order): Candidate => {
    const words = wordsOf(text.slice(start, end), start).slice(0, EVIDENCE_LIMITS.words)
    return { passage: index, start, end, order, words, stems: new Set(words.map((word) => word.stem)) }
  })
  const title = [passage.title ?? '', ...passage.headings].join(' ').slice(0, 1_000)
  return {
    marker: passage.marker,
    text,
    score: passage.score,
    titleStems: new Set(wordsOf(title).flatMap((word) => (word.stop ? [] : [word.stem]))),
    stems: new Set(candidates.flatMap((candidate) => [...candidate.stems])),
    candidates: candidates.filter((candidate) => candidate.words.length > 0),
  }
}

/** A range as pieces that a reader can take in: cut at a space where there is one, never inside a character. */
function inPieces(text: string, start: number, end: number): Range[] {
  const pieces: Range[] = []
  let from = start
  while (end - from > EVIDENCE_LIMITS.quoteCharacters) {
    const most = from + EVIDENCE_LIMITS.quoteCharacters
    const space = text.lastIndexOf(' ', most)
    const to = space > from ? space : most - (/[\uD800-\uDBFF]/.test(text.charAt(most - 1)) ? 1 : 0)
    pieces.push([from, to])
    from = space > from ? space + 1 : to
  }
  if (from < end) pieces.push([from, end])
  return pieces.flatMap(([a, b]) => trimmed(text, a, b))
}

/** The parts of a range between citation-like marks, trimmed. */
function withoutMarkers(text: string, start: number, end: number): Range[] {
  const parts: Range[] = []
  let from = start
  for (const match of text.slice(start, end).matchAll(MARKER)) {
    parts.push([from, start + match.index])
    from = start + match.index + match[0].length
  }
  parts.push([from, end])
  return parts.flatMap(([a, b]) => trimmed(text, a, b))
}

/** A range without the space around it; nothing where no letter or digit is left. */
function trimmed(text: string, start: number, end: number): Range[] {
  const piece = text.slice(start, end)
  if (!/[\p{L}\p{N}]/u.test(piece)) return []
  const from = start + (piece.length - piece.trimStart().length)
  return [[from, from + piece.trim().length]]
}
