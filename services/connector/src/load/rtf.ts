import { createDocumentBuilder } from './document.ts'
import type { DocumentBuilder, LoadedDocument, LoadInput } from './document.ts'
import { loadFailure } from './failures.ts'
import { givenTitle } from './office.ts'
import { tableRow } from './tables.ts'

/** What a group sets and its end takes back. */
interface Group {
  /** Its words are no text of the document's. */
  readonly skipped: boolean
  /** Whose words are gathered apart. */
  readonly taken: 'title' | 'fonts' | 'styles' | 'marker' | 'note' | null
  readonly hidden: boolean
  readonly font: number
  /** Characters that stand in for a `\u`. */
  readonly substitutes: number
}

interface Reading {
  readonly builder: DocumentBuilder
  groups: Group[]
  group: Group
  line: string
  bytes: number[]
  /** Characters still to be left out after a `\u`. */
  left: number
  marker: string
  title: string
  notes: string[]
  note: string
  cells: string[]
  rows: string[]
  inTable: boolean
  style: number
  outline: number | null
  readonly charsets: Map<number, string>
  readonly headings: Map<number, number>
  /** Of the font or style that is being listed. */
  listed: { number: number; name: string; outline: number | null }
  charset: string
}

const TOKEN = /\\([a-z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-f]{2})|\\([^a-z])|([{}])|([^\\{}\r\n]+)|[\r\n]+|\\/iy
const MAX_DEPTH = 1000

/** Destinations whose words are not the document's text; one that begins with `\*` is left out unless it is named below. */
const SKIPPED = new Set(
  (
    'colortbl pict object header headerl headerr headerf footer footerl footerr footerf fldinst nonshppict listtable ' +
    'filetbl template themedata latentstyles datastore xmlnstbl bkmkstart bkmkend ftnsep ftnsepc aftnsep author operator ' +
    'subject keywords doccomm company manager category hlinkbase creatim revtim printim buptim comment annotation atnid ' +
    'atnauthor tc xe revtbl generator pnseclvl private do'
  ).split(' '),
)
const TAKEN: Readonly<Record<string, Group['taken']>> = {
  title: 'title',
  fonttbl: 'fonts',
  stylesheet: 'styles',
  listtext: 'marker',
  pntext: 'marker',
  footnote: 'note',
}
const SHOWN_STARRED = new Set(['shppict', 'shpinst', 'shptxt'])

const CHARACTERS: Readonly<Record<string, string>> = {
  tab: ' ',
  line: '\n',
  emdash: '—',
  endash: '–',
  lquote: '‘',
  rquote: '’',
  ldblquote: '“',
  rdblquote: '”',
  bullet: '•',
  emspace: ' ',
  enspace: ' ',
  qmspace: ' ',
  '~': ' ',
  _: '-',
  '{': '{',
  '}': '}',
  '\\': '\\',
}

const CODE_PAGES: Readonly<Record<number, string>> = {
  437: 'ibm866',
  866: 'ibm866',
  874: 'windows-874',
  932: 'shift_jis',
  936: 'gbk',
  949: 'euc-kr',
  950: 'big5',
  10000: 'macintosh',
  65001: 'utf-8',
}
/** `\fcharset` of a font → its code page. */
const FONT_CODE_PAGES: Readonly<Record<number, number>> = {
  0: 1252,
  77: 10000,
  128: 932,
  129: 949,
  134: 936,
  136: 950,
  161: 1253,
  162: 1254,
  163: 1258,
  177: 1255,
  178: 1256,
  186: 1257,
  204: 1251,
  222: 874,
  238: 1250,
}

