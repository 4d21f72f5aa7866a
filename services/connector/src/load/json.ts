import { decodeText } from './charset.ts'
import { codeDocument } from './code.ts'
import { createDocumentBuilder } from './document.ts'
import type { DocumentBuilder, LoadedDocument, LoadInput } from './document.ts'
import { loadFailure } from './failures.ts'
import { addRecords } from './tables.ts'

type Fields = Readonly<Record<string, unknown>>

/** Beyond these headings, a path says where a value stands. */
const MAX_HEADINGS = 3
/** An object with fewer values is told in lines of the one that holds it. */
const MIN_SECTION_VALUES = 4
const MAX_DEPTH = 200
const LABELS = ['title', 'name', 'label', 'id', 'key', 'question', 'subject']
const MAX_LABEL_LENGTH = 80

/** JSON: objects as sections, values as lines behind their paths, lists of equal records as tables. */
export async function loadJson(input: LoadInput): Promise<LoadedDocument> {
  const { bytes, charset, limits } = input
  const source = decodeText(bytes, charset).replace(/^\ufeff/u, '')
  const value = parsed(source)
  if (value === undefined) {
    // Several values one after another, or JSON with comments: its lines can still be read.
    return jsonLines(source, limits) ?? codeDocument(source, null, limits)
  }
  const builder = createDocumentBuilder(limits)
  if (isFields(value)) addFields(builder, value, '', 1, 0)
  else if (Array.isArray(value)) addList(builder, value, 'Record', '', 1, 0)
  else builder.add('paragraph', said(value))
  return builder.finish({ title: isFields(value) ? stringOf(value['title']) : null, labels: true })
}

/** JSON Lines: each record a section under its number. A line that is none stays as it is. */
export async function loadJsonLines({ bytes, charset, limits }: LoadInput): Promise<LoadedDocument> {
  const source = decodeText(bytes, charset).replace(/^\ufeff/u, '')
  return jsonLines(source, limits) ?? codeDocument(source, null, limits)
}

/** Null where not most of the lines are JSON. */
function jsonLines(source: string, limits: LoadInput['limits']): LoadedDocument | null {
  // A record separator may begin each line (RFC 7464).
  // oxlint-disable-next-line no-control-regex -- that very one
  const lines = source.split('\n').map((line) => line.replace(/^\u001e/u, '').trim())
  const values = lines.map((line) => (line === '' ? undefined : parsed(line)))
  const said = lines.filter((line) => line !== '').length
  if (values.filter((value) => value !== undefined).length * 2 <= said) return null
  const builder = createDocumentBuilder(limits)
  for (const [i, value] of values.entries()) {
    const line = lines[i]!
    if (line === '') continue
    addRecord(builder, value === undefined ? line : value, `Record ${i + 1}`, '', 1, 0)
  }
  return builder.finish({ labels: true })
}

function parsed(source: string): unknown {
  try {
    return JSON.parse(source) as unknown
  } catch {
    return undefined
  }
}

function addRecord(
  builder: DocumentBuilder,
  value: unknown,
  name: string,
  path: string,
  level: number,
  depth: number,
): void {
  const label = isFields(value) ? labelOf(value) : null
  builder.heading(level, label === null ? name : `${name}: ${label}`)
  if (isFields(value)) addFields(builder, value, path, level + 1, depth + 1)
  else if (Array.isArray(value)) addList(builder, value, name, path, level + 1, depth + 1)
  else builder.add('paragraph', said(value))
}

/** Plain values first, as lines; what holds more follows in sections, or in lines under its path. */
function addFields(
  builder: DocumentBuilder,
  fields: Fields,
  path: string,
  level: number,
  depth: number,
): void {
  const lines: string[] = []
  const sections: [string, unknown][] = []
  for (const [key, value] of Object.entries(fields)) {
    const at = path === '' ? key : `${path}.${key}`
    if (isSection(value) && level <= MAX_HEADINGS) sections.push([key, value])
    else collectLines(lines, value, at, depth + 1)
  }
  builder.add('paragraph', lines.join('\n'))
  for (const [key, value] of sections) {
    builder.heading(level, key)
    if (Array.isArray(value)) addList(builder, value, key, '', level + 1, depth + 1)
    else addFields(builder, value as Fields, '', level + 1, depth + 1)
  }
}

function addList(
  builder: DocumentBuilder,
  values: readonly unknown[],
  name: string,
  path: string,
  level: number,
  depth: number,
): void {
  const columns = commonColumns(values)
  if (columns) {
    const rows = values.map((value) => ({ cells: columns.map((column) => said((value as Fields)[column])) }))
    return addRecords(builder, columns, rows)
  }
  const lines: string[] = []
  for (const [i, value] of values.entries()) {
    const each = name === 'Record' ? `Record ${i + 1}` : `${name}[${i}]`
    if (level <= MAX_HEADINGS && isSection(value)) addRecord(builder, value, each, '', level, depth)
    else collectLines(lines, value, path === '' ? each : `${path}[${i}]`, depth + 1)
  }
  builder.add('paragraph', lines.join('\n'))
}

/** What stands below a heading's reach, each value on a line behind its path. */
function collectLines(lines: string[], value: unknown, path: string, depth: number): void {
  if (depth > MAX_DEPTH)
    throw loadFailure('too_large', `the document nests more than ${MAX_DEPTH} deep: publish it in parts`)
  if (Array.isArray(value)) {
    if (value.every(isScalar)) {
      if (value.length > 0) lines.push(`${path}: ${value.map(said).join(', ')}`)
    } else for (const [i, each] of value.entries()) collectLines(lines, each, `${path}[${i}]`, depth + 1)
  } else if (isFields(value)) {
    for (const [key, each] of Object.entries(value)) collectLines(lines, each, `${path}.${key}`, depth + 1)
  } else if (said(value) !== '') lines.push(`${path}: ${said(value)}`)
}

/** The names of records that hold plain values alone, two and more with most of their names in common. */
function commonColumns(values: readonly unknown[]): string[] | null {
  if (values.length < 2) return null
  const counts = new Map<string, number>()
  for (const value of values) {
    if (!isFields(value)) return null
    for (const [key, each] of Object.entries(value)) {
      if (!isScalar(each) || (typeof each === 'string' && each.length > 300)) return null
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
  }
  const columns = [...counts.keys()]
  const filled = [...counts.values()].reduce((sum, count) => sum + count, 0)
  return columns.length > 1 && columns.length <= 40 && filled >= columns.length * values.length * 0.6
    ? columns
    : null
}

function isSection(value: unknown): boolean {
  return countValues(value, MIN_SECTION_VALUES) >= MIN_SECTION_VALUES
}

/** Plain values in all that a value holds, no further than `enough`. */
function countValues(value: unknown, enough: number): number {
  let count = 0
  const stack = [value]
  for (let each = stack.pop(); each !== undefined && count < enough; each = stack.pop()) {
    if (Array.isArray(each) && each.every(isScalar)) count++
    else if (typeof each === 'object' && each !== null) {
      let taken = 0
      for (const inner of Object.values(each)) {
        stack.push(inner ?? '')
        if (++taken >= enough) break
      }
    } else count++
  }
  return count
}

function labelOf(fields: Fields): string | null {
  for (const key of LABELS) {
    const value = fields[key]
    if (typeof value === 'number') return String(value)
    if (typeof value === 'string' && value.trim() !== '' && value.length <= MAX_LABEL_LENGTH) return value
  }
  return null
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isScalar(value: unknown): boolean {
  return typeof value !== 'object' || value === null
}

function said(value: unknown): string {
  if (value === null || value === undefined) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function stringOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
