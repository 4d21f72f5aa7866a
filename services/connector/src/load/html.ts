import { load } from 'cheerio/slim'
import { isTag, isText } from 'domhandler'
import type { AnyNode, Element } from 'domhandler'

import { decodeText } from './charset.ts'
import { createDocumentBuilder, cutHeading } from './document.ts'
import type { DocumentBuilder, LoadedDocument, LoadInput } from './document.ts'
import { lenientFrame, strictFrame } from './html-frame.ts'
import type { Frame } from './html-frame.ts'
import { normalizeText } from './normalize.ts'
import { tableText } from './tables.ts'
import type { Cell } from './tables.ts'

const INLINE = new Set(
  (
    'a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark meter nobr output q ruby rb rt ' +
    'rp s samp small span strike strong sub sup time tt u var wbr'
  ).split(' '),
)

/**
 * An HTML page's text: headings, paragraphs, lists, tables as rows, code as it stands, alternative texts; without
 * scripts, styles, menus, footers and whatever is hidden.
 */
export async function loadHtml({ bytes, charset, limits }: LoadInput): Promise<LoadedDocument> {
  const page = parse(decodeText(bytes, charset, true))
  const { main, articles, title, language } = landmarks(page)
  const content = main ?? (articles.length === 1 ? articles[0] : undefined)
  const frames = [strictFrame(content ?? page, { menus: content === undefined }), lenientFrame()]
  for (const [i, frame] of frames.entries()) {
    const builder = createDocumentBuilder(limits)
    addNode(builder, content ?? page, frame)
    // A page that is all menu, by its names or in truth, is read for what it has.
    if (builder.last === null && i === 0) continue
    const document = builder.finish({ language })
    return { ...document, title: pageTitle(title, document.title) ?? document.title }
  }
  throw new Error('unreachable')
}

/** A page's title without the name of its site, where its first heading tells the two apart. */
function pageTitle(title: string | null, heading: string | null): string | null {
  const given = normalizeText(title ?? '')
    .replace(/\s+/gu, ' ')
    .trim()
  if (given === '') return null
  const site =
    heading !== null && given.startsWith(heading) && /^\s*[-–—|·:»]\s/u.test(given.slice(heading.length))
  return site ? heading : cutHeading(given)
}

/** What tells a page's content from its frame. One walk of ours: selectors take quadratic time on a flat page. */
function landmarks(page: AnyNode) {
  const articles: Element[] = []
  let main: Element | null = null
  let title: string | null = null
  let language: string | null = null
  const stack: AnyNode[] = [page]
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (isTag(node)) {
      if (node.name === 'main' || node.attribs['role'] === 'main') main ??= node
      if (node.name === 'article') articles.push(node)
      if (node.name === 'html') language ??= node.attribs['lang'] ?? null
      if (node.name === 'svg') continue
      if (node.name === 'title') title ??= textContent(node)
    }
    if ('children' in node) for (let i = node.children.length - 1; i >= 0; i--) stack.push(node.children[i]!)
  }
  return { main, articles, title, language }
}

function textContent(element: Element): string {
  return element.children.map((child) => (isText(child) ? child.data : '')).join('')
}

/** Adds the text of a fragment, such as the HTML that stands in a Markdown file; false where it has none. */
export function addHtmlFragment(builder: DocumentBuilder, html: string): boolean {
  const { last } = builder
  addNode(builder, parse(html), lenientFrame())
  return builder.last !== last
}

/** htmlparser2 rather than parse5: it is linear however deep tags nest, and text needs no browser's tree. */
function parse(html: string): AnyNode {
  return load(html, { xml: { xmlMode: false, decodeEntities: true } }).root()[0]!
}

interface Walk {
  readonly builder: DocumentBuilder
  readonly frame: Frame
  /** Text of the block that is being read. */
  line: string[]
  kind: 'paragraph' | 'list' | 'code' | 'quote'
  preformatted: number
  readonly lists: { ordered: boolean; next: number }[]
  marker: string
  heading: number
}

/** Depth first without recursion: a page can nest deeper than the stack. */
function addNode(builder: DocumentBuilder, root: AnyNode, frame: Frame): void {
  const walk: Walk = {
    builder,
    frame,
    line: [],
    kind: 'paragraph',
    preformatted: 0,
    lists: [],
    marker: '',
    heading: 0,
  }
  const stack: (AnyNode | (() => void))[] = [root]
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    if (typeof next === 'function') {
      next()
      continue
    }
    if (isText(next)) walk.line.push(next.data)
    if (!('children' in next)) continue
    if (isTag(next)) {
      if (frame.isSkipped(next) || isPermalink(next)) continue
      if (next.name === 'table' && !isLayout(next)) {
        flush(walk)
        const { caption, rows } = tableCells(next, frame)
        builder.add('paragraph', caption.replace(/[^\S\n]+/gu, ' ').replace(/\n\s+/gu, '\n'))
        builder.add('table', tableText(rows))
        continue
      }
      const leave = enter(walk, next)
      if (leave) stack.push(leave)
    }
    for (let i = next.children.length - 1; i >= 0; i--) stack.push(next.children[i]!)
  }
  flush(walk)
}

