import type { DocumentBuilder } from './document.ts'

/** A cell of a table as it stands in a file: cells that it covers are not in it. */
export interface Cell {
  readonly text: string
  readonly columns?: number
  readonly rows?: number
}

/** A header row longer than this would take the room of the rows that it is repeated for. */
const MAX_HEADER_LENGTH = 160
/** A cell covers no more than a table of a person's making has. */
const MAX_SPAN = 1000

/** Cells as a readable line; empty where no cell says anything. */
export function tableRow(cells: readonly string[]): string {
  const texts = cells.map((cell) => cell.replace(/\s+/gu, ' ').trim())
  return texts.every((text) => text === '') ? '' : `| ${texts.join(' | ')} |`
}

/**
 * Rows on lines of their own. A cell that covers several rows says its text in each of them, since a row may stand alone in
 * a passage; of several columns it takes the first.
 */
export function tableText(rows: readonly (readonly Cell[])[]): string {
  return spread(rows)
    .map((cells) => tableRow(cells))
    .filter((row) => row !== '')
    .join('\n')
}

function spread(rows: readonly (readonly Cell[])[]): string[][] {
  const hanging: { text: string; rows: number }[] = []
  return rows.map((cells) => {
    const line: string[] = []
    const settle = () => {
      for (let above = hanging[line.length]; above && above.rows > 0; above = hanging[line.length]) {
        above.rows--
        line.push(above.text)
      }
    }
    for (const { text, columns = 1, rows: down = 1 } of cells) {
      settle()
      for (let i = 0; i < Math.min(columns, MAX_SPAN); i++) {
        const said = i === 0 ? text : ''
        if (down > 1) hanging[line.length] = { text: said, rows: Math.min(down, MAX_SPAN) - 1 }
        line.push(said)
      }
    }
    settle()
    return line
  })
}

/**
 * A table of records: the header first, which passages of later rows repeat. Where that is too long to repeat, each cell
 * carries its own name instead and empty cells are left out. `lead` is said before a row, such as its number.
 */
export function addRecords(
  builder: DocumentBuilder,
  header: readonly string[],
  rows: Iterable<{ readonly lead?: string; readonly cells: readonly string[] }>,
): void {
  const names = header.map((name) => name.replace(/\s+/gu, ' ').trim())
  const wide = names.join(' | ').length > MAX_HEADER_LENGTH
  const lines: string[] = []
  let numbered = false
  for (const { lead, cells } of rows) {
    numbered ||= lead !== undefined
    const said = wide ? labelled(names, cells) : cells
    const line = tableRow(said)
    if (line !== '') lines.push(lead === undefined ? line : tableRow([lead, ...said]))
  }
  if (!wide) {
    const line = tableRow(names)
    if (line !== '') lines.unshift(numbered ? tableRow(['row', ...names]) : line)
    builder.add('table', lines.join('\n'))
    return
  }
  // Without a header row each row is a block of its own: nothing is repeated before it.
  for (const line of lines) builder.add('paragraph', line)
}

function labelled(names: readonly string[], cells: readonly string[]): string[] {
  return cells.flatMap((cell, i) => {
    const text = cell.trim()
    if (text === '') return []
    return names[i] ? `${names[i]}: ${text}` : text
  })
}
