import type { LoadLimits } from './document.ts'
import { loadFailure } from './failures.ts'
import type { Merge, SheetRow } from './sheet.ts'
import { attribute, child, elements, textOf } from './xml.ts'
import type { XmlNode } from './xml.ts'

export interface OpenSheet {
  readonly name: string
  readonly rows: readonly SheetRow[]
  readonly merges: readonly Merge[]
}

/** A cell that is said to stand many times stands so often at most; blank ones cost nothing. */
const MAX_REPEATS = 1000

/** The sheets of a workbook that are shown; values are the texts that the file keeps of them. */
export function readSheets(
  spreadsheet: XmlNode | undefined,
  root: XmlNode,
  { maxBlocks, maxPages }: LoadLimits,
): OpenSheet[] {
  if (!spreadsheet) return []
  const hidden = hiddenStyles(root)
  const tables = elements(spreadsheet, 'table')
  if (tables.length > maxPages)
    throw loadFailure(
      'too_large',
      `it has ${tables.length} sheets, more than ${maxPages}: publish it in parts`,
    )
  return tables.map((table) => {
    const name = attribute(table, 'name') ?? ''
    if (hidden.has(attribute(table, 'style-name') ?? '')) return { name, rows: [], merges: [] }
    return { name, ...readRows(table, maxBlocks) }
  })
}

function hiddenStyles(root: XmlNode): Set<string> {
  const styles = elements(child(root, 'automatic-styles') ?? root, 'style')
  return new Set(
    styles
      .filter((style) => attribute(child(style, 'table-properties'), 'display') === 'false')
      .map((style) => attribute(style, 'name') ?? ''),
  )
}

function readRows(table: XmlNode, maxRows: number): { rows: SheetRow[]; merges: Merge[] } {
  const rows: SheetRow[] = []
  const merges: Merge[] = []
  let number = 0
  for (const row of rowsOf(table)) {
    const repeated = Math.max(Number(attribute(row, 'number-rows-repeated') ?? 1) || 1, 1)
    const hidden = attribute(row, 'visibility') === 'collapse'
    const cells = hidden ? new Map<number, string>() : readCells(row, number, merges)
    const times = cells.size === 0 && !hidden ? 0 : Math.min(repeated, MAX_REPEATS)
    for (let i = 0; i < times; i++) rows.push({ number: number + i, cells, hidden })
    if (rows.length > maxRows)
      throw loadFailure('too_large', `a sheet has more than ${maxRows} rows: publish it in parts`)
    number += repeated
  }
  return { rows, merges }
}

function rowsOf(node: XmlNode): XmlNode[] {
  return elements(node).flatMap((each) =>
    each.name === 'table-row'
      ? [each]
      : /^table-(?:header-rows|row-group|rows)$/u.test(each.name)
        ? rowsOf(each)
        : [],
  )
}

function readCells(row: XmlNode, number: number, merges: Merge[]): Map<number, string> {
  const cells = new Map<number, string>()
  let column = 0
  for (const cell of elements(row)) {
    if (cell.name !== 'table-cell' && cell.name !== 'covered-table-cell') continue
    const repeated = Math.max(Number(attribute(cell, 'number-columns-repeated') ?? 1) || 1, 1)
    const text = elements(cell, 'p').map(textOf).join('\n').trim()
    if (text !== '') for (let i = 0; i < Math.min(repeated, MAX_REPEATS); i++) cells.set(column + i, text)
    const down = Number(attribute(cell, 'number-rows-spanned') ?? 1)
    if (down > 1) merges.push({ column, row: number, lastRow: number + down - 1 })
    column += repeated
  }
  return cells
}