/** What an element does to the text around it, and what ends with it. */
function enter(walk: Walk, element: Element): (() => void) | null {
  const { name } = element
  if (name === 'br') walk.line.push(walk.preformatted > 0 ? '\n' : '\u2028')
  if (name === 'img') walk.line.push(` ${element.attribs['alt'] ?? ''} `)
  if (INLINE.has(name) || name === 'br') return null
  flush(walk)
  const end = () => flush(walk)
  const level = /^h([1-6])$/u.exec(name)?.[1]
  if (level !== undefined) {
    walk.heading = Number(level)
    return () => {
      flush(walk)
      walk.heading = 0
    }
  }
  if (name === 'pre') {
    walk.preformatted++
    return () => {
      flush(walk)
      walk.preformatted--
    }
  }
  if (name === 'ul' || name === 'ol') {
    walk.lists.push({ ordered: name === 'ol', next: Number(element.attribs['start'] ?? 1) || 1 })
    return () => {
      flush(walk)
      walk.lists.pop()
    }
  }
  if (name === 'li') {
    const list = walk.lists.at(-1)
    walk.marker = list?.ordered ? `${list.next++}. ` : '- '
  }
  if (name === 'dt' || name === 'dd') walk.marker = name === 'dd' ? '  ' : ''
  return end
}

function flush(walk: Walk): void {
  const raw = walk.line.join('')
  walk.line = []
  if (walk.preformatted > 0) return walk.builder.add('code', raw.replaceAll('\t', '    '))
  const text = raw
    .replace(/[^\S\u2028]+/gu, ' ')
    .replace(/ ?\u2028 ?/gu, '\n')
    .trim()
  if (text === '') return
  if (walk.heading > 0) return walk.builder.heading(walk.heading, text)
  if (walk.lists.length > 0) {
    walk.builder.add('list', walk.marker + text, walk.lists.length - 1)
    walk.marker = '  '
    return
  }
  walk.builder.add('paragraph', text)
}

/** Rows of a table that tell how many columns it has. */
const MAX_LOOKED_AT = 100

const LAYOUT_PARTS = new Set([
  'table',
  'h1',
  'h2',
  'h3',
  'h4',
  'h5',
  'h6',
  'pre',
  'form',
  'section',
  'article',
])

/** A table that holds headings, sections or tables, or has one column, lays out a page: its cells are read as blocks. */
function isLayout(table: Element): boolean {
  const stack: AnyNode[] = [...table.children]
  let cells = 0
  let most = 0
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (!isTag(node)) continue
    if (LAYOUT_PARTS.has(node.name)) return true
    if (node.name === 'tr') cells = 0
    if (node.name === 'td' || node.name === 'th') most = Math.max(most, ++cells)
    for (const child of node.children) stack.push(child)
  }
  return most < 2
}

/** The sign beside a heading that links to it. */
function isPermalink({ name, attribs, children: [only, ...others] }: Element): boolean {
  if (name !== 'a' || !attribs['href']?.includes('#') || others.length > 0) return false
  return only !== undefined && isText(only) && /^\s*[#¶§🔗]\s*$/u.test(only.data)
}

/** The cells of a table and of those in it. What stands before the first cell is its caption. */
function tableCells(table: Element, frame: Frame): { caption: string; rows: Cell[][] } {
  const rows: { text: string; columns: number; rows: number }[][] = []
  let caption = ''
  const say = (text: string) => {
    const cell = rows.at(-1)?.at(-1)
    if (cell) cell.text += text
    else if (rows.length === 0) caption += text
  }
  const stack: AnyNode[] = [...table.children].reverse()
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (isText(node)) say(node.data)
    if (!isTag(node) || frame.isSkipped(node)) continue
    const { name, attribs } = node
    if (name === 'tr') rows.push([])
    if (name === 'td' || name === 'th') {
      if (rows.length === 0) rows.push([])
      const span = (value: string | undefined) => Math.max(Math.trunc(Number(value ?? 1)) || 1, 1)
      rows.at(-1)!.push({ text: '', columns: span(attribs['colspan']), rows: span(attribs['rowspan']) })
    } else if (name === 'img') say(` ${attribs['alt'] ?? ''} `)
    else if (!INLINE.has(name)) say(' ')
    for (let i = node.children.length - 1; i >= 0; i--) stack.push(node.children[i]!)
  }
  // A row of one cell before the columns begin is a title, not what the columns are called.
  const columns = Math.max(0, ...rows.slice(0, MAX_LOOKED_AT).map((row) => row.length))
  const first = columns > 1 ? rows.findIndex((row) => row.length > 1) : 0
  for (const [title] of rows.splice(0, first)) caption += `\n${title?.text.trim() ?? ''}`
  return { caption, rows }
}
