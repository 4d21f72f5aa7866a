import type { Citation, Evidence } from '@aquifer/contracts/types'
import { toCodePoints } from '@aquifer/text/code-points'
import { sentences } from '@aquifer/text/sentences'
import { terms } from '@aquifer/text/terms'

/** How an answer names its n-th piece of evidence, from 1. */
export function marker(n: number): string {
  return `[${n}]`
}

const MARKER = /\[(\d{1,3})\]/g

/**
 * The citations of an answer: each marker with the passage's sentence that bears most of what was said before it. Quotes are
 * exact slices of the document's text. A marker that names no evidence cites nothing.
 */
export function findCitations(answer: string, evidence: readonly Evidence[]): Citation[] {
  const citations: Citation[] = []
  const seen = new Set<string>()
  let from = 0
  let claim = ''
  for (const match of answer.matchAll(MARKER)) {
    const between = answer.slice(from, match.index)
    // Markers that stand together share the claim before them.
    if (/[\p{L}\p{N}]/u.test(between)) claim = between
    from = match.index + match[0].length
    const source = evidence[Number(match[1]) - 1]
    if (!source) continue
    const [start, end] = supportingRange(lastSentence(claim), source.text)
    const { text, score: _score, headings: _headings, ...range } = source
    const points = toCodePoints(text, [start, end])
    const citation = {
      ...range,
      marker: match[0],
      start: source.start + points[0]!,
      end: source.start + points[1]!,
      quote: text.slice(start, end),
    }
    const key = `${citation.marker}:${citation.start}`
    if (!seen.has(key)) citations.push(citation)
    seen.add(key)
  }
  return citations
}

function lastSentence(text: string): string {
  const last = sentences(text).at(-1)
  return last ? text.slice(...last) : text
}

/** The claim itself where the passage has it word for word, else the sentence that shares most of its terms. */
function supportingRange(claim: string, passage: string): readonly [number, number] {
  const wanted = claim.trim().replace(/^["“”'…\s]+|["“”'…\s]+$/gu, '')
  // Half a surrogate pair would cut a character of the passage.
  const exact = wanted === '' || !wanted.isWellFormed() ? -1 : passage.indexOf(wanted)
  if (exact >= 0) return [exact, exact + wanted.length]
  const claimTerms = new Set(terms(claim))
  let best: readonly [number, number] = [0, passage.length]
  let most = 0
  for (const range of sentences(passage)) {
    const own = new Set(terms(passage.slice(...range)))
    const shared = [...claimTerms].filter((term) => own.has(term)).length / Math.sqrt(own.size + 1)
    if (shared > most) {
      most = shared
      best = range
    }
  }
  return best
}

/** An answer without its markers: what was said. */
export function withoutMarkers(answer: string): string {
  return answer
    .replace(MARKER, '')
    .replace(/ +([.,;])/g, '$1')
    .replace(/ {2,}/g, ' ')
    .trim()
}
