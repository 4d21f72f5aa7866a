import { z } from 'zod'
import type { Metadata, Scalar } from './types.ts'

export type ComparisonOp = 'eq' | 'in' | 'gt' | 'gte' | 'lt' | 'lte' | 'exists'

/**
 * A condition on metadata. A missing field fails every op, so that `not` matches it; on arrays `eq` and `in` mean
 * any element; types never coerce.
 */
export type MetadataFilter =
  | { readonly and: readonly MetadataFilter[] }
  | { readonly or: readonly MetadataFilter[] }
  | { readonly not: MetadataFilter }
  | {
      readonly field: string
      readonly op: ComparisonOp
      readonly value?: Scalar | readonly Scalar[] | undefined
    }

const MAX_DEPTH = 8
const MAX_NODES = 256

const scalar = z.union([z.string().max(4096), z.number(), z.boolean()])
const field = z.string().min(1).max(256)
const comparison = z.discriminatedUnion('op', [
  z.strictObject({ field, op: z.literal('eq'), value: scalar }),
  z.strictObject({ field, op: z.literal('in'), value: z.array(scalar).max(1000) }),
  z.strictObject({
    field,
    op: z.enum(['gt', 'gte', 'lt', 'lte']),
    value: z.union([z.string().max(4096), z.number()]),
  }),
  z.strictObject({ field, op: z.literal('exists'), value: z.boolean().optional() }),
])
const shape: z.ZodType<MetadataFilter> = z.lazy(() =>
  z.union([
    z.strictObject({ and: z.array(shape) }),
    z.strictObject({ or: z.array(shape) }),
    z.strictObject({ not: shape }),
    comparison,
  ]),
) as z.ZodType<MetadataFilter>

function size(filter: MetadataFilter, depth: number): number {
  if (depth > MAX_DEPTH) return Number.POSITIVE_INFINITY
  if ('and' in filter) return filter.and.reduce((sum, part) => sum + size(part, depth + 1), 1)
  if ('or' in filter) return filter.or.reduce((sum, part) => sum + size(part, depth + 1), 1)
  return 'not' in filter ? 1 + size(filter.not, depth + 1) : 1
}

/** Stops at the limit, so that no depth of JSON reaches the recursion of the parser. */
function nests(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((part) => nests(part, levels - 1))
}

/** At most 8 levels and 256 conditions. */
export const metadataFilter = z
  .unknown()
  // An array and an object each level, and the array of the values.
  .refine((filter) => !nests(filter, 2 * MAX_DEPTH + 1), {
    message: `a filter has at most ${MAX_DEPTH} levels`,
  })
  .pipe(
    shape.refine((filter) => size(filter, 1) <= MAX_NODES, {
      message: `a filter has at most ${MAX_DEPTH} levels and ${MAX_NODES} conditions`,
    }),
  )

/** RFC 3339 date-times compare as instants, other strings by code point; different types never compare. */
function compare(left: Scalar, right: Scalar): number | null {
  if (typeof left === 'number' && typeof right === 'number') return left - right
  if (typeof left !== 'string' || typeof right !== 'string') return null
  const instants = [instant(left), instant(right)] as const
  if (instants[0] !== null && instants[1] !== null) return instants[0] - instants[1]
  return Buffer.compare(Buffer.from(left), Buffer.from(right))
}

const RFC3339 = /^\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2}))?$/

/** Milliseconds since the epoch of an RFC 3339 date or date-time, else null. A date alone is its midnight in UTC. */
export function instant(text: string): number | null {
  if (!RFC3339.test(text)) return null
  const ms = Date.parse(text.replace(' ', 'T'))
  return Number.isNaN(ms) ? null : ms
}

/** The meaning of a filter: adapters that push it down agree with this. */
export function matchesFilter(filter: MetadataFilter, metadata: Metadata): boolean {
  if ('and' in filter) return filter.and.every((part) => matchesFilter(part, metadata))
  if ('or' in filter) return filter.or.some((part) => matchesFilter(part, metadata))
  if ('not' in filter) return !matchesFilter(filter.not, metadata)
  const present = Object.hasOwn(metadata, filter.field)
  if (filter.op === 'exists') return present && filter.value !== false
  if (!present) return false
  const held = metadata[filter.field]!
  const values = Array.isArray(held) ? (held as readonly Scalar[]) : null
  if (filter.op === 'eq') return values ? values.includes(filter.value as Scalar) : held === filter.value
  if (filter.op === 'in') {
    const wanted = filter.value as readonly Scalar[]
    return values ? values.some((value) => wanted.includes(value)) : wanted.includes(held as Scalar)
  }
  if (values) return false
  const order = compare(held as Scalar, filter.value as Scalar)
  if (order === null) return false
  return { gt: order > 0, gte: order >= 0, lt: order < 0, lte: order <= 0 }[filter.op]
}
