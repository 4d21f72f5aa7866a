import { connect, MatchQuery } from '@lancedb/lancedb'
import type { Table } from '@lancedb/lancedb'
import { openLanceDb } from '@aquifer/stores/lancedb'
import { columns } from '@aquifer/stores/lancedb-rows'
import { DENSE_SETTINGS, visibleSql } from '@aquifer/stores/lancedb-search'
import type { RealQuestion } from './query-chunks.ts'
import { GROUPS, TENANT } from './query-points.ts'

/**
 * One side in a process of its own: the port, or LanceDB's own client with the same indexes, condition, settings and columns. Arguments:
 * `port` or `client`, then the folders of the tables. A message has the number of the table and a question; the answer is milliseconds.
 */
export interface QueryTask {
  readonly table: number
  readonly question: RealQuestion
}

const LISTS = 50
const [side, ...folders] = process.argv.slice(2) as ['port' | 'client', ...string[]]
type Ask = (question: RealQuestion) => Promise<unknown>

async function openPort(path: string): Promise<Ask> {
  const admin = await openLanceDb({ path })
  const index = await admin.open((await admin.list())[0]!)
  return async ({ vector, terms }) =>
    await index.search({ tenant: TENANT, groups: GROUPS, vector, terms, limit: LISTS })
}

/** As LanceDB's own documentation reads rows. */
async function openClient(path: string): Promise<Ask> {
  const connection = await connect(path)
  const table = await connection.openTable((await connection.tableNames())[0]!)
  const where = visibleSql({ tenant: TENANT, groups: GROUPS, limit: LISTS })
  return async (question) =>
    await Promise.all([nearest(table, where, question), matching(table, where, question)])
}

async function nearest(table: Table, where: string, { vector }: RealQuestion): Promise<unknown> {
  const query = table.query().nearestTo(vector).column('vector').distanceType('cosine')
  const { partitions, candidates } = DENSE_SETTINGS
  const rows = await query
    .maximumNprobes(0)
    .minimumNprobes(partitions)
    .refineFactor(candidates(LISTS))
    .where(where)
    .limit(LISTS)
    .select([...columns.hit, '_distance'])
    .toArray()
  return rows.map(readRow)
}

async function matching(table: Table, where: string, { terms }: RealQuestion): Promise<unknown> {
  const query = table.query().fullTextSearch(new MatchQuery(terms.join(' '), 'terms'))
  const rows = await query
    .where(where)
    .limit(LISTS)
    .select([...columns.hit, '_score'])
    .toArray()
  return rows.map(readRow)
}

const readRow = (row: Record<string, unknown>): unknown[] =>
  ['payload', 'vector', 'word_bits', '_distance', '_score'].map((name) => row[name])

const tables = await Promise.all(folders.map(side === 'port' ? openPort : openClient))
process.on('message', (task: QueryTask) => void answer(task))
process.on('disconnect', () => process.exit(0))
process.send!('ready')

async function answer({ table, question }: QueryTask): Promise<void> {
  const started = performance.now()
  await tables[table]!(question)
  process.send!(performance.now() - started)
}
