import { MatchQuery, type Table } from '@lancedb/lancedb'
import type { Table as ArrowTable } from 'apache-arrow'
import { filterSql, hasAny, quote } from './filter-sql.ts'
import { columns, EVERYONE, readerOf } from './lancedb-rows.ts'
import type { IndexQuery } from './port.ts'

export const READ_TIMEOUT_MS = 30_000

/**
 * What the approximate index is asked for, where the table has one (lancedb-nearest.ts): of so many partitions the nearest rows by
 * their two-bit codes, as many times the limit, of which the nearest by their vectors are kept. recall@10 beside a pass through all
 * vectors: bench/NOTES.md. A filter that leaves too few makes it go on to more partitions.
 */
export const DENSE_SETTINGS = {
  partitions: 24,
  candidates: (limit: number): number => Math.max(4, Math.ceil(200 / limit)),
}
/** More than an exact index has: all are passed through. */
const EVERY_PARTITION = 10_000

/** `isExact`: the table's index holds the vectors themselves, so that none is to be read again to be weighed. */
export function searchDense(
  table: Table,
  query: IndexQuery,
  { vector, where, isExact }: { vector: Float32Array; where: string; isExact: boolean },
): Promise<ArrowTable> {
  const { limit } = query
  const nearest = table.query().nearestTo(vector).column('vector').distanceType('cosine').maximumNprobes(0)
  if (isExact) nearest.minimumNprobes(EVERY_PARTITION)
  else nearest.minimumNprobes(DENSE_SETTINGS.partitions).refineFactor(DENSE_SETTINGS.candidates(limit))
  return nearest
    .where(where)
    .limit(limit)
    .select([...columns.hit, '_distance'])
    .toArrow({ timeoutMs: READ_TIMEOUT_MS })
}

export function searchLexical(
  table: Table,
  query: IndexQuery,
  terms: readonly string[],
  where: string,
): Promise<ArrowTable> {
  return table
    .query()
    .fullTextSearch(new MatchQuery(terms.join(' '), 'terms'))
    .where(where)
    .limit(query.limit)
    .select([...columns.hit, '_score'])
    .toArrow({ timeoutMs: READ_TIMEOUT_MS })
}

/** Tenant, access and filter as one condition, which the search applies before its limit. */
export function visibleSql({ tenant, groups, filter }: Omit<IndexQuery, 'vector' | 'terms'>): string {
  const conditions = [`tenant = ${quote(tenant)}`]
  if (groups !== null) conditions.push(hasAny('readers', [EVERYONE, ...groups.map(readerOf)]))
  if (filter) conditions.push(filterSql(filter))
  return conditions.join(' AND ')
}
