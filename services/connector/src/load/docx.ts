import { openArchive } from './archive.ts'
import type { Archive } from './archive.ts'
import { createDocumentBuilder } from './document.ts'
import type { DocumentBuilder, LoadedDocument, LoadInput } from './document.ts'
import { createNumbering } from './docx-numbering.ts'
import type { Numbering } from './docx-numbering.ts'
import { readParagraph } from './docx-paragraph.ts'
import type { ParagraphText } from './docx-paragraph.ts'
import { headingLevel, readStyles } from './docx-styles.ts'
import type { Styles } from './docx-styles.ts'
import { coreProperties, mainPartName, readPart, related } from './office.ts'
import type { Part } from './office.ts'
import { tableText } from './tables.ts'
import type { Cell } from './tables.ts'
import { attribute, child, descendants, elements, parseXml } from './xml.ts'
import type { XmlNode } from './xml.ts'

/**
 * A Word document: headings by their outline level, lists with the numbers that Word shows, tables as rows, text boxes and
 * notes after the paragraph that they belong to. Page headers and footers, comments, deletions and hidden text are left
 * out. Pages are those that Word laid out when it saved the file; other programs write none.
 */
export async function loadDocx({ bytes, limits, budget }: LoadInput): Promise<LoadedDocument> {
  const archive = await openArchive(bytes, budget)
  const main = (await readPart(archive, await mainPartName(archive, 'word/document.xml')))!
  const read = async (type: string) => {
    const name = related(main, type)
    const part = name === null ? null : await archive.read(name)
    return part ? parseXml(part) : null
  }
  const walk: Walk = {
    builder: createDocumentBuilder(limits),
    styles: readStyles(await read('styles')),
    numbering: createNumbering(await read('numbering')),
    notes: await readNotes(archive, main),
    paged: descendants(main.xml, 'lastRenderedPageBreak').length > 0,
    title: null,
    nextNote: 1,
  }
  const body = child(main.xml, 'document', 'body') ?? main.xml
  if (walk.paged) walk.builder.startPage()
  addBlocks(walk, body)
  const properties = await coreProperties(archive)
  return walk.builder.finish({
    title: walk.title ?? properties.title,
    language: properties.language,
  })
}

interface Walk {
  readonly builder: DocumentBuilder
  readonly styles: Styles
  readonly numbering: Numbering
  readonly notes: ReadonlyMap<string, XmlNode>
  readonly paged: boolean
  title: string | null
  nextNote: number
}

async function readNotes(archive: Archive, main: Part): Promise<Map<string, XmlNode>> {
  const notes = new Map<string, XmlNode>()
  for (const kind of ['footnote', 'endnote']) {
    const name = related(main, `${kind}s`)
    const bytes = name === null ? null : await archive.read(name)
    if (!bytes) continue
    for (const note of descendants(parseXml(bytes), kind)) {
      // The line that sets notes apart is one of them, of a type of its own.
      const type = attribute(note, 'type') ?? 'normal'
      if (type === 'normal') notes.set(`${kind}:${attribute(note, 'id')}`, note)
    }
  }
  return notes
}

/** What wraps blocks and says nothing itself. */
const WRAPPERS = new Set(['sdt', 'sdtContent', 'customXml', 'ins', 'moveTo', 'smartTag', 'AlternateContent'])

function addBlocks(walk: Walk, node: XmlNode): void {
  for (const each of elements(node)) {
    if (each.name === 'p') addParagraph(walk, each)
    else if (each.name === 'tbl') addTable(walk, each)
    else if (each.name === 'altChunk') continue
    else if (WRAPPERS.has(each.name)) addBlocks(walk, shownOf(each))
  }
}

/** Of two forms of the same content, the newer one. */
function shownOf(node: XmlNode): XmlNode {
  return node.name === 'AlternateContent' ? (child(node, 'Choice') ?? child(node, 'Fallback') ?? node) : node
}

function addParagraph(walk: Walk, node: XmlNode): void {
  const { builder, styles, numbering } = walk
  const properties = child(node, 'pPr')
  const style = attribute(child(properties, 'pStyle'), 'val') ?? null
  const paragraph = readParagraph(node, noteMark(walk))
  if (styles.isContents(style)) {
    if (walk.paged) for (let i = 1; i < paragraph.pages.length; i++) builder.startPage()
    return
  }
  if (paragraph.pages[0]?.trim() === '' && paragraph.pages.length > 1 && walk.paged) {
    // It begins on a new page.
    paragraph.pages.shift()
    builder.startPage()
  }
  const text = paragraph.pages.join('')
  const numbered =
    text.trim() === '' ? null : numbering.next(child(properties, 'numPr'), styles.numbering(style))
  const level = headingLevel(properties, style, styles)
  if (level !== null && text.trim() !== '') {
    const number = numbered && !numbered.bullet ? `${numbered.marker} ` : ''
    if (level === 0) walk.title ??= text.replace(/\s+/gu, ' ').trim()
    builder.heading(level, number + text)
    if (walk.paged) for (let i = 1; i < paragraph.pages.length; i++) builder.startPage()
  } else {
    const lead = numbered ? `${numbered.bullet ? '-' : numbered.marker} ` : ''
    const [first = '', ...rest] = paragraph.pages
    const parts = walk.paged ? [lead + first, ...rest] : lead + text
    builder.add(
      numbered ? 'list' : styles.isCode(style) ? 'code' : 'paragraph',
      text.trim() === '' ? '' : parts,
      numbered?.level ?? 0,
    )
  }
  addBelongings(walk, paragraph)
}

