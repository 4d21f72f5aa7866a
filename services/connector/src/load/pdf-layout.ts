/** A run of text as pdf.js gives it: `transform` is [a b c d e f], its last two the place of the run's origin. */
export interface TextItem {
  readonly str: string
  readonly transform: readonly number[]
  readonly width: number
  readonly height: number
  readonly hasEOL: boolean
}

/** A line of a page; `along` and `across` are measured in the direction of its writing, so that a turned page reads too. */
export interface Line {
  readonly text: string
  readonly height: number
  readonly along: number
  readonly end: number
  readonly across: number
}

export interface Paragraph {
  readonly text: string
  /** 1 to 6 for a heading, 0 for what is none. */
  readonly level: number
  readonly list: boolean
}

/** The lines of one page, in reading order. */
export function pageLines(items: readonly TextItem[]): Line[] {
  const lines: Line[] = []
  let run: TextItem[] = []
  const close = () => {
    const line = toLine(run)
    if (line) lines.push(line)
    run = []
  }
  for (const item of items) {
    run.push(item)
    if (item.hasEOL) close()
  }
  close()
  return lines
}

function toLine(items: readonly TextItem[]): Line | null {
  const text = items
    .map((item) => item.str)
    .join('')
    .trim()
  const shown = items.filter((item) => item.str.trim() !== '')
  const first = shown[0]
  const last = shown.at(-1)
  if (!first || !last) return null
  const [a = 1, b = 0] = first.transform
  const size = Math.hypot(a, b) || 1
  const place = ({ transform: [, , , , x = 0, y = 0] }: TextItem) =>
    [(x * a + y * b) / size, (y * a - x * b) / size] as const
  // The height of most of its letters: a footnote mark or an initial does not make the line.
  const tallest = shown.reduce((best, item) => (item.str.length > best.str.length ? item : best))
  return {
    text,
    height: tallest.height,
    along: place(first)[0],
    end: place(last)[0] + last.width,
    across: place(first)[1],
  }
}

const LIST_ITEM = /^(?:[•‣◦▪●○■–*-]|\(?\d{1,3}[.)]|\(?[a-z][.)])\s+\S/u
const ENDS_SENTENCE = /[.!?:]["'”’)\]]*$/u
/** How much larger than the text a line is set to be a heading, and how long a heading gets. */
const HEADING_SCALE = 1.12
const MAX_HEADING_LENGTH = 160

/** The paragraphs of each page: lines joined by their distance, size and ends; running heads and feet left out. */
export function paragraphs(pages: readonly (readonly Line[])[]): Paragraph[][] {
  const body = commonHeight(pages)
  const levels = headingLevels(pages, body)
  const running = runningLines(pages)
  return pages.map((page) => {
    const lines = page.filter((line, i) => !isEdge(page, i) || !running.has(mask(line.text)))
    const pitch = linePitch(lines)
    const found: { lines: Line[]; level: number }[] = []
    for (const [i, line] of lines.entries()) {
      const level = levels.get(round(line.height)) ?? 0
      const before = lines[i - 1]
      const open = found.at(-1)
      const joins = open && before && open.level === level && !startsParagraph(before, line, pitch, level)
      if (joins) open.lines.push(line)
      else found.push({ lines: [line], level })
    }
    return found.map(({ lines: joined, level }) => {
      const text = joinLines(joined.map((line) => line.text))
      const heading = level > 0 && text.length <= MAX_HEADING_LENGTH
      return { text, level: heading ? level : 0, list: !heading && LIST_ITEM.test(text) }
    })
  })
}

function startsParagraph(before: Line, line: Line, pitch: number, level: number): boolean {
  const gap = before.across - line.across
  // Upwards: the next column, where a sentence may go on.
  if (gap < -line.height / 2)
    return level > 0 || ENDS_SENTENCE.test(before.text) || !/^\p{Ll}/u.test(line.text)
  if (gap > Math.max(pitch * 1.3, line.height * 1.1)) return true
  if (LIST_ITEM.test(line.text)) return true
  if (level > 0 || gap < line.height / 2) return false
  const indented = line.along - before.along > line.height && ENDS_SENTENCE.test(before.text)
  return indented && !LIST_ITEM.test(before.text)
}

/** Words that were parted at a line's end are whole again: `exam-` and `ple`. */
function joinLines(lines: readonly string[]): string {
  let text = ''
  for (const line of lines) {
    if (text === '') text = line
    else if (/\p{L}[-\u00ad\u2010]$/u.test(text) && /^\p{Ll}/u.test(line)) text = text.slice(0, -1) + line
    else text += ` ${line}`
  }
  return text
}

function round(height: number): number {
  return Math.round(height * 2) / 2
}

/** The size that most letters are set in. */
function commonHeight(pages: readonly (readonly Line[])[]): number {
  const letters = new Map<number, number>()
  for (const line of pages.flat())
    letters.set(round(line.height), (letters.get(round(line.height)) ?? 0) + line.text.length)
  return [...letters].reduce((best, each) => (each[1] > best[1] ? each : best), [0, 0] as [number, number])[0]
}

/** Larger sizes than the text's, the largest first, as levels 1 to 6. */
function headingLevels(pages: readonly (readonly Line[])[], body: number): Map<number, number> {
  const sizes = new Set(pages.flat().map((line) => round(line.height)))
  const larger = [...sizes]
    .filter((size) => size >= body * HEADING_SCALE && size > body + 0.5)
    .sort((a, b) => b - a)
  return new Map(larger.map((size, i) => [size, Math.min(i + 1, 6)]))
}

/** The distance of lines within a paragraph: the lower quartile of all downward steps. */
function linePitch(lines: readonly Line[]): number {
  const steps = lines
    .slice(1)
    .map((line, i) => lines[i]!.across - line.across)
    .filter((step) => step > 0)
    .sort((a, b) => a - b)
  return steps[Math.floor(steps.length / 4)] ?? 0
}

/** Heads and feet: the same first or last line, page numbers aside, on at least three pages and on half of all. */
function runningLines(pages: readonly (readonly Line[])[]): Set<string> {
  const counts = new Map<string, number>()
  for (const page of pages)
    for (const text of new Set(page.filter((_, i) => isEdge(page, i)).map((line) => mask(line.text))))
      counts.set(text, (counts.get(text) ?? 0) + 1)
  return new Set(
    [...counts].filter(([, count]) => count >= Math.max(3, pages.length / 2)).map(([text]) => text),
  )
}

function isEdge(page: readonly Line[], i: number): boolean {
  return i === 0 || i === page.length - 1
}

function mask(text: string): string {
  return text.replace(/\d+/gu, '#')
}
