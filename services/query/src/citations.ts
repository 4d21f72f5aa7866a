import type { Citation, Evidence } from '@aquifer/contracts/types'
import { toCodePoints } from '@aquifer/text/code-points'
import { MARKER } from '@aquifer/text/markers'
import { sentences } from '@aquifer/text/sentences'
import type { Range } from '@aquifer/text/sentences'
import { terms } from '@aquifer/text/terms'

/** A person checks no more than these. */
const MAX_CITATIONS = 100

/**
 * The citations of an answer, the first 100: each marker with the passage's sentence that bears most of what was said before it.
 * Quotes are exact slices of the document's text. A marker that names no evidence cites nothing.
 */
export function findCitations(answer: string, evidence: readonly Evidence[]): Citation[] {
  const citations: Citation[] = []
  const seen = new Set<string>()
  const rangeIn = evidence.map(({ text }) => createSupport(text))
  let from = 0
  let claim = ''
  let judged = new Set<string>()
  for (const match of answer.matchAll(MARKER)) {
    if (citations.length === MAX_CITATIONS) break
    const between = answer.slice(from, match.index)
    // Markers that stand together share the claim before them.
    if (/[\p{L}\p{N}]/u.test(between)) {
      claim = lastSentence(between)
      judged = new Set()
    }
    from = match.index + match[0].length
    const n = Number(match[1]) - 1
    const source = evidence[n]
    if (!source || judged.has(match[0])) continue
    judged.add(match[0])
    const [start, end] = rangeIn[n]!(claim)
    const key = `${match[0]}:${start}`
    if (seen.has(key)) continue
    seen.add(key)
    const { text, score: _score, headings: _headings, ...range } = source
    const points = toCodePoints(text, [start, end])
    citations.push({
      ...range,
      marker: match[0],
      start: source.start + points[0]!,
      end: source.start + points[1]!,
      quote: text.slice(start, end),
    })
  }
  return citations
}

function lastSentence(text: string): string {
  const last = sentences(text).at(-1)
  return last ? text.slice(...last) : text
}

/**
 * Finds what bears a claim in one passage: the claim itself where it stands there word for word, else the sentence that shares
 * most of its terms. The passage is taken apart once, when a claim first needs it.
 */
function createSupport(passage: string): (claim: string) => Range {
  let parts: { range: Range; own: ReadonlySet<string> }[] | null = null
  return (claim) => {
    const wanted = claim.trim().replace(/^["“”'…\s]+|["“”'…\s]+$/gu, '')
    // Half a surrogate pair would cut a character of the passage.
    const exact = wanted === '' || !wanted.isWellFormed() ? -1 : passage.indexOf(wanted)
    if (exact >= 0) return [exact, exact + wanted.length]
    parts ??= sentences(passage).map((range) => ({ range, own: new Set(terms(passage.slice(...range))) }))
    const claimTerms = [...new Set(terms(claim))]
    let best: Range = [0, passage.length]
    let most = 0
    for (const { range, own } of parts) {
      const shared = claimTerms.filter((term) => own.has(term)).length / Math.sqrt(own.size + 1)
      if (shared > most) {
        most = shared
        best = range
      }
    }
    return best
  }
}
