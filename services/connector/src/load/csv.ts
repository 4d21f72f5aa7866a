import { parse } from 'csv-parse/sync'

import { decodeText } from './charset.ts'
import { createDocumentBuilder } from './document.ts'
import type { LoadedDocument, LoadInput } from './document.ts'
import { plainDocument } from './plain-text.ts'
import { sniffDelimiter } from './sniff-delimiter.ts'
import { addRecords } from './tables.ts'

const SNIFFED_CHARACTERS = 64 * 1024
/** Of one record: an open quote takes no more than this with it. */
const MAX_RECORD_CHARACTERS = 1024 * 1024
/** Excel's own way to say what parts the columns. */
const SEPARATOR_LINE = /^sep=(.)\r?\n/u
const NUMBER = /^[-+(]?[\p{Sc}\s]?[\d.,\s]*\d[\d.,\s]*[%)]?[\p{Sc}]?$/u

/** CSV and its kin: the header row is known, so that each passage of rows says what its columns are. */
export async function loadCsv({ bytes, charset, filename, limits }: LoadInput): Promise<LoadedDocument> {
  const raw = decodeText(bytes, charset).replace(/^\ufeff/u, '')
  const stated = SEPARATOR_LINE.exec(raw)
  const text = stated ? raw.slice(stated[0].length) : raw
  const delimiter =
    stated?.[1] ??
    sniffDelimiter(text.slice(0, SNIFFED_CHARACTERS)) ??
    (filename?.toLowerCase().endsWith('.csv') === false ? '\t' : ',')
  const rows = records(text, delimiter)
  if (!rows) return plainDocument(text, limits)
  const builder = createDocumentBuilder(limits)
  const [first = []] = rows
  const hasHeader = rows.length > 1 && isHeader(first)
  const width = rows.reduce((most, cells) => Math.max(most, cells.length), 0)
  const header = hasHeader ? first : Array.from({ length: width }, (_, i) => `column ${i + 1}`)
  addRecords(
    builder,
    header,
    (hasHeader ? rows.slice(1) : rows).map((cells) => ({ cells })),
  )
  return builder.finish({})
}

/** Null where the text's quotes are such that it is none. */
function records(text: string, delimiter: string): string[][] | null {
  const options = {
    delimiter,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: MAX_RECORD_CHARACTERS,
  }
  try {
    return parse(text, { ...options, relax_quotes: true })
  } catch {
    try {
      return parse(text, { ...options, quote: null })
    } catch {
      return null
    }
  }
}

/** Names, each its own: a number or a blank among them is a record's. */
function isHeader(cells: readonly string[]): boolean {
  const names = cells.map((cell) => cell.trim())
  const said = names.filter((name) => name !== '')
  if (said.length < Math.max(1, names.length / 2) || new Set(said).size < said.length) return false
  return !said.some((name) => NUMBER.test(name) || name.length > 100)
}
