import type { DocumentBuilder } from './document.ts'
import { addRecords } from './tables.ts'

/** Cells by column; both count from 0. Only what says something is there. */
export interface SheetRow {
  readonly number: number
  readonly cells: ReadonlyMap<number, string>
  /** Says nothing, but is no blank row either. */
  readonly hidden?: boolean
}

/** A cell that covers the rows below it. */
export interface Merge {
  readonly column: number
  readonly row: number
  readonly lastRow: number
}

/** What is copied into rows that a cell covers; a sheet of a person's making has fewer. */
const MAX_COPIES = 100_000

/**
 * A sheet under a heading of its name. Blank rows part its tables; a row of one cell before a table is a line of text. Each
 * row begins with its number and each column's name with its letter, so that `B7` can be found from what is quoted.
 */
export function addSheet(
  builder: DocumentBuilder,
  name: string,
  rows: readonly SheetRow[],
  merges: readonly Merge[],
): void {
  const filled = copyDown(rows, merges).filter((row) => row.cells.size > 0 || row.hidden)
  if (filled.every((row) => row.hidden)) return
  builder.heading(1, name)
  for (const table of tables(filled)) {
    let first = 0
    // A line of text above a table, or alone.
    while (table[first]?.cells.size === 1 && (widest(table) > 1 || table.length === 1)) {
      for (const text of table[first]!.cells.values()) builder.add('paragraph', text)
      first++
    }
    const records = table.slice(first)
    if (records.length > 0) addTable(builder, records)
  }
}

function addTable(builder: DocumentBuilder, rows: readonly SheetRow[]): void {
  const columns = [...new Set(rows.flatMap((row) => [...row.cells.keys()]))].sort((a, b) => a - b)
  const cellsOf = (row: SheetRow) => columns.map((column) => row.cells.get(column) ?? '')
  const [head, ...rest] = rows
  const hasHeader =
    rest.length > 0 && [...head!.cells.values()].every((text) => !/^[-+]?[\d.,]+%?$/u.test(text))
  const header = columns.map((column) => {
    const name = hasHeader ? (head!.cells.get(column) ?? '') : ''
    return name === '' ? letters(column) : `${letters(column)} ${name}`
  })
  const records = (hasHeader ? rest : rows).map((row) => ({
    lead: String(row.number + 1),
    cells: cellsOf(row),
  }))
  addRecords(builder, header, records)
}

/** Runs of rows without a blank one between them. */
function tables(rows: readonly SheetRow[]): SheetRow[][] {
  const found: SheetRow[][] = []
  for (const row of rows) {
    const open = found.at(-1)
    if (open && open.at(-1)!.number === row.number - 1) open.push(row)
    else found.push([row])
  }
  return found.map((each) => each.filter((row) => !row.hidden)).filter((each) => each.length > 0)
}

function widest(rows: readonly SheetRow[]): number {
  return rows.reduce((most, row) => Math.max(most, row.cells.size), 0)
}

function copyDown(rows: readonly SheetRow[], merges: readonly Merge[]): readonly SheetRow[] {
  if (merges.length === 0) return rows
  const byNumber = new Map(rows.map((row) => [row.number, new Map(row.cells)]))
  let copies = 0
  for (const { column, row, lastRow } of merges) {
    const text = byNumber.get(row)?.get(column)
    if (text === undefined) continue
    for (let at = row + 1; at <= lastRow && copies < MAX_COPIES; at++) {
      copies++
      const cells = byNumber.get(at)
      // A row that says nothing else stays blank.
      if (cells && cells.size > 0) cells.set(column, text)
    }
  }
  return rows.map((row) => ({ ...row, cells: byNumber.get(row.number)! }))
}

/** 0 → A, 26 → AA. */
export function letters(column: number): string {
  const rest = Math.floor(column / 26)
  return (rest > 0 ? letters(rest - 1) : '') + String.fromCharCode(65 + (column % 26))
}
