import { type ComparisonOp, instant, type MetadataFilter } from '@aquifer/contracts/filter'
import type { Metadata, Scalar } from '@aquifer/contracts/types'

/**
 * Metadata without a schema, as two columns that SQL can filter on, and filters as conditions on them.
 *
 * `facets` is a list: `field` for each field that is there and `field=value` for each of its values. `scalars` is one
 * string, `|field=value` for each field that is no array, whose values sort bytewise as they compare: so a range is a
 * comparison of strings. Names and values stand in hexadecimal, so nothing in them can be taken for SQL or for a mark.
 */
export interface MetadataColumns {
  readonly facets: string[]
  readonly scalars: string
}

export function metadataColumns(metadata: Metadata): MetadataColumns {
  const facets: string[] = []
  let scalars = '|'
  for (const [field, value] of Object.entries(metadata)) {
    const name = exactHex(field)
    const values = Array.isArray(value) ? (value as readonly Scalar[]) : [value as Scalar]
    facets.push(name, ...new Set(values.map((item) => `${name}=${exact(item)}`)))
    if (!Array.isArray(value)) for (const key of sortable(value as Scalar)) scalars += `${name}=${key}|`
  }
  return { facets, scalars }
}

/** The condition that holds exactly where `matchesFilter` does. It is never NULL, so it may be negated. */
export function filterSql(filter: MetadataFilter): string {
  if ('and' in filter) return joined(filter.and, ' AND ', 'TRUE')
  if ('or' in filter) return joined(filter.or, ' OR ', 'FALSE')
  if ('not' in filter) return `NOT ${filterSql(filter.not)}`
  const { field, op, value } = filter
  const name = exactHex(field)
  if (op === 'exists') return value === false ? 'FALSE' : hasAny('facets', [name])
  if (op === 'eq') return hasAny('facets', [`${name}=${exact(value as Scalar)}`])
  if (op === 'in')
    return hasAny(
      'facets',
      (value as readonly Scalar[]).map((item) => `${name}=${exact(item)}`),
    )
  return range(name, op, value as Scalar)
}

/** True where the list column holds any of the values. */
export function hasAny(column: string, values: readonly string[]): string {
  if (values.length === 0) return 'FALSE'
  return `array_has_any(${column}, [${values.map(quote).join(', ')}])`
}

/** A string literal. Everything that comes from outside passes here. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

function joined(filters: readonly MetadataFilter[], operator: string, empty: string): string {
  return filters.length === 0 ? empty : `(${filters.map(filterSql).join(operator)})`
}

const SQL_OP: Partial<Record<ComparisonOp, string>> = { gt: '>', gte: '>=', lt: '<', lte: '<=' }

function range(name: string, op: ComparisonOp, value: Scalar): string {
  const keys = sortable(value)
  const conditions = keys.map((key, place) => {
    const held = heldAs(name, key[0]!)
    const compares = `(${held} <> '' AND ${held} ${SQL_OP[op]} ${quote(key.slice(1))})`
    // Of two keys the first is the instant: as text it compares only with what is no instant.
    return place === 0 ? compares : `(${heldAs(name, keys[0]![0]!)} = '' AND ${compares})`
  })
  return conditions.length === 0 ? 'FALSE' : `(${conditions.join(' OR ')})`
}

/** The field's sortable key of this type, or '' where it has none. */
function heldAs(name: string, type: string): string {
  return `split_part(split_part(scalars, '|${name}=${type}', 2), '|', 1)`
}

/** Type and value such that equal keys are equal values. UTF-16, because a lone surrogate has no UTF-8. */
function exact(value: Scalar): string {
  if (typeof value === 'number') return `n${sortableNumber(value)}`
  return typeof value === 'boolean' ? `b${Number(value)}` : `s${exactHex(value)}`
}

function exactHex(text: string): string {
  return Buffer.from(text, 'utf16le').toString('hex')
}

/** Keys that sort as the value compares, each with its type in front: an instant also has one as text. */
function sortable(value: Scalar): string[] {
  if (typeof value === 'number') return Number.isNaN(value) ? [] : [`n${sortableNumber(value)}`]
  if (typeof value === 'boolean') return []
  // `!` sorts before every digit: a prefix stays the lesser, and the empty string is not nothing.
  const text = `s${Buffer.from(value).toString('hex')}!`
  const ms = instant(value)
  return ms === null ? [text] : [`d${sortableNumber(ms)}`, text]
}

/** IEEE 754 bits, turned so that they sort as unsigned: the sign flipped, of negative numbers all bits. */
export function sortableNumber(value: number): string {
  const bits = Buffer.alloc(8)
  bits.writeDoubleBE(value === 0 ? 0 : value)
  const negative = bits[0]! >= 0x80
  for (let i = 0; i < 8; i++) bits[i] = negative ? ~bits[i]! : i === 0 ? bits[i]! | 0x80 : bits[i]!
  return bits.toString('hex')
}
