/**
 * Ranges of the outer contract count Unicode code points; strings count UTF-16 units. Converts ascending UTF-16 offsets
 * of one text in a single pass. An offset within a surrogate pair counts the pair whole; one beyond the text, its end.
 */
export function toCodePoints(text: string, ascendingOffsets: readonly number[]): number[] {
  // Most texts have none beyond the first plane: there the two counts are one.
  if (!SURROGATE.test(text)) return ascendingOffsets.map((offset) => Math.min(offset, text.length))
  const points: number[] = []
  let unit = 0
  let point = 0
  for (const offset of ascendingOffsets) {
    while (unit < offset && unit < text.length) {
      unit += isPair(text, unit) ? 2 : 1
      point++
    }
    points.push(point)
  }
  return points
}

/** The code points `start` to `end` of a text. */
export function sliceCodePoints(text: string, start: number, end: number): string {
  if (!SURROGATE.test(text)) return text.slice(start, end)
  const from = toUnits(text, start, 0)
  return text.slice(from, toUnits(text, end - start, from))
}

/** The unit that is `points` code points after the unit `from`. */
function toUnits(text: string, points: number, from: number): number {
  let unit = from
  for (let left = points; left > 0 && unit < text.length; left--) unit += isPair(text, unit) ? 2 : 1
  return unit
}

export function codePointLength(text: string): number {
  return toCodePoints(text, [text.length])[0] ?? 0
}

// Without the flag u, which would look for surrogates that stand alone.
// oxlint-disable-next-line require-unicode-regexp
const SURROGATE = /[\ud800-\udbff]/

function isPair(text: string, unit: number): boolean {
  return (text.codePointAt(unit) ?? 0) > 0xffff
}
