/** The places in `text`, in UTF-16 units as strings count, of two places that count code points; past its end: its end. */
export function toUnits(text: string, start: number, end: number): readonly [number, number] {
  let points = 0
  let unit = 0
  let from = -1
  while (unit < text.length && points < end) {
    if (points === start) from = unit
    unit += text.codePointAt(unit)! > 0xffff ? 2 : 1
    points++
  }
  return [from < 0 ? unit : from, unit]
}
