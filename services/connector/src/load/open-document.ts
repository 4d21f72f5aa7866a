import { openArchive } from './archive.ts'
import type { Archive } from './archive.ts'
import { createDocumentBuilder } from './document.ts'
import type { DocumentBuilder, LoadedDocument, LoadInput } from './document.ts'
import { loadFailure } from './failures.ts'
import { givenTitle } from './office.ts'
import { readSheets } from './open-document-sheets.ts'
import { addSheet } from './sheet.ts'
import { tableText } from './tables.ts'
import { attribute, child, descendants, elements, parseXml, textOf } from './xml.ts'
import type { XmlNode } from './xml.ts'

/**
 * Texts, sheets and presentations of LibreOffice and its kin: headings by their level, lists, tables, notes after their
 * paragraph; sheets as they show their values; a slide a page. Deletions, comments and tables of contents are left out.
 */
export async function loadOpenDocument({ bytes, limits, budget }: LoadInput): Promise<LoadedDocument> {
  const archive = await openArchive(bytes, budget)
  const content = await archive.read('content.xml')
  if (!content) throw loadFailure('broken', 'the file has no part content.xml: publish a repaired copy')
  const root = elements(parseXml(content))[0] ?? empty
  const builder = createDocumentBuilder(limits)
  const walk: Walk = {
    builder,
    parents: readParents(root),
    lists: [],
    title: null,
    nextNote: 1,
    notes: [],
    pages: [''],
  }
  const body = child(root, 'body')
  const text = child(body, 'text')
  const presentation = child(body, 'presentation')
  if (text) {
    if (descendants(text, 'soft-page-break').length > 0) builder.startPage()
    addBlocks(walk, text)
  }
  if (presentation) addSlides(walk, elements(presentation, 'page'), limits.maxPages)
  for (const sheet of readSheets(child(body, 'spreadsheet'), root, limits)) {
    builder.startPage()
    addSheet(builder, sheet.name, sheet.rows, sheet.merges)
  }
  const { title, language } = await metadata(archive)
  return builder.finish({ title: walk.title ?? title, language, labels: !text })
}

const empty: XmlNode = { name: '', attributes: {}, children: [] }

interface Walk {
  readonly builder: DocumentBuilder
  /** Automatic styles → the named ones that they alter. */
  readonly parents: ReadonlyMap<string, string>
  readonly lists: { ordered: boolean; next: number }[]
  title: string | null
  nextNote: number
  /** Of the paragraph that is being read. */
  notes: { mark: number; body: XmlNode }[]
  pages: string[]
}

function readParents(root: XmlNode): Map<string, string> {
  return new Map(
    elements(child(root, 'automatic-styles') ?? empty, 'style').map((style) => [
      attribute(style, 'name') ?? '',
      attribute(style, 'parent-style-name') ?? '',
    ]),
  )
}

async function metadata(archive: Archive) {
  const bytes = await archive.read('meta.xml')
  const fields = bytes ? child(parseXml(bytes), 'document-meta', 'meta') : undefined
  const field = (name: string) => textOf(child(fields, name)).trim() || null
  return { title: givenTitle(field('title')), language: field('language') }
}

/** What repeats the text elsewhere or is not shown. */
const SKIPPED = new Set([
  'tracked-changes',
  'table-of-content',
  'illustration-index',
  'alphabetical-index',
  'sequence-decls',
  'forms',
  'annotation',
  'variable-decls',
])

function addBlocks(walk: Walk, node: XmlNode): void {
  for (const each of elements(node)) {
    if (SKIPPED.has(each.name)) continue
    if (each.name === 'soft-page-break') walk.builder.startPage()
    else if (each.name === 'p' || each.name === 'h') addParagraph(walk, each)
    else if (each.name === 'table') addTable(walk, each)
    else if (each.name === 'list') addList(walk, each)
    else addBlocks(walk, each)
  }
}

function addList(walk: Walk, list: XmlNode): void {
  walk.lists.push({ ordered: false, next: 1 })
  for (const item of elements(list)) addBlocks(walk, item)
  walk.lists.pop()
}

function addParagraph(walk: Walk, node: XmlNode): void {
  const { builder } = walk
  const boxes = readParagraph(walk, node)
  const { pages, notes } = walk
  const text = pages.join('')
  const style = styleOf(walk, node)
  const level =
    node.name === 'h' ? Number(attribute(node, 'outline-level') ?? 1) : style === 'Title' ? 0 : null
  if (level !== null) {
    if (level === 0) walk.title ??= text.trim() || null
    builder.heading(level, text)
  } else if (walk.lists.length > 0)
    builder.add('list', text.trim() === '' ? '' : [`- ${pages[0]}`, ...pages.slice(1)], walk.lists.length - 1)
  else builder.add(style === 'Preformatted_20_Text' ? 'code' : 'paragraph', pages)
  for (const box of boxes) addBlocks(walk, box)
  for (const { mark, body } of notes) {
    const said = elements(body)
      .map((each) => plainText(walk, each))
      .join(' ')
      .trim()
    builder.add('paragraph', said === '' ? '' : `[${mark}] ${said}`)
  }
}

