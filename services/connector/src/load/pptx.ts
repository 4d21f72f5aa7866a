import { openArchive } from './archive.ts'
import type { Archive } from './archive.ts'
import { createDocumentBuilder } from './document.ts'
import type { DocumentBuilder, LoadedDocument, LoadInput } from './document.ts'
import { loadFailure } from './failures.ts'
import { coreProperties, mainPartName, readPart, related } from './office.ts'
import type { Part } from './office.ts'
import { tableText } from './tables.ts'
import { attribute, child, descendants, elements, parseXml, relation, textOf } from './xml.ts'
import type { XmlNode } from './xml.ts'

/**
 * A presentation: each slide a page, its title the heading, then its texts in reading order, tables, the values of charts,
 * the words of diagrams, and the speaker's notes. Hidden slides are left out, and so is what masters repeat.
 */
export async function loadPptx({ bytes, limits, budget }: LoadInput): Promise<LoadedDocument> {
  const archive = await openArchive(bytes, budget)
  const main = (await readPart(archive, await mainPartName(archive, 'ppt/presentation.xml')))!
  const builder = createDocumentBuilder(limits)
  const slides = descendants(main.xml, 'sldId')
  if (slides.length > limits.maxPages)
    throw loadFailure(
      'too_large',
      `it has ${slides.length} slides, more than ${limits.maxPages}: publish it in parts`,
    )
  let first: string | null = null
  for (const slide of slides) {
    // A page for each, hidden ones too, so that page numbers are those that PowerPoint shows.
    builder.startPage()
    const target = main.relations.get(relation(slide) ?? '')?.target
    const part = target ? await readPart(archive, target) : null
    if (!part || attribute(elements(part.xml)[0], 'show') === '0') continue
    const title = await addSlide(builder, archive, part)
    first ??= title
  }
  const properties = await coreProperties(archive)
  return builder.finish({ title: properties.title ?? first, language: properties.language })
}

async function addSlide(builder: DocumentBuilder, archive: Archive, slide: Part): Promise<string | null> {
  const shapes = shapesOf(child(elements(slide.xml)[0], 'cSld', 'spTree'))
  const titles = shapes.filter((shape) => /^(?:title|ctrTitle)$/u.test(placeholder(shape) ?? ''))
  const title = titles
    .map((shape) => shapeText(shape).join(' '))
    .join(' ')
    .trim()
  builder.heading(1, title)
  for (const shape of shapes) if (!titles.includes(shape)) await addShape(builder, archive, slide, shape)
  await addNotes(builder, archive, slide)
  return title === '' ? null : title
}

/** All shapes, those of groups too, in the order in which a screen reader says them. */
function shapesOf(tree: XmlNode | undefined): XmlNode[] {
  return elements(tree ?? { name: '', attributes: {}, children: [] }).flatMap((each) => {
    if (each.name === 'grpSp') return shapesOf(each)
    if (each.name === 'AlternateContent') return shapesOf(child(each, 'Choice') ?? child(each, 'Fallback'))
    return /^(?:sp|graphicFrame|pic)$/u.test(each.name) && !isHidden(each) ? [each] : []
  })
}

function isHidden(shape: XmlNode): boolean {
  return attribute(drawingProperties(shape), 'hidden') === '1'
}

function drawingProperties(shape: XmlNode): XmlNode | undefined {
  return elements(shape)
    .map((each) => child(each, 'cNvPr'))
    .find((each) => each !== undefined)
}

function placeholder(shape: XmlNode): string | null {
  const found = child(shape, 'nvSpPr', 'nvPr', 'ph')
  return found ? (attribute(found, 'type') ?? 'body') : null
}

/** What masters put on every slide. */
const FURNITURE = /^(?:sldNum|dt|ftr|hdr|sldImg)$/u

async function addShape(
  builder: DocumentBuilder,
  archive: Archive,
  slide: Part,
  shape: XmlNode,
): Promise<void> {
  if (shape.name === 'graphicFrame') return await addGraphic(builder, archive, slide, shape)
  if (shape.name === 'pic')
    return builder.add(
      'paragraph',
      (attribute(drawingProperties(shape), 'descr') ?? '').replace(MADE_BY_PROGRAM, ''),
    )
  const type = placeholder(shape)
  if (FURNITURE.test(type ?? '')) return
  for (const paragraph of elements(child(shape, 'txBody') ?? shape, 'p')) {
    const text = paragraphText(paragraph)
    const properties = child(paragraph, 'pPr')
    const level = Number(attribute(properties, 'lvl') ?? 0) || 0
    const bullet = child(properties, 'buChar') ?? child(properties, 'buAutoNum')
    // The body of a slide is a list unless it says otherwise.
    const listed = (type === 'body' || type === 'obj' || bullet || level > 0) && !child(properties, 'buNone')
    if (text.trim() === '') continue
    if (listed) builder.add('list', `- ${text.trim()}`, level)
    else builder.add('paragraph', text)
  }
}

