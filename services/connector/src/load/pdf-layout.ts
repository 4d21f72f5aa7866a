import type { Line } from './pdf-line.ts'
import { findTables } from './pdf-tables.ts'

export interface Paragraph {
  readonly text: string
  /** 1 to 6 for a heading, 0 for what is none. */
  readonly level: number
  readonly kind: 'paragraph' | 'list' | 'table'
}

const LIST_ITEM = /^(?:[•‣◦▪●○■–*-]|\(?\d{1,3}[.)]|\(?[a-z][.)])\s+\S/u
const ENDS_SENTENCE = /[.!?:]["'”’)\]]*$/u
/** How much larger than the text a line is set to be a heading, and how long a heading gets. */
const HEADING_SCALE = 1.12
const MAX_HEADING_LENGTH = 160
const MAX_BOLD_LENGTH = 100
/** What stands under a picture is no heading. */
const CAPTION = /^(?:fig(?:ure|\.)|table|abb(?:ildung|\.)|tab(?:elle|\.))\s*\d/iu

/** The paragraphs of each page: lines joined by their distance, size and ends; running heads and feet left out. */
export function paragraphs(pages: readonly (readonly Line[])[]): Paragraph[][] {
  const body = commonHeight(pages)
  const levels = headingLevels(pages, body)
  const boldLevel = Math.min(Math.max(0, ...levels.values()) + 1, 6)
  const font = commonFont(pages, body)
  const whole = compounds(pages)
  const heads = runningLines(pages)
  const isRunning = (page: readonly Line[], i: number) => isEdge(page, i) && heads.has(mask(page[i]!.text))
  // Pages of nothing else are a list of such lines, not a book with running heads.
  const bare = pages.every((page) => page.every((_, i) => isRunning(page, i)))
  return pages.map((page) => {
    const lines = bare ? page : page.filter((_, i) => !isRunning(page, i))
    const tables = findTables(lines)
    const pitch = linePitch(lines)
    const found: { lines: Line[]; level: number; table: string | null }[] = []
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i]!
      const table = tables.find(({ from }) => from === i)
      if (table) {
        found.push({ lines: [], level: 0, table: table.text })
        i = table.to - 1
        continue
      }
      const level = levels.get(round(line.height)) ?? 0
      const before = lines[i - 1]
      const open = found.at(-1)
      const joins =
        open?.table === null &&
        before &&
        open.level === level &&
        !changesFont(open.lines, line, font) &&
        !startsParagraph(before, line, pitch, level)
      if (joins) open.lines.push(line)
      else found.push({ lines: [line], level, table: null })
    }
    return found.map(({ lines: joined, level, table }, i) => {
      if (table !== null) return { text: table, level: 0, kind: 'table' }
      const text = joinLines(
        joined.map((line) => line.text),
        whole,
      )
      const strong =
        standsOut(joined, text, font) && found[i + 1]?.lines.some((line) => !isStrong(line, font))
      const shown = level > 0 ? level : strong ? boldLevel : 0
      const heading = shown > 0 && text.length <= MAX_HEADING_LENGTH
      return {
        text,
        level: heading ? shown : 0,
        kind: !heading && LIST_ITEM.test(text) ? 'list' : 'paragraph',
      }
    })
  })
}

/** Set in one font, which is not the text's. */
function isStrong(line: Line, font: string | null): boolean {
  return line.font !== null && line.font !== font
}

/** A heading in bold ends, or begins after a sentence's end; a line in italics within a sentence does neither. */
function changesFont(open: readonly Line[], line: Line, font: string | null): boolean {
  const before = open.at(-1)!
  if (isStrong(before, font) === isStrong(line, font) || !/^[\p{Lu}\p{Lo}\d]/u.test(line.text)) return false
  return isStrong(line, font) ? ENDS_SENTENCE.test(before.text) : open.every((each) => isStrong(each, font))
}

/** A line or two of another font than the text's, without an end of a sentence: a heading in bold. */
function standsOut(lines: readonly Line[], text: string, font: string | null): boolean {
  return (
    font !== null &&
    lines.length <= 2 &&
    lines.every((line) => isStrong(line, font) && line.cells.length === 1) &&
    text.length <= MAX_BOLD_LENGTH &&
    /^[\p{Lu}\p{Lo}\d]/u.test(text) &&
    /\p{L}{2}/u.test(text) &&
    !/[.!?;,]$/u.test(text) &&
    !LIST_ITEM.test(text) &&
    !CAPTION.test(text)
  )
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

/** Prefixes that keep their hyphen where no other line shows the word whole. */
const HYPHENATED = /(?:^|[^\p{L}])(?:self|non|well|ex|all|half|cross|long|short|high|low|real|so)[-\u2010]$/iu

/** Words with a hyphen within a line: they keep it where a line ends in it. */
function compounds(pages: readonly (readonly Line[])[]): ReadonlySet<string> {
  const found = new Set<string>()
  for (const line of pages.flat())
    for (const [word] of line.text.matchAll(/\p{L}+[-\u2010]\p{L}+/gu)) found.add(word.toLowerCase())
  return found
}

/** Words that were parted at a line's end are whole again: `exam-` and `ple`. */
function joinLines(lines: readonly string[], whole: ReadonlySet<string>): string {
  let text = ''
  for (const line of lines) {
    if (text === '') text = line
    else if (/\p{L}[-\u00ad\u2010]$/u.test(text) && /^\p{Ll}/u.test(line)) {
      const head = /\p{L}+[-\u2010]$/u.exec(text)?.[0] ?? ''
      const word = (head + (/^\p{L}+/u.exec(line)?.[0] ?? '')).toLowerCase()
      text = (whole.has(word) || HYPHENATED.test(text) ? text : text.slice(0, -1)) + line
    } else text += /[\p{L}\p{N}][—/]$/u.test(text) ? line : ` ${line}`
  }
  return text
}

/** The font that most letters of the text's size are set in. */
function commonFont(pages: readonly (readonly Line[])[], body: number): string | null {
  const letters = new Map<string, number>()
  for (const { font, height, text } of pages.flat())
    if (font !== null && round(height) === body) letters.set(font, (letters.get(font) ?? 0) + text.length)
  return [...letters].reduce<[string | null, number]>(
    (best, each) => (each[1] > best[1] ? each : best),
    [null, 0],
  )[0]
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
