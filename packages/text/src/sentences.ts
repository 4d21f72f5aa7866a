/** A half-open range of UTF-16 units. */
export type Range = readonly [start: number, end: number]

const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' })
const ABBREVIATION =
  /(?:^|[\s(\[])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|Rev|Gen|Col|Sgt|Lt|Capt|Gov|Sen|Rep|No|Nos|vs|etc|e\.g|i\.e|cf|al|ca|approx|Inc|Ltd|Co|Corp|Fig|figs?|Vol|pp?|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|U\.S|U\.K|a\.m|p\.m)\.\s*$/u

/** The sentences of a text, trimmed, in order; blank lines end one. Ranges index the text as it was given. */
export function sentences(text: string): Range[] {
  const found: [number, number][] = []
  let open: [number, number] | null = null
  for (const { segment, index } of segmenter.segment(text)) {
    open = open ? [open[0], index + segment.length] : [index, index + segment.length]
    const soFar = text.slice(open[0], open[1])
    if (ABBREVIATION.test(soFar) && !/\n\s*$/u.test(soFar)) continue
    found.push(open)
    open = null
  }
  if (open) found.push(open)
  return found.flatMap(([start, end]) => trim(text, start, end))
}

function trim(text: string, start: number, end: number): Range[] {
  const piece = text.slice(start, end)
  const from = start + (piece.length - piece.trimStart().length)
  const to = end - (piece.length - piece.trimEnd().length)
  return from < to ? [[from, to]] : []
}
