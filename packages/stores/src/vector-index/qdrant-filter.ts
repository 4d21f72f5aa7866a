import { hash } from 'node:crypto'
import type { Schemas } from '@qdrant/js-client-rest'
import { instant, type MetadataFilter } from '@aquifer/contracts/filter'
import type { Metadata, Scalar } from '@aquifer/contracts/types'
import { invalid } from '@aquifer/runtime/errors'
import { sortableNumber } from './filter-sql.ts'

export type Condition = Schemas['Condition']

/**
 * Metadata without a schema, as two payload fields that Qdrant can filter on, and filters as conditions on them. Names of
 * metadata are values here, never payload keys: Qdrant reads dots and brackets in a key as a path.
 *
 * `facets`, which an index covers, holds as JSON `[field]` for each field that is there and `[field,value]` for each of its
 * values. For ranges it also holds of each number and instant the sixteen beginnings of its sortable hexadecimal digits: what
 * is greater than 40a9 begins with one of 5 … f, 41 … 4f, 40b … 40f and 40aa … 40af. At most 241 values say any range.
 *
 * `ranks` are for ranges of texts, with the only range that Qdrant has, that of numbers. A text's UTF-8 is cut into steps of
 * six bytes; each is an entry {at, step}: `at` is the hash of field, type and all bytes before, `step` the six bytes as one
 * number. Two texts first differ at one step, where both have the same `at`: so `held < asked` is "at one of the steps of
 * `asked`, `held` has a lesser one". No index covers them: Qdrant reads the payload of points that have a text there.
 */
export interface MetadataKeys {
  readonly facets: string[]
  readonly ranks: Rank[]
}

interface Rank {
  readonly at: string
  readonly step: number
}

export const NOTHING: Condition = { has_id: [] }
const EVERYTHING: Condition = { must_not: [NOTHING] }

const DIGITS = '0123456789abcdef'
const STEP_BYTES = 6
/** A text is told apart by its first 192 bytes; a range may not ask for more. */
const MAX_STEPS = 32
const MAX_RANGE_BYTES = STEP_BYTES * MAX_STEPS - 1
const MAX_FACET_LENGTH = 128

/** Numbers, instants, texts, and the text of an instant, which compares with texts that are none. */
type Type = 'number' | 'instant' | 'text' | 'instant-text'

export function metadataKeys(metadata: Metadata): MetadataKeys {
  const facets = new Set<string>()
  const ranks: Rank[] = []
  for (const [field, value] of Object.entries(metadata)) {
    facets.add(facet(field))
    const values = Array.isArray(value) ? (value as readonly Scalar[]) : [value as Scalar]
    for (const item of values) facets.add(facet(field, item))
    if (Array.isArray(value)) continue
    for (const [type, held] of sortable(value as Scalar)) {
      const before = mark(type, field)
      if (typeof held === 'string') {
        for (let end = 1; end <= held.length; end++) facets.add(before + held.slice(0, end))
      } else {
        facets.add(before)
        ranks.push(...steps(before, held))
      }
    }
  }
  return { facets: [...facets], ranks }
}

/** The condition that holds exactly where `matchesFilter` does. Throws `invalid_filter` for a range of a very long text. */
export function filterCondition(filter: MetadataFilter): Condition {
  if ('and' in filter) {
    return filter.and.length === 0 ? EVERYTHING : { must: filter.and.map(filterCondition) }
  }
  if ('or' in filter) return filter.or.length === 0 ? NOTHING : { should: filter.or.map(filterCondition) }
  if ('not' in filter) return { must_not: [filterCondition(filter.not)] }
  const { field, op, value } = filter
  if (op === 'exists') return value === false ? NOTHING : anyOf('facets', [facet(field)])
  if (op === 'eq') return anyOf('facets', [facet(field, value as Scalar)])
  if (op === 'in') {
    return anyOf(
      'facets',
      (value as readonly Scalar[]).map((item) => facet(field, item)),
    )
  }
  return range(field, op, value as Scalar)
}

/** True where the field is, or its list holds, any of the values. */
export function anyOf(key: string, values: readonly string[]): Condition {
  return values.length === 0 ? NOTHING : { key, match: { any: [...values] } }
}

/** JSON keeps types apart and escapes lone surrogates, which have no UTF-8. */
function facet(...parts: [field: string, value?: Scalar]): string {
  const text = JSON.stringify(parts)
  return text.length <= MAX_FACET_LENGTH ? text : `#${hash('sha256', text, 'base64url')}`
}

type RangeOp = 'gt' | 'gte' | 'lt' | 'lte'

function range(field: string, op: RangeOp, value: Scalar): Condition {
  const conditions = sortable(value).flatMap(([type, asked]): Condition[] => {
    if (typeof asked === 'string') return [anyOf('facets', beginnings(mark(type, field), op, asked))]
    if (asked.length > MAX_RANGE_BYTES) {
      throw invalid('invalid_filter', `a range compares with a text of at most ${MAX_RANGE_BYTES} bytes`)
    }
    // As text, an instant compares with what is no instant, and any other text with both.
    const held: Type[] = type === 'instant-text' ? ['text'] : ['text', 'instant-text']
    return held.map((other) => textRange(mark(other, field), op, asked))
  })
  return conditions.length === 0 ? NOTHING : { should: conditions }
}

/** What all digits begin with that are greater, or less, than these. */
function beginnings(before: string, op: RangeOp, digits: string): string[] {
  const found = op === 'gte' || op === 'lte' ? [before + digits] : []
  for (const [i, digit] of digits.split('').entries()) {
    const others = op.startsWith('gt')
      ? DIGITS.slice(DIGITS.indexOf(digit) + 1)
      : DIGITS.slice(0, DIGITS.indexOf(digit))
    for (const other of others) found.push(before + digits.slice(0, i) + other)
  }
  return found
}

function textRange(before: string, op: RangeOp, asked: Buffer): Condition {
  const strict = op.slice(0, 2)
  const conditions = steps(before, asked).map(({ at, step }, i, all): Condition => {
    const bound = { [i === all.length - 1 ? op : strict]: step }
    const must: Condition[] = [
      { key: 'at', match: { value: at } },
      { key: 'step', range: bound },
    ]
    return { nested: { key: 'ranks', filter: { must } } }
  })
  return { must: [anyOf('facets', [before]), { should: conditions }] }
}

/** Digits that sort as the value, or bytes that do. */
function sortable(value: Scalar): (readonly [type: Type, held: string | Buffer])[] {
  if (typeof value === 'boolean' || Number.isNaN(value)) return []
  if (typeof value === 'number') return [['number', sortableNumber(value)]]
  const ms = instant(value)
  if (ms === null) return [['text', Buffer.from(value)]]
  return [
    ['instant', sortableNumber(ms)],
    ['instant-text', Buffer.from(value)],
  ]
}

/** Begins what is said of the values of a type in a field. */
function mark(type: Type, field: string): string {
  return `${hash('sha256', JSON.stringify([type, field]), 'base64url').slice(0, 22)}:`
}

/** The last one has room for an end, which sorts before every byte. */
function steps(before: string, bytes: Buffer): Rank[] {
  const count = Math.min(MAX_STEPS, Math.floor(bytes.length / STEP_BYTES) + 1)
  return Array.from({ length: count }, (_, i) => {
    const start = i * STEP_BYTES
    let step = 0
    for (let at = start; at < start + STEP_BYTES; at++) {
      step = step * 257 + (at < bytes.length ? bytes[at]! + 1 : 0)
    }
    const at = hash('sha256', before + bytes.toString('latin1', 0, start), 'base64url').slice(0, 22)
    return { at, step }
  })
}
