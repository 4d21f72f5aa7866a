/**
 * Ranges of the outer contract count Unicode code points; strings count UTF-16 units. Converts ascending UTF-16 offsets
 * of one text in a single pass.
 */
export function toCodePoints(text: string, ascendingOffsets: readonly number[]): number[] {
  const points: number[] = []
  let unit = 0
  let point = 0
  for (const offset of ascendingOffsets) {
    while (unit < offset && unit < text.length) {
      unit += (text.codePointAt(unit) ?? 0) > 0xffff ? 2 : 1
      point++
    }
    points.push(point)
  }
  return points
}

/** The code points `start` to `end` of a text. */
export function sliceCodePoints(text: string, start: number, end: number): string {
  return text.slice(toUnits(text, start), toUnits(text, end))
}

function toUnits(text: string, point: number): number {
  let unit = 0
  for (let left = point; left > 0 && unit < text.length; left--)
    unit += (text.codePointAt(unit) ?? 0) > 0xffff ? 2 : 1
  return unit
}

export function codePointLength(text: string): number {
  return toCodePoints(text, [text.length])[0] ?? 0
}
