/** A run of text as pdf.js gives it: `transform` is [a b c d e f], its last two the place of the run's origin. */
export interface TextItem {
  readonly str: string
  readonly transform: readonly number[]
  readonly width: number
  readonly height: number
  readonly hasEOL: boolean
  readonly dir?: string
  readonly fontName?: string
}

/** Words of a line with wide gaps around them, such as a table's cell. */
export interface LineCell {
  readonly text: string
  readonly from: number
  readonly to: number
}

/** A line of a page; `along` and `across` are measured in the direction of its writing, so that a turned page reads too. */
export interface Line {
  readonly text: string
  readonly height: number
  readonly along: number
  readonly end: number
  readonly across: number
  readonly cells: readonly LineCell[]
  /** That all of it is set in; null where there are several. */
  readonly font: string | null
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

/** A gap wider than this, in heights of the letters, parts cells; words are set closer even where lines are justified. */
const CELL_GAP = 1.3

function toLine(run: readonly TextItem[]): Line | null {
  const shown = run.filter((item) => item.str.trim() !== '')
  const [first] = shown
  if (!first) return null
  const [a = 1, b = 0] = first.transform
  const size = Math.hypot(a, b) || 1
  const place = ({ transform: [, , , , x = 0, y = 0] }: TextItem) =>
    [(x * a + y * b) / size, (y * a - x * b) / size] as const
  // The height of most of its letters: a footnote mark or an initial does not make the line.
  const tallest = shown.reduce((best, item) => (item.str.length > best.str.length ? item : best))
  const across = place(tallest)[1]
  const cells: { text: string; from: number; to: number }[] = []
  let text = ''
  for (const item of inReadingOrder(run)) {
    const raised = item.height < tallest.height * 0.8 && place(item)[1] - across > tallest.height * 0.15
    const said = clean(raised ? superscript(item.str) : item.str)
    text += said
    if (said.trim() === '') {
      if (cells.length > 0) cells.at(-1)!.text += said
      continue
    }
    const [from] = place(item)
    const to = from + item.width
    const open = cells.at(-1)
    const gap = open ? Math.max(from - open.to, open.from - to) : Infinity
    if (open && gap < tallest.height * CELL_GAP) {
      open.text += said
      open.from = Math.min(open.from, from)
      open.to = Math.max(open.to, to)
    } else cells.push({ text: said, from, to })
  }
  if (text.trim() === '') return null
  const fonts = new Set(shown.map((item) => item.fontName))
  return {
    text: text.replace(/ {2,}/gu, ' ').trim(),
    height: tallest.height,
    along: Math.min(...cells.map((cell) => cell.from)),
    end: Math.max(...cells.map((cell) => cell.to)),
    across,
    cells: cells.map((cell) => ({ ...cell, text: cell.text.trim() })),
    font: fonts.size === 1 ? (first.fontName ?? null) : null,
  }
}

/** Runs come in the order of their places, from the left; a line of Arabic or Hebrew is read from the right. */
function inReadingOrder(run: readonly TextItem[]): readonly TextItem[] {
  const letters = { rtl: 0, ltr: 0 }
  for (const { str, dir } of run) if (/\p{L}/u.test(str)) letters[dir === 'rtl' ? 'rtl' : 'ltr'] += str.length
  // A run of both directions was put in order as a whole.
  const mixed = run.some(({ str }) => /\p{Script=Latin}/u.test(str) && RIGHT_TO_LEFT.test(str))
  if (letters.rtl <= letters.ltr || mixed) return run
  const ordered: TextItem[] = []
  let stretch: TextItem[] = []
  for (const item of run) {
    // Words from the left to the right keep their order within the line.
    if (item.dir !== 'rtl' && (item.str.trim() !== '' || stretch.length > 0)) stretch.push(item)
    else {
      ordered.unshift(item, ...stretch.splice(0))
    }
  }
  ordered.unshift(...stretch)
  return ordered
}

const RIGHT_TO_LEFT = /[\p{Script=Arabic}\p{Script=Hebrew}]/u

const RAISED: Readonly<Record<string, string>> = {
  '0': '⁰',
  '1': '¹',
  '2': '²',
  '3': '³',
  '4': '⁴',
  '5': '⁵',
  '6': '⁶',
  '7': '⁷',
  '8': '⁸',
  '9': '⁹',
}

/** Without it, a mark behind a number would be one of its digits. */
function superscript(text: string): string {
  return text.replace(/\d/gu, (digit) => RAISED[digit]!)
}

/** Bullets of symbol fonts become bullets; other places of a font's own say nothing outside it. */
function clean(text: string): string {
  return text
    .replace(/[\uf0b7\uf0a7\uf0d8\uf076]/gu, '•')
    .replace(/[\ue000-\uf8ff\u{f0000}-\u{ffffd}\u{100000}-\u{10fffd}]/gu, '')
}