function styleOf({ parents }: Walk, node: XmlNode): string {
  const name = attribute(node, 'style-name') ?? ''
  return parents.get(name) || name
}

/** Fills the walk's pages and notes; gives what text boxes hold. */
function readParagraph(walk: Walk, node: XmlNode): XmlNode[] {
  walk.pages = ['']
  walk.notes = []
  const boxes: XmlNode[] = []
  readInline(walk, node, boxes)
  return boxes
}

function plainText(walk: Walk, node: XmlNode): string {
  const { pages, notes } = walk
  readParagraph(walk, node)
  const text = walk.pages.join('')
  Object.assign(walk, { pages, notes })
  return text
}

function readInline(walk: Walk, node: XmlNode, boxes: XmlNode[]): void {
  const say = (text: string) => {
    walk.pages[walk.pages.length - 1] += text
  }
  for (const each of node.children) {
    if (typeof each === 'string') {
      say(each.replace(/\s+/gu, ' '))
      continue
    }
    switch (each.name) {
      case 's':
        say(' '.repeat(Math.min(Number(attribute(each, 'c') ?? 1) || 1, 100)))
        break
      case 'tab':
        say(' ')
        break
      case 'line-break':
        say('\n')
        break
      case 'soft-page-break':
        walk.pages.push('')
        break
      case 'note': {
        const body = child(each, 'note-body')
        if (!body) break
        const mark = walk.nextNote++
        say(`[${mark}]`)
        walk.notes.push({ mark, body })
        break
      }
      case 'frame':
      case 'custom-shape':
        readFrame(each, boxes, say)
        break
      case 'annotation':
      case 'tracked-changes':
      case 'ruby-text':
        break
      default:
        readInline(walk, each, boxes)
    }
  }
}

function readFrame(frame: XmlNode, boxes: XmlNode[], say: (text: string) => void): void {
  const box = child(frame, 'text-box')
  if (box) boxes.push(box)
  else if (frame.name === 'custom-shape') boxes.push(frame)
  else if (child(frame, 'image')) say(` ${textOf(child(frame, 'desc')) || textOf(child(frame, 'title'))} `)
}

function addTable(walk: Walk, table: XmlNode): void {
  const rows = rowsOf(table)
  const cells = rows.map((row) => elements(row, 'table-cell'))
  if (cells.every((line) => line.length <= 1)) {
    for (const cell of cells.flat()) addBlocks(walk, cell)
    return
  }
  walk.builder.add(
    'table',
    tableText(
      cells.map((line) =>
        line.map((cell) => ({
          text: cellText(walk, cell),
          columns: Number(attribute(cell, 'number-columns-spanned') ?? 1) || 1,
          rows: Number(attribute(cell, 'number-rows-spanned') ?? 1) || 1,
        })),
      ),
    ),
  )
}

function cellText(walk: Walk, node: XmlNode): string {
  return elements(node)
    .map((each) => (each.name === 'p' || each.name === 'h' ? plainText(walk, each) : cellText(walk, each)))
    .join(' ')
}

function rowsOf(table: XmlNode): XmlNode[] {
  return elements(table).flatMap((each) =>
    each.name === 'table-row'
      ? [each]
      : /^table-(?:header-rows|row-group|rows)$/u.test(each.name)
        ? rowsOf(each)
        : [],
  )
}

function addSlides(walk: Walk, slides: readonly XmlNode[], maxPages: number): void {
  const { builder } = walk
  if (slides.length > maxPages)
    throw loadFailure(
      'too_large',
      `it has ${slides.length} slides, more than ${maxPages}: publish it in parts`,
    )
  for (const slide of slides) {
    builder.startPage()
    const frames = elements(slide)
    const title = frames.find((frame) => attribute(frame, 'class') === 'title')
    const heading = title ? cellText(walk, title).trim() : ''
    builder.heading(1, heading)
    if (heading !== '') walk.title ??= heading
    for (const frame of frames) {
      if (frame === title || frame.name === 'forms') continue
      if (frame.name !== 'notes') {
        addFrame(walk, frame)
        continue
      }
      const notes = elements(frame, 'frame')
        .map((each) => cellText(walk, each).trim())
        .filter(Boolean)
      if (notes.length > 0) builder.add('paragraph', `Notes: ${notes.join('\n')}`)
    }
  }
}

function addFrame(walk: Walk, frame: XmlNode): void {
  if (child(frame, 'image')) walk.builder.add('paragraph', textOf(child(frame, 'desc')))
  else if (!['title', 'desc'].includes(frame.name)) addBlocks(walk, frame)
}
