import type { Citation } from './types.ts'

/** A stretch of an answer: words, or a marker with what it cites. */
export interface Segment {
  readonly at: number
  readonly text: string
  readonly citation: Citation | null
}

const MARKER = /\[\d{1,3}\]/g

/** Takes an answer apart at its markers. A marker that cites several places of a passage names them in their order. */
export function segmentsOf(answer: string, citations: readonly Citation[]): Segment[] {
  const segments: Segment[] = []
  const uses = new Map<string, number>()
  let from = 0
  for (const { 0: marker, index } of answer.matchAll(MARKER)) {
    const places = citations.filter((citation) => citation.marker === marker)
    const use = uses.get(marker) ?? 0
    const citation = places[Math.min(use, places.length - 1)]
    if (!citation) continue
    uses.set(marker, use + 1)
    if (index > from) segments.push({ at: from, text: answer.slice(from, index), citation: null })
    segments.push({ at: index, text: marker, citation })
    from = index + marker.length
  }
  if (from < answer.length) segments.push({ at: from, text: answer.slice(from), citation: null })
  return segments
}

/** The sentences of an answer that is still written, without its markers and without the one that is not ended. */
export function endedSentences(answer: string): string[] {
  const parts = answer.replaceAll(MARKER, '').split(/(?<=[.!?])\s+|\n+/)
  return parts.slice(0, -1).filter((sentence) => sentence.trim() !== '')
}
