import type { Range } from '@aquifer/text/sentences'
import { sentences } from '@aquifer/text/sentences'

/** A longer line is cut here first: sentence splitting costs more than linear time in the length of one piece. */
export const MAX_LINE_UNITS = 2_000
const LIST_MARK = /^(?:[-*•–·]|\(?\d{1,3}[.)]|[a-z][.)])\s+/u

/** The lines of a text without their list marks; overlong ones cut at a space. UTF-16 units. */
export function* lines(text: string): Generator<Range> {
  let from = 0
  while (from < text.length) {
    const newline = text.indexOf('\n', from)
    let to = newline < 0 ? text.length : newline
    if (to - from > MAX_LINE_UNITS) to = cutAt(text, from)
    const line = text.slice(from, to)
    const start = from + (line.length - line.trimStart().length)
    const mark = LIST_MARK.exec(text.slice(start, Math.min(to, start + 12)))?.[0].length ?? 0
    const end = to - (line.length - line.trimEnd().length)
    if (start + mark < end) yield [start + mark, end]
    from = to === newline ? to + 1 : to
  }
}

function cutAt(text: string, from: number): number {
  const space = text.lastIndexOf(' ', from + MAX_LINE_UNITS)
  if (space > from + MAX_LINE_UNITS / 2) return space
  const to = from + MAX_LINE_UNITS
  return /[\uD800-\uDBFF]/.test(text[to - 1] ?? '') ? to - 1 : to
}

/** The sentences of one line of a text, as ranges of that text. */
export function sentencesOfLine(text: string, [start, end]: Range): Range[] {
  return sentences(text.slice(start, end)).map(([from, to]) => [start + from, start + to])
}
