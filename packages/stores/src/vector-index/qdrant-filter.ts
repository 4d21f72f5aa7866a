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
 * `facets` holds `[field]` for each field that is there and `[field,value]` for each of its values, as JSON.
 *
 * `ranks` makes ranges of any type out of Qdrant's only one, that of numbers. A value's bytes, which sort as it compares,
 * are cut into steps of six; each is an entry {at, step}: `at` is the hash of field, type and all bytes before, `step` the
 * six bytes as one number. Two values first differ at one step, where both have the same `at`: so `held < asked` is "at
 * one of the steps of `asked`, `held` has a lesser one". No index covers them: Qdrant reads the payload of those points
 * that the other conditions leave.
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

const STEP_BYTES = 6
/** A text is told apart by its first 192 bytes; a range may not ask for more. */
const MAX_STEPS = 32
const MAX_RANGE_BYTES = STEP_BYTES * MAX_STEPS - 1
const MAX_FACET_LENGTH = 128

/** Numbers, instants, texts, and the text of an instant, which compares with texts that are none. */
type Type = 'number' | 'instant' | 'text' | 'instant-text'
type Sortable = readonly [type: Type, bytes: Buffer]

export function metadataKeys(metadata: Metadata): MetadataKeys {
  const facets = new Set<string>()
  const ranks: Rank[] = []
  for (const [field, value] of Object.entries(metadata)) {
    facets.add(facet(field))
    if (Array.isArray(value)) for (const item of value as readonly Scalar[]) facets.add(facet(field, item))
    else {
      facets.add(facet(field, value as Scalar))
      for (const [type, bytes] of sortable(value as Scalar)) ranks.push(...steps(field, type, bytes))
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

function range(field: string, op: 'gt' | 'gte' | 'lt' | 'lte', value: Scalar): Condition {
  const keys = sortable(value)
  const conditions = keys.flatMap(([type, bytes]): Condition[] => {
    if (bytes.length > MAX_RANGE_BYTES) {
      throw invalid('invalid_filter', `a range compares with a text of at most ${MAX_RANGE_BYTES} bytes`)
    }
    // As text, an instant compares with what is no instant, and any other text with both.
    const held: Type[] =
      type === 'instant-text' ? ['text'] : type === 'text' ? ['text', 'instant-text'] : [type]
    return held.flatMap((other) => compared(field, other, op, bytes))
  })
  return conditions.length === 0 ? NOTHING : { should: conditions }
}

function compared(field: string, type: Type, op: 'gt' | 'gte' | 'lt' | 'lte', bytes: Buffer): Condition[] {
  const strict = op.slice(0, 2)
  return steps(field, type, bytes).map(({ at, step }, i, all) => {
    const bound = { [i === all.length - 1 ? op : strict]: step }
    const must: Condition[] = [
      { key: 'at', match: { value: at } },
      { key: 'step', range: bound },
    ]
    return { nested: { key: 'ranks', filter: { must } } }
  })
}

function sortable(value: Scalar): Sortable[] {
  if (typeof value === 'boolean' || Number.isNaN(value)) return []
  if (typeof value === 'number') return [['number', numberBytes(value)]]
  const ms = instant(value)
  if (ms === null) return [['text', Buffer.from(value)]]
  return [
    ['instant', numberBytes(ms)],
    ['instant-text', Buffer.from(value)],
  ]
}

function numberBytes(value: number): Buffer {
  return Buffer.from(sortableNumber(value), 'hex')
}

/** The last one has room for an end, which sorts before every byte. */
function steps(field: string, type: Type, bytes: Buffer): Rank[] {
  const count = Math.min(MAX_STEPS, Math.floor(bytes.length / STEP_BYTES) + 1)
  return Array.from({ length: count }, (_, i) => {
    const start = i * STEP_BYTES
    let step = 0
    for (let at = start; at < start + STEP_BYTES; at++)
      step = step * 257 + (at < bytes.length ? bytes[at]! + 1 : 0)
    const before = `${JSON.stringify([type, field])}${bytes.toString('latin1', 0, start)}`
    return { at: hash('sha256', before, 'base64url').slice(0, 22), step }
  })
}