/** What a paragraph holds that is no part of its line. */
function addBelongings(walk: Walk, { boxes, notes }: ParagraphText): void {
  for (const box of boxes) addBlocks(walk, box)
  for (const { mark, note } of notes) {
    const text = elements(note)
      .map((each) => readParagraph(each, () => null).pages.join(''))
      .join(' ')
    walk.builder.add('paragraph', text.trim() === '' ? '' : `[${mark}] ${text.trim()}`)
  }
}

function noteMark(walk: Walk) {
  return (key: string) => {
    const note = walk.notes.get(key)
    return note ? { mark: walk.nextNote++, note } : null
  }
}

function addTable(walk: Walk, table: XmlNode): void {
  const rows = tableRows(table)
  const cells = rows.flatMap((row) => row.filter((cell) => !cell.continues))
  const columns = rows.reduce((most, row) => Math.max(most, row.length), 0)
  // One cell, or one column: a frame around text, not a table of values.
  if (columns <= 1) {
    for (const { node } of cells) addBlocks(walk, node)
    return
  }
  const belongings: ParagraphText[] = []
  const pages: string[] = ['']
  const texts = rows.map((row) => {
    let breaks = 0
    const line = row.map((cell): Cell & { continues: boolean } => {
      const inner = cell.continues ? [] : cellParagraphs(walk, cell.node)
      belongings.push(...inner)
      breaks = Math.max(breaks, ...inner.map((each) => each.pages.length - 1), 0)
      const text = inner
        .map((each) => each.pages.join('').trim())
        .filter(Boolean)
        .join(' ')
      return { text, columns: cell.columns, continues: cell.continues }
    })
    return { line, breaks }
  })
  const lines = mergeDown(texts.map(({ line }) => line))
  for (const [i, { breaks }] of texts.entries()) {
    const line = tableText([lines[i]!])
    if (line === '') continue
    // A row that goes on over the page counts to the page that it begins on.
    pages[pages.length - 1] += (pages.some((each) => each !== '') ? '\n' : '') + line
    for (let k = 0; k < breaks; k++) pages.push('')
  }
  walk.builder.add('table', walk.paged ? pages : pages.join(''))
  for (const each of belongings) addBelongings(walk, each)
}

interface TableCell {
  readonly node: XmlNode
  readonly columns: number
  /** Goes on from the row above. */
  readonly continues: boolean
}

function tableRows(table: XmlNode): TableCell[][] {
  return rowsOf(table).map((row) => {
    const skipped = Number(attribute(child(row, 'trPr', 'gridBefore'), 'val') ?? 0)
    const before: TableCell[] =
      skipped > 0 ? [{ node: row, columns: Math.min(skipped, 63), continues: true }] : []
    return [
      ...before.map((cell) => ({ ...cell, node: { name: 'tc', attributes: {}, children: [] } })),
      ...cellsOf(row).map((cell) => {
        const properties = child(cell, 'tcPr')
        const merge = child(properties, 'vMerge')
        const columns = Number(attribute(child(properties, 'gridSpan'), 'val') ?? 1)
        return {
          node: cell,
          columns: Math.min(Math.max(columns || 1, 1), 63),
          continues: merge !== undefined && attribute(merge, 'val') !== 'restart',
        }
      }),
    ]
  })
}

function rowsOf(node: XmlNode): XmlNode[] {
  return elements(node).flatMap((each) =>
    each.name === 'tr'
      ? isDeleted(each)
        ? []
        : [each]
      : WRAPPERS.has(each.name)
        ? rowsOf(shownOf(each))
        : [],
  )
}

function isDeleted(row: XmlNode): boolean {
  return child(row, 'trPr', 'del') !== undefined
}

function cellsOf(node: XmlNode): XmlNode[] {
  return elements(node).flatMap((each) =>
    each.name === 'tc' ? [each] : WRAPPERS.has(each.name) ? cellsOf(shownOf(each)) : [],
  )
}

/** All paragraphs of a cell, those of tables in it too. */
function cellParagraphs(walk: Walk, node: XmlNode): ParagraphText[] {
  return elements(node).flatMap((each) => {
    if (each.name === 'p') return [readParagraph(each, noteMark(walk))]
    if (each.name === 'tbl')
      return rowsOf(each).flatMap((row) => cellsOf(row).flatMap((cell) => cellParagraphs(walk, cell)))
    return WRAPPERS.has(each.name) ? cellParagraphs(walk, shownOf(each)) : []
  })
}

/** A cell that goes on from above says again what it says: a row may stand alone in a passage. */
function mergeDown(rows: readonly (readonly (Cell & { continues: boolean })[])[]): Cell[][] {
  let above = new Map<number, string>()
  return rows.map((row) => {
    const here = new Map<number, string>()
    let column = 0
    const line = row.map((cell) => {
      const text = cell.continues ? (above.get(column) ?? '') : cell.text
      here.set(column, text)
      column += cell.columns ?? 1
      return { text, columns: cell.columns ?? 1 }
    })
    above = here
    return line
  })
}
