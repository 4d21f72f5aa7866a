import { toCodePoints } from '@aquifer/text/code-points'

import { screenInjection, type TextRole } from './injection.ts'
import { findPersonal, markOf, PARAGRAPH, type TextStyle } from './personal.ts'
import type { UnsafeKind } from './unsafe-markup.ts'
import { findUnsafe } from './unsafe.ts'

export type { TextRole } from './injection.ts'

/** A half-open range of Unicode code points of the text that was given. */
export interface PointRange {
  readonly start: number
  readonly end: number
}

export interface Inspection {
  /** `score` is 0 to 1 with its threshold at 0.5; `spans` are the sentences above it. */
  readonly injection: {
    readonly score: number
    readonly flagged: boolean
    readonly kind: 'direct' | 'indirect' | null
    readonly spans: readonly PointRange[]
  }
  readonly personalData: readonly (PointRange & { readonly type: string; readonly score: number })[]
  readonly unsafe: readonly (PointRange & { readonly kind: UnsafeKind })[]
  /** The text with a mark such as `[EMAIL_ADDRESS]` for each piece of personal data, and without its active content. */
  readonly clean: string
}

/** A text as short as this is searched for names as a message is, whatever it is said to be. */
const MAX_MESSAGE_UNITS = 1000

/** All that the screen knows of a text. Linear in it; never throws. */
export function inspect(text: string, as: TextRole): Inspection {
  const injection = screenInjection(text, as)
  const style = as === 'input' || text.length <= MAX_MESSAGE_UNITS ? 'message' : 'prose'
  return {
    injection: { ...injection, spans: inCodePoints(text, injection.spans) },
    personalData: inCodePoints(text, findPersonal(text, style)),
    unsafe: inCodePoints(text, findUnsafe(text)),
    clean: clean(text, style, null),
  }
}

/** The same spans counted in code points. */
export function inCodePoints<S extends { readonly start: number; readonly end: number }>(
  text: string,
  spans: readonly S[],
): S[] {
  const offsets = [...new Set(spans.flatMap(({ start, end }) => [start, end]))].toSorted((a, b) => a - b)
  const points = toCodePoints(text, offsets)
  const pointOf = new Map(offsets.map((offset, index) => [offset, points[index] ?? 0]))
  return spans.map((span) => ({
    ...span,
    start: pointOf.get(span.start) ?? 0,
    end: pointOf.get(span.end) ?? 0,
  }))
}

// What is left may join into something new; each round takes away at least one piece, and few texts need a second.
const MAX_ROUNDS = 8

/**
 * A text without active content and personal data, of the given types or of all. A mark put in may complete an address or a
 * link, and what is taken out may join a name: both are done until neither finds anything.
 */
export function clean(text: string, style: TextStyle, types: readonly string[] | null): string {
  let left = stripUnsafe(text)
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const marked = replacePersonal(left, style, types)
    const stripped = stripUnsafe(marked)
    if (stripped === marked) return marked
    left = stripped
  }
  return left
}

/** A text without active content; where it keeps forming anew, no tag is left at all. */
export function stripUnsafe(text: string): string {
  let left = text
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const spans = findUnsafe(left)
    if (spans.length === 0) return left
    left = replaceSpans(left, spans, () => '')
  }
  left = left.replaceAll('<', '&lt;').replaceAll('](', '] (').replaceAll(']:', '] :')
  return replaceSpans(left, findUnsafe(left), () => ' ')
}

/** A text with marks for its personal data, of the given types or of all. */
export function replacePersonal(text: string, style: TextStyle, types: readonly string[] | null): string {
  // Paragraph by paragraph, as the search itself goes: only what changed is looked at again.
  return text.replace(PARAGRAPH, (paragraph) => {
    let left = paragraph
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const spans = findPersonal(left, style, types)
      if (spans.length === 0) return left
      left = replaceSpans(left, spans, ({ type }) => markOf(type))
    }
    return left
  })
}

/** Replaces ordered spans (UTF-16 units); of two that overlap, the first. */
export function replaceSpans<S extends { readonly start: number; readonly end: number }>(
  text: string,
  spans: readonly S[],
  by: (span: S) => string,
): string {
  let built = ''
  let from = 0
  for (const span of spans) {
    if (span.start < from) continue
    built += text.slice(from, span.start) + by(span)
    from = span.end
  }
  return built + text.slice(from)
}