/** Rich text: paragraphs, headings by style or outline level, lists with their marks, tables as rows, notes. */
export async function loadRtf({ bytes, limits }: LoadInput): Promise<LoadedDocument> {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
  const group: Group = { skipped: false, taken: null, hidden: false, font: -1, substitutes: 1 }
  const reading: Reading = {
    builder: createDocumentBuilder(limits),
    groups: [],
    group,
    line: '',
    bytes: [],
    left: 0,
    marker: '',
    title: '',
    notes: [],
    note: '',
    cells: [],
    rows: [],
    inTable: false,
    style: 0,
    outline: null,
    charsets: new Map(),
    headings: new Map(),
    listed: { number: 0, name: '', outline: null },
    charset: 'windows-1252',
  }
  TOKEN.lastIndex = 0
  for (let found = TOKEN.exec(source); found; found = TOKEN.exec(source)) {
    const [, word, parameter, hex, symbol, brace, text] = found
    if (word === 'bin') TOKEN.lastIndex += Math.max(Number(parameter ?? 0), 0)
    else if (word !== undefined) control(reading, word, parameter === undefined ? null : Number(parameter))
    else if (hex !== undefined) byte(reading, Number.parseInt(hex, 16))
    else if (symbol !== undefined) control(reading, symbol, null)
    else if (brace === '{') open(reading)
    else if (brace === '}') close(reading)
    else if (text !== undefined) say(reading, text)
  }
  endParagraph(reading)
  endTable(reading)
  return reading.builder.finish({ title: givenTitle(reading.title) })
}

function open(reading: Reading): void {
  flush(reading)
  if (reading.groups.length >= MAX_DEPTH)
    throw loadFailure('too_large', `the document nests more than ${MAX_DEPTH} deep`)
  reading.groups.push(reading.group)
}

function close(reading: Reading): void {
  flush(reading)
  const ended = reading.group
  reading.group = reading.groups.pop() ?? ended
  if (ended.taken === 'note' && reading.group.taken !== 'note') {
    reading.notes.push(reading.note)
    reading.note = ''
  }
  reading.left = 0
}

function control(reading: Reading, word: string, parameter: number | null): void {
  flush(reading)
  const { group } = reading
  if (word === '*') {
    reading.group = { ...group, skipped: true }
    return
  }
  if (SHOWN_STARRED.has(word)) reading.group = { ...group, skipped: false }
  else if (SKIPPED.has(word)) reading.group = { ...group, skipped: true }
  else if (Object.hasOwn(TAKEN, word)) reading.group = { ...group, taken: TAKEN[word]!, skipped: false }
  else if (group.taken === 'fonts' || group.taken === 'styles') list(reading, word, parameter)
  else if (Object.hasOwn(CHARACTERS, word)) say(reading, CHARACTERS[word]!)
  else if (!layout(reading, word)) state(reading, word, parameter)
}

/** Ends of paragraphs, cells and rows; false where it is none. */
function layout(reading: Reading, word: string): boolean {
  const { group } = reading
  if (group.skipped) return false
  switch (word) {
    case 'par':
    case 'sect':
    case '\n':
    case '\r':
      if (group.taken === 'note') reading.note += ' '
      else if (reading.inTable) reading.line += ' '
      else endParagraph(reading)
      return true
    case 'cell':
    case 'nestcell':
      reading.cells.push(reading.marker + reading.line)
      reading.line = reading.marker = ''
      return true
    case 'row':
      reading.rows.push(tableRow(reading.cells))
      reading.cells = []
      return true
    case 'intbl':
      reading.inTable = true
      return true
    case 'pard':
      reading.inTable = false
      reading.style = 0
      reading.outline = null
      return true
  }
  return false
}

