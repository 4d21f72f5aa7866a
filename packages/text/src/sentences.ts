/** A half-open range of UTF-16 units. */
export type Range = readonly [start: number, end: number]

const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' })

/** A sentence hardly ever ends with these: a name or a number follows. */
const TITLE =
  /(?:^|[\s("'“‘[])(?:Mr|Mrs|Ms|Dr|Prof|Rev|Gen|Col|Sgt|Lt|Capt|Cpl|Cmdr|Adm|Maj|Gov|Sen|Rep|Hon|Pres|Mt|Ft|St|vs|e\.g|i\.e|cf|viz|ca|approx|Figs?|figs?|Eqs?|Tab|Sec|Ch|Vol|vol|Ed|eds?|pp?|resp|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|Mon|Tue|Tues|Wed|Thu|Thurs|Fri|Sat|Sun)\.\s*$/u
const NUMBER = /(?:^|[\s("'“‘[])Nos?\.\s*$/u
/** With these it does where the next word is one that sentences begin with: `of Apple Inc. The`, but `Apple Inc. Chairman`. */
const EITHER = /(?:^|[\s("'“‘[.])(?:\p{Lu}|Jr|Sr|Inc|Ltd|Co|Corp|Bros|al|U\.S|U\.K|U\.N|D\.C|Ph\.D|St)\.\s*$/u
const STARTER =
  /^["'“‘(]*(?:The|A|An|It|Its|He|She|They|We|You|I|This|That|These|Those|There|His|Her|Their|Our|In|On|At|As|If|When|While|After|Before|Since|During|For|From|By|With|But|And|Or|So|However|Although|Some|Many|Most|What|Who|Where|Why|How|According)\b/u
/** What the checks above need to see of a sentence's end. */
const TAIL = 24

/** A line of prose broken to fit a page is about this long; a shorter one that ends without a stop is a heading or an item. */
const WRAPPED_LENGTH = 50
const LIST_MARK = /^\s*(?:[-*•‣◦▪–+|>#]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)])(?:\s|$)/u
const STOPPED = /[.!?:;…。！？]["'”’»)\]]*\s*$/u

/**
 * The sentences of a text, trimmed, in order; ranges index the text as it was given. A blank line ends one; a single line
 * break does unless it only wraps a line of prose. Linear in the text.
 */
export function sentences(text: string): Range[] {
  const found: Range[] = []
  let start = -1
  for (const { segment, index } of segmenter.segment(text)) {
    if (start === -1) start = index
    const end = index + segment.length
    if (end < text.length && goesOn(text, start, end)) continue
    const marks = referenceMarks(text, end)
    push(found, text, start, end + marks)
    start = marks > 0 ? end + marks : -1
  }
  if (start !== -1) push(found, text, start, text.length)
  return found
}

/** Whether the sentence goes on behind a place where the segmenter ends one. */
function goesOn(text: string, start: number, end: number): boolean {
  const tail = text.slice(Math.max(start, end - TAIL), end)
  const breaks = /\s*$/u.exec(tail)?.[0] ?? ''
  const lineBreaks = breaks.split('\n').length - 1
  if (lineBreaks > 1) return false
  const next = text.slice(end, end + TAIL)
  // The break of the next line is in the segment after this one where only blanks stand between.
  if (/^[^\S\n]*\n/u.test(next) && (lineBreaks > 0 || next.trim() === '')) return false
  if (lineBreaks === 1) return wraps(text, start, end, tail, next)
  if (TITLE.test(tail) || (NUMBER.test(tail) && /^\d/u.test(next))) return true
  // `"Is it?" she asked.`
  if (/["'”’»]\s*$/u.test(tail) && /^\p{Ll}/u.test(next)) return true
  return EITHER.test(tail) && !STARTER.test(next)
}

/** The segmenter ends a sentence within `.[1][2]`: the length of what still belongs to it. */
function referenceMarks(text: string, end: number): number {
  if (text.charCodeAt(end - 1) !== OPEN_BRACKET) return 0
  return /^[^[\]]{1,8}\](?:\[[^[\]]{1,8}\]){0,8}/u.exec(text.slice(end, end + 96))?.[0].length ?? 0
}

function wraps(text: string, start: number, end: number, tail: string, next: string): boolean {
  if (LIST_MARK.test(next) || STOPPED.test(tail)) return false
  if (/^\s*\p{Ll}/u.test(next)) return true
  const lineStart = Math.max(start, text.lastIndexOf('\n', end - 2) + 1)
  return end - lineStart >= WRAPPED_LENGTH && text.charCodeAt(lineStart) !== BAR
}

const BAR = 0x7c
const OPEN_BRACKET = 0x5b

function push(found: Range[], text: string, start: number, end: number): void {
  const piece = text.slice(start, end)
  const from = start + (piece.length - piece.trimStart().length)
  const to = end - (piece.length - piece.trimEnd().length)
  if (from < to) found.push([from, to])
}
