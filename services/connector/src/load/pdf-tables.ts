import type { Line, LineCell } from './pdf-line.ts'
import { tableRow } from './tables.ts'

/** Lines `from` to `to` (exclusive) of a page. */
export interface FoundTable {
  readonly from: number
  readonly to: number
  readonly text: string
}

/** Rows of a table stand no further apart than this, in heights of their letters. */
const MAX_ROW_GAP = 4
/** Cells longer than this are columns of prose. */
const MAX_CELL_LENGTH = 80
const LIST_MARK = /^(?:[•‣◦▪●○■–*-]|\(?[\p{L}\p{N}]{1,4}[.)]|\[\d+\])$/u
const LEADERS = /(?:\. ?){4,}/u

/**
 * Tables of a page: lines one under another whose words stand in the same columns with wide gaps between. What is drawn
 * around them is not looked at.
 */
export function findTables(lines: readonly Line[]): FoundTable[] {
  const found: FoundTable[] = []
  for (let from = 0; from < lines.length;) {
    let to = from
    while (to < lines.length && isRow(lines[to]!) && (to === from || follows(lines[to - 1]!, lines[to]!)))
      to++
    const text = to - from >= 2 ? tableOf(lines.slice(from, to)) : null
    if (text !== null) found.push({ from, to, text })
    from = Math.max(to, from + 1)
  }
  return found
}

function isRow({ cells }: Line): boolean {
  return cells.length >= 2 && cells.every((cell) => cell.text.length <= MAX_CELL_LENGTH)
}

function follows(before: Line, line: Line): boolean {
  const gap = before.across - line.across
  return gap > 0 && gap <= Math.max(before.height, line.height) * MAX_ROW_GAP
}

function tableOf(lines: readonly Line[]): string | null {
  const marked = lines.filter(({ cells }) => LIST_MARK.test(cells[0]!.text) && cells.length === 2)
  if (marked.length * 2 > lines.length || lines.some((line) => LEADERS.test(line.text))) return null
  const columns = columnsOf(lines)
  if (columns.length < 2) return null
  const rows = lines.map(({ cells }) => {
    const row = columns.map(() => '')
    for (const cell of cells) {
      const at = nearest(columns, cell)
      row[at] = row[at] === '' ? cell.text : `${row[at]} ${cell.text}`
    }
    return row
  })
  // Every column is one in two rows at least; otherwise the gaps only happen to be there.
  const aligned = columns.every((_, i) => rows.filter((row) => row[i] !== '').length >= 2)
  return aligned || lines.length >= 3 ? rows.map((row) => tableRow(row)).join('\n') : null
}

/** Where the cells of the rows with the most of them stand; those that overlap over the rows are one column. */
function columnsOf(lines: readonly Line[]): { from: number; to: number }[] {
  const most = Math.max(...lines.map(({ cells }) => cells.length))
  const columns: { from: number; to: number }[] = []
  const full = lines.filter(({ cells }) => cells.length === most).flatMap(({ cells }) => cells)
  for (const { from, to } of full.sort((a, b) => a.from - b.from)) {
    const open = columns.at(-1)
    if (open && from < open.to) open.to = Math.max(open.to, to)
    else columns.push({ from, to })
  }
  return columns
}

/** The column that a cell overlaps most, else the nearest by its middle. */
function nearest(columns: readonly { from: number; to: number }[], { from, to }: LineCell): number {
  let best = 0
  let bestScore = -Infinity
  for (const [i, column] of columns.entries()) {
    const overlap = Math.min(to, column.to) - Math.max(from, column.from)
    const score = overlap > 0 ? overlap : -Math.abs((from + to) / 2 - (column.from + column.to) / 2)
    if (score > bestScore) {
      best = i
      bestScore = score
    }
  }
  return best
}