function state(reading: Reading, word: string, parameter: number | null): void {
  const { group } = reading
  switch (word) {
    case 'f':
      reading.group = { ...group, font: parameter ?? -1 }
      break
    case 'v':
    case 'deleted':
      reading.group = { ...group, hidden: parameter !== 0 }
      break
    case 'plain':
      reading.group = { ...group, hidden: false }
      break
    case 's':
      reading.style = parameter ?? 0
      break
    case 'outlinelevel':
      reading.outline = parameter
      break
    case 'uc':
      reading.group = { ...group, substitutes: Math.min(Math.max(parameter ?? 1, 0), 10) }
      break
    case 'u':
      reading.left = 0
      say(reading, String.fromCharCode((parameter ?? 0x3f) & 0xffff))
      reading.left = group.substitutes
      break
    case 'ansicpg':
      reading.charset = codePage(parameter ?? 1252)
      break
    case 'mac':
      reading.charset = 'macintosh'
      break
  }
}

/** The tables of fonts and of styles: which code page a font is for, which level a style's heading has. */
function list(reading: Reading, word: string, parameter: number | null): void {
  const { listed, group } = reading
  if (word === 'f' || word === 's') reading.listed = { number: parameter ?? 0, name: '', outline: null }
  else if (word === 'fcharset' && FONT_CODE_PAGES[parameter ?? -1] !== undefined && group.taken === 'fonts')
    reading.charsets.set(listed.number, codePage(FONT_CODE_PAGES[parameter ?? -1]!))
  else if (word === 'outlinelevel') listed.outline = parameter
}

function codePage(number: number): string {
  return CODE_PAGES[number] ?? `windows-${number}`
}

function byte(reading: Reading, value: number): void {
  if (reading.left > 0) reading.left--
  else reading.bytes.push(value)
}

/** Bytes that came one by one are decoded together: a character may be two of them. */
function flush(reading: Reading): void {
  if (reading.bytes.length === 0) return
  const bytes = Uint8Array.from(reading.bytes)
  reading.bytes = []
  put(reading, decode(bytes, reading.charsets.get(reading.group.font) ?? reading.charset))
}

function decode(bytes: Uint8Array, label: string): string {
  try {
    return new TextDecoder(label).decode(bytes)
  } catch (error) {
    if (error instanceof RangeError) return new TextDecoder('windows-1252').decode(bytes)
    throw error
  }
}

function say(reading: Reading, text: string): void {
  flush(reading)
  const skipped = Math.min(reading.left, text.length)
  reading.left -= skipped
  put(reading, text.slice(skipped))
}

function put(reading: Reading, text: string): void {
  const { group } = reading
  if (group.skipped || group.hidden) return
  switch (group.taken) {
    case 'title':
      reading.title += text
      break
    case 'styles': {
      const { listed } = reading
      listed.name += text
      const named = /^heading (\d)/iu.exec(listed.name)?.[1]
      const level = listed.outline === null ? Number(named ?? 0) : listed.outline + 1
      if (listed.name.includes(';') && level > 0 && level < 10) reading.headings.set(listed.number, level)
      break
    }
    case 'fonts':
      break
    case 'marker':
      reading.marker += text
      break
    case 'note':
      reading.note += text
      break
    default:
      if (!reading.inTable && reading.rows.length > 0 && text.trim() !== '') endTable(reading)
      reading.line += text
  }
}

function endParagraph(reading: Reading): void {
  flush(reading)
  const { builder } = reading
  const text = reading.line.trim()
  const level = reading.outline === null ? reading.headings.get(reading.style) : reading.outline + 1
  const marker = reading.marker.trim()
  if (text !== '') {
    endTable(reading)
    if (level !== undefined && level < 10) builder.heading(level, marker === '' ? text : `${marker} ${text}`)
    else if (marker !== '') builder.add('list', `${/^[\p{L}\p{N}(]/u.test(marker) ? marker : '-'} ${text}`)
    else builder.add('paragraph', text)
  }
  for (const note of reading.notes)
    builder.add('paragraph', note.trim() === '' ? '' : `[note] ${note.trim()}`)
  reading.notes = []
  reading.line = reading.marker = ''
}

function endTable(reading: Reading): void {
  const rows = reading.rows.filter((row) => row !== '')
  reading.rows = []
  if (rows.length > 0) reading.builder.add('table', rows.join('\n'))
}