const MADE_BY_PROGRAM =
  /\s*(?:AI-generated content may be incorrect|Description automatically generated[^]*)\.?\s*$/iu

async function addGraphic(
  builder: DocumentBuilder,
  archive: Archive,
  slide: Part,
  frame: XmlNode,
): Promise<void> {
  const data = child(frame, 'graphic', 'graphicData')
  const table = child(data, 'tbl')
  if (table) return builder.add('table', tableText(tableRows(table)))
  const chart = relation(child(data, 'chart'))
  const diagram = relation(child(data, 'relIds'), 'dm')
  const target = slide.relations.get(chart ?? diagram ?? '')?.target
  const bytes = target ? await archive.read(target) : null
  if (!bytes) return
  const xml = parseXml(bytes)
  if (chart !== undefined) addChart(builder, xml)
  else
    for (const point of descendants(xml, 'pt'))
      builder.add('list', listItem(descendants(point, 'p').map(paragraphText).join(' ')))
}

function listItem(text: string): string {
  return text.trim() === '' ? '' : `- ${text.trim()}`
}

function tableRows(table: XmlNode) {
  return elements(table, 'tr').map((row) =>
    elements(row, 'tc')
      .filter((cell) => attribute(cell, 'hMerge') !== '1' && attribute(cell, 'vMerge') !== '1')
      .map((cell) => ({
        text: elements(child(cell, 'txBody') ?? cell, 'p')
          .map(paragraphText)
          .join(' '),
        columns: Number(attribute(cell, 'gridSpan') ?? 1) || 1,
        rows: Number(attribute(cell, 'rowSpan') ?? 1) || 1,
      })),
  )
}

/** The values as PowerPoint keeps them beside the chart's source: a column for each series. */
function addChart(builder: DocumentBuilder, xml: XmlNode): void {
  const title = descendants(xml, 'title')[0]
  builder.add('paragraph', title ? descendants(title, 't').map(textOf).join('') : '')
  const series = descendants(xml, 'ser')
  const categories = series.map((each) => points(child(each, 'cat') ?? child(each, 'xVal')))
  const names = categories.reduce(
    (most, each) => (each.size > most.size ? each : most),
    new Map<number, string>(),
  )
  const values = series.map((each) => points(child(each, 'val') ?? child(each, 'yVal')))
  const header = ['', ...series.map((each) => [...points(child(each, 'tx')).values()].join(' '))]
  const count = Math.max(0, ...[names, ...values].map((each) => Math.max(-1, ...each.keys()) + 1))
  const rows = Array.from({ length: Math.min(count, MAX_POINTS) }, (_, i) => [
    names.get(i) ?? '',
    ...values.map((each) => each.get(i) ?? ''),
  ])
  builder.add('table', tableText([header, ...rows].map((row) => row.map((text) => ({ text })))))
}

const MAX_POINTS = 1000

function points(node: XmlNode | undefined): Map<number, string> {
  const found = new Map<number, string>()
  for (const point of node ? descendants(node, 'pt').slice(0, MAX_POINTS) : []) {
    const index = Number(attribute(point, 'idx') ?? 0)
    if (index >= 0 && index < MAX_POINTS) found.set(index, textOf(child(point, 'v')))
  }
  return found
}

async function addNotes(builder: DocumentBuilder, archive: Archive, slide: Part): Promise<void> {
  const name = related(slide, 'notesSlide')
  const bytes = name === null ? null : await archive.read(name)
  if (!bytes) return
  const shapes = shapesOf(child(elements(parseXml(bytes))[0], 'cSld', 'spTree'))
  const text = shapes
    .filter((shape) => shape.name === 'sp' && !FURNITURE.test(placeholder(shape) ?? ''))
    .flatMap(shapeText)
    .filter((line) => line.trim() !== '')
  if (text.length > 0) builder.add('paragraph', `Notes: ${text.join('\n')}`)
}

function shapeText(shape: XmlNode): string[] {
  return elements(child(shape, 'txBody') ?? shape, 'p').map(paragraphText)
}

function paragraphText(paragraph: XmlNode): string {
  return elements(paragraph)
    .map((each) => {
      if (each.name === 'br') return '\n'
      if (each.name === 'r' || each.name === 'fld') return textOf(child(each, 't'))
      // A formula stands in an element of its own.
      return descendants(each, 't').map(textOf).join(' ')
    })
    .join('')
}
