import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from '@lancedb/lancedb'
import { openLanceDb } from '@aquifer/stores/lancedb'
import { tableSchema, toTable } from '@aquifer/stores/lancedb-rows'
import { cacheDir } from './query-chunks.ts'
import type { Real } from './query-chunks.ts'
import { createPoints, GROUPS, TENANT } from './query-points.ts'

/** Rows of one file: as many as there is memory for with ease. */
const ROWS_PER_FILE = 50_000
const RECALL_QUESTIONS = 20
const RECALL_AT = 10

export interface TableSpec {
  readonly rows: number
  readonly fingerprint: string
}

export const tableDir = ({ rows, fingerprint }: TableSpec): string => join(cacheDir, `${rows}-${fingerprint}`)

/**
 * A collection of so many points, with all its indexes and merged as upkeep leaves it; made once (a million takes some minutes and 10 GB)
 * and kept. Its rows are added in bulk, beside the port, which would take an hour.
 */
export async function makeTable(spec: TableSpec, real: Real, say: (line: string) => void): Promise<void> {
  const path = tableDir(spec)
  if (existsSync(path)) return
  const started = performance.now()
  const making = `${path}.new`
  rmSync(making, { recursive: true, force: true })
  mkdirSync(cacheDir, { recursive: true })
  const dimensions = real.chunks[0]!.vector.length
  const collection = { fingerprint: spec.fingerprint, dimensions }
  const empty = await openLanceDb({ path: making })
  await empty.open(collection)
  await empty.close()

  const connection = await connect(making)
  const table = await connection.openTable((await connection.tableNames())[0]!)
  const points = createPoints(real.chunks)
  const schema = tableSchema(dimensions)
  for (let from = 0; from < spec.rows; from += ROWS_PER_FILE)
    await table.add(toTable(points(from, Math.min(ROWS_PER_FILE, spec.rows - from)), schema))
  table.close()
  connection.close()

  const failures: unknown[] = []
  const admin = await openLanceDb({ path: making, onUpkeepFailure: (error) => failures.push(error) })
  const index = await admin.open(collection)
  // The second waits for the approximate index, where the first began one.
  for (let pass = 0; pass < 2; pass++) await index.compact({ olderThanMs: 0 })
  await admin.close()
  if (failures.length > 0) throw failures[0]
  renameSync(making, path)
  say(`  ${spec.rows} chunks made in ${((performance.now() - started) / 1000).toFixed(0)} s`)
}

/** Share of the ten nearest by all vectors that a search finds; measured once for a table. */
export async function recallOf(spec: TableSpec, real: Real): Promise<number> {
  const path = join(tableDir(spec), 'recall.json')
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as number
  const admin = await openLanceDb({ path: tableDir(spec) })
  const index = await admin.open({
    fingerprint: spec.fingerprint,
    dimensions: real.chunks[0]!.vector.length,
  })
  const connection = await connect(tableDir(spec))
  const table = await connection.openTable((await connection.tableNames())[0]!)
  const where = `tenant = '${TENANT}' AND array_has_any(readers, ['*', ${GROUPS.map((group) => `'=${group}'`).join(', ')}])`
  let found = 0
  for (const { vector } of real.questions.slice(0, RECALL_QUESTIONS)) {
    const exact = await table
      .query()
      .nearestTo(vector)
      .column('vector')
      .distanceType('cosine')
      .bypassVectorIndex()
      .where(where)
      .limit(RECALL_AT)
      .select(['id', '_distance'])
      .toArray()
    const { dense } = await index.search({ tenant: TENANT, groups: GROUPS, vector, limit: 50 })
    const ids = new Set(dense.slice(0, RECALL_AT).map(({ id }) => id))
    found += exact.filter((row: { id: string }) => ids.has(row.id)).length / exact.length
  }
  table.close()
  connection.close()
  await admin.close()
  const recall = found / Math.min(RECALL_QUESTIONS, real.questions.length)
  writeFileSync(path, JSON.stringify(recall))
  return recall
}
