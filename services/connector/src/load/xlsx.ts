import { openArchive } from './archive.ts'
import { createDocumentBuilder } from './document.ts'
import type { LoadedDocument, LoadInput } from './document.ts'
import { loadFailure } from './failures.ts'
import { coreProperties, mainPartName, readPart, related } from './office.ts'
import { addSheet } from './sheet.ts'
import type { Merge, SheetRow } from './sheet.ts'
import { createCellFormats } from './xlsx-formats.ts'
import type { CellFormats } from './xlsx-formats.ts'
import { attribute, descendants, parseXml, readXml, relation } from './xml.ts'

/**
 * A workbook: each sheet a page and a heading, its rows as tables with their numbers and columns' letters. Values are said as
 * the sheet shows them, dates and percentages too, formulas by the result that was saved. Hidden sheets and columns are left
 * out, and hidden rows, unless a filter hides them.
 */
export async function loadXlsx({ bytes, limits, budget }: LoadInput): Promise<LoadedDocument> {
  const archive = await openArchive(bytes, budget)
  const main = (await readPart(archive, await mainPartName(archive, 'xl/workbook.xml')))!
  const sheets = descendants(main.xml, 'sheet')
  if (sheets.length > limits.maxPages)
    throw loadFailure(
      'too_large',
      `it has ${sheets.length} sheets, more than ${limits.maxPages}: publish it in parts`,
    )
  const part = async (type: string) => {
    const name = related(main, type)
    return name === null ? null : await archive.read(name)
  }
  const strings = readStrings(await part('sharedStrings'))
  const styles = await part('styles')
  const date1904 = ['1', 'true'].includes(attribute(descendants(main.xml, 'workbookPr')[0], 'date1904') ?? '')
  const formats = createCellFormats(styles && parseXml(styles), date1904)
  const builder = createDocumentBuilder(limits)
  for (const sheet of sheets) {
    builder.startPage()
    if ((attribute(sheet, 'state') ?? 'visible') !== 'visible') continue
    const name = main.relations.get(relation(sheet) ?? '')?.target
    const content = name ? await archive.read(name) : null
    if (content)
      addSheet(
        builder,
        attribute(sheet, 'name') ?? '',
        ...readSheet(content, strings, formats, limits.maxBlocks),
      )
  }
  const properties = await coreProperties(archive)
  return builder.finish({ title: properties.title, language: properties.language, labels: true })
}

function readStrings(bytes: Buffer | null): string[] {
  const strings: string[] = []
  if (!bytes) return strings
  let text = ''
  let inText = false
  let phonetic = 0
  readXml(bytes, {
    open(name) {
      if (name === 'si') text = ''
      if (name === 'rPh') phonetic++
      inText = name === 't' && phonetic === 0
    },
    text(piece) {
      if (inText) text += piece
    },
    close(name) {
      if (name === 'si') strings.push(text)
      if (name === 'rPh') phonetic--
      inText = false
    },
  })
  return strings
}

const REFERENCE = /^\$?([A-Z]{1,3})\$?(\d{1,7})$/u

/** Column and row of a cell's name, from 0; null where it is none. */
function place(reference: string | undefined): { column: number; row: number } | null {
  const found = REFERENCE.exec(reference ?? '')
  if (!found) return null
  let column = 0
  for (const letter of found[1]!) column = column * 26 + letter.charCodeAt(0) - 64
  return { column: column - 1, row: Number(found[2]) - 1 }
}

function readSheet(
  bytes: Buffer,
  strings: readonly string[],
  formats: CellFormats,
  maxRows: number,
): [SheetRow[], Merge[]] {
  const rows: SheetRow[] = []
  const hiddenRows = new Set<SheetRow>()
  const hiddenColumns: [from: number, to: number][] = []
  const merges: Merge[] = []
  let filtered = false
  let cells = new Map<number, string>()
  let row = -1
  let column = -1
  let type = 'n'
  let style = 0
  let value = ''
  let taking = false

  readXml(bytes, {
    open(name, attributes) {
      switch (name) {
        case 'row':
          row = Number(attributes['r'] ?? row + 2) - 1
          column = -1
          cells = new Map()
          rows.push({ number: row, cells })
          if (rows.length > maxRows)
            throw loadFailure('too_large', `a sheet has more than ${maxRows} rows: publish it in parts`)
          if (attributes['hidden'] === '1') hiddenRows.add(rows.at(-1)!)
          break
        case 'c':
          column = place(attributes['r'])?.column ?? column + 1
          type = attributes['t'] ?? 'n'
          style = Number(attributes['s'] ?? 0)
          value = ''
          break
        case 'col':
          if (attributes['hidden'] === '1')
            hiddenColumns.push([Number(attributes['min']) - 1, Number(attributes['max']) - 1])
          break
        case 'autoFilter':
          filtered = true
          break
        case 'mergeCell': {
          const [from, to] = (attributes['ref'] ?? '').split(':').map(place)
          if (from && to && to.row > from.row)
            merges.push({ column: from.column, row: from.row, lastRow: to.row })
          break
        }
      }
      // Text of a formula, `f`, is not what a cell shows.
      taking = name === 'v' || name === 't'
    },
    text(text) {
      if (taking) value += text
    },
    close(name) {
      taking = false
      if (name !== 'c' || value === '') return
      const shown = type === 's' ? (strings[Number(value)] ?? '') : formats.show(value, type, style)
      if (shown.trim() !== '') cells.set(column, shown)
    },
  })
  const shownRows = filtered
    ? rows
    : rows.map((each) =>
        hiddenRows.has(each) ? { number: each.number, cells: new Map(), hidden: true } : each,
      )
  const isShown = ([column]: readonly [number, string]) =>
    !hiddenColumns.some(([from, to]) => column >= from && column <= to)
  const shownCells = (each: SheetRow) =>
    hiddenColumns.length === 0 ? each : { ...each, cells: new Map([...each.cells].filter(isShown)) }
  return [shownRows.map(shownCells), merges]
}
