import { invalid } from '@aquifer/runtime/errors'
import type { CollectionSpec, IndexQuery, Point, VectorIndex } from './port.ts'

type Limits = VectorIndex['limits']

/** Throws `batch_too_large`, or `dimension_mismatch` for a vector of another space. */
export function checkPoints(points: readonly Point[], { dimensions }: CollectionSpec, limits: Limits): void {
  if (points.length > limits.maxBatchPoints) {
    throw invalid('batch_too_large', `${points.length} points in one call; at most ${limits.maxBatchPoints}`)
  }
  for (const { id, vector } of points) {
    if (vector.length !== dimensions) {
      throw invalid(
        'dimension_mismatch',
        `point ${id}: a vector of ${vector.length} dimensions in a collection of ${dimensions}`,
      )
    }
  }
}

/** Throws `invalid_limit` or `dimension_mismatch`. */
export function checkQuery(query: IndexQuery, { dimensions }: CollectionSpec, limits: Limits): void {
  if (!Number.isInteger(query.limit) || query.limit < 1 || query.limit > limits.maxSearchLimit) {
    throw invalid('invalid_limit', `limit is 1 to ${limits.maxSearchLimit}, not ${query.limit}`)
  }
  if (query.vector && query.vector.length !== dimensions) {
    throw invalid(
      'dimension_mismatch',
      `a query vector of ${query.vector.length} dimensions in a collection of ${dimensions}`,
    )
  }
}

/** Throws `dimension_mismatch` where one fingerprint is given two widths. */
export function checkSame(known: CollectionSpec, asked: CollectionSpec): void {
  if (known.dimensions !== asked.dimensions) {
    throw invalid(
      'dimension_mismatch',
      `collection ${known.fingerprint} has ${known.dimensions} dimensions, not ${asked.dimensions}`,
    )
  }
}
