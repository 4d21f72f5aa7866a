import { Index, type Table } from '@lancedb/lancedb'
import type { Clock } from '@aquifer/runtime/clock'
import { AquiferError, errorMessage, unavailable } from '@aquifer/runtime/errors'
import { checkPoints, checkQuery } from './checks.ts'
import { documentCounter } from './document-counter.ts'
import { quote } from './filter-sql.ts'
import { gate } from './gate.ts'
import { gathered } from './gathered.ts'
import { createHoldings } from './holdings.ts'
import { nearestIndex } from './lancedb-nearest.ts'
import { columns, tableSchema, toHits, toPoints, toTable } from './lancedb-rows.ts'
import { READ_TIMEOUT_MS, searchDense, searchLexical, visibleSql } from './lancedb-search.ts'
import type { CollectionSpec, DocumentPoints, PointSelector, VectorIndex } from './port.ts'
import { writeQueue } from './write-queue.ts'

const LIMITS = { maxBatchPoints: 512, maxSearchLimit: 1000 }
/** Decoded on the event loop, in about five milliseconds. */
const FETCHED_BATCH_ROWS = 256
/** A dense search without an approximate index passes through every vector on all cores: more at once are no faster, and each holds buffers. */
const DENSE_AT_ONCE = 2
const MAX_DENSE_WAITING = 256
/** Rows that no index covers are scanned by every search: beyond this share they are brought in. */
const UNINDEXED_SHARE = 0.25
const MIN_UNINDEXED_ROWS = 2000
/** Each commit leaves a file of its own, and every search opens them all. */
const MAX_COMMITS = 64
/**
 * BM25 of rows that no index covers is counted by the statistics of those that one does: a little off, until writes have
 * paused for so long. Upkeep rewrites every row, so that the pause grows with them.
 */
const MIN_IDLE_MS = 2000
const IDLE_MS_PER_ROW = 0.2

const idleMs = (rows: number): number => Math.max(MIN_IDLE_MS, IDLE_MS_PER_ROW * rows)

/** The terms are words already: the full-text index splits them at blanks and changes none. */
const INDEXES: readonly (readonly [column: string, config: () => Index])[] = [
  [
    'terms',
    () =>
      Index.fts({
        baseTokenizer: 'whitespace',
        lowercase: false,
        stem: false,
        removeStopWords: false,
        asciiFolding: false,
        withPosition: false,
        maxTokenLength: 4096,
      }),
  ],
  ['id', () => Index.btree()],
  ['document', () => Index.btree()],
  ['tenant', () => Index.bitmap()],
  ['readers', () => Index.labelList()],
  ['facets', () => Index.labelList()],
]

/** Indexes that keep words and values of deleted rows until they are made anew. */
const HOLD_CONTENT = ['terms', 'facets']

export interface CollectionDeps {
  readonly clock: Clock
  /** Background upkeep that failed: it is tried again after more writes. */
  readonly onUpkeepFailure: (error: unknown) => void
  /** From so many rows on, dense searches are approximate. */
  readonly approximateFromRows: number
}

/** Documents that are looked for in one pass, and rows that are read of them. */
const MAX_LOOKED_AT = 64
const MAX_LOOKED_AT_ROWS = 4096

/** One table as a `VectorIndex`. Writes pass one queue, and upkeep goes between them. */
export async function openCollection(
  table: Table,
  collection: CollectionSpec,
  { clock, onUpkeepFailure, approximateFromRows }: CollectionDeps,
): Promise<VectorIndex> {
  const schema = tableSchema(collection.dimensions)
  await makeIndexes(table, [])
  const nearest = await nearestIndex(table, {
    fromRows: approximateFromRows,
    dimensions: collection.dimensions,
    onFailure: onUpkeepFailure,
  })
  const rowsBefore = await table.countRows()
  await nearest.grow(rowsBefore)
  const reads = new Set<Promise<unknown>>()
  let commits = 0
  let unindexedRows = 0
  // What is deleted before this process began may still lie in the files.
  let deletedRows = true
  let idle = new AbortController()
  const denseGate = gate(DENSE_AT_ONCE, MAX_DENSE_WAITING)

  async function read<T>(query: () => Promise<T>): Promise<T> {
    const running = query().catch(failed)
    reads.add(running)
    try {
      return await running
    } finally {
      reads.delete(running)
    }
  }

  const holdings = createHoldings()
  /** Finds out which documents have points at all: those of one turn of the event loop in one pass. */
  const look = gathered(MAX_LOOKED_AT, async (documents: readonly PointSelector[]) => {
    const end = holdings.look(documents)
    let held: ReadonlySet<string> | null = null
    try {
      held = await read(() => withPoints(table, documents))
    } finally {
      end(({ tenant, documentId }) => !held || held.has(`${tenant}/${documentId}`))
    }
  })

  const queue = writeQueue({
    async upsert(points, isNew) {
      // Of one id in a batch the last counts.
      const last = [...new Map(points.map((point) => [point.id, point])).values()]
      const rows = toTable(last, schema)
      // A merge looks for each id in the whole table.
      const merge = () =>
        table.mergeInsert('id').whenMatchedUpdateAll().whenNotMatchedInsertAll().execute(rows)
      await (isNew ? table.add(rows) : merge()).catch(failed)
      commits++
      unindexedRows += last.length
    },
    async delete(conditions) {
      await table.delete(conditions.map((condition) => `(${condition})`).join(' OR ')).catch(failed)
      commits++
      deletedRows = true
    },
    async afterWrite() {
      try {
        const rows = await table.countRows()
        const much = Math.max(MIN_UNINDEXED_ROWS, UNINDEXED_SHARE * rows)
        idle.abort()
        const isDue = commits >= MAX_COMMITS || unindexedRows >= much
        if (isDue && !nearest.isBuilding) await upkeep(0)
        else void upkeepAfter(idleMs(rows))
      } catch (error) {
        onUpkeepFailure(error)
      }
    },
  })

  async function upkeepAfter(pauseMs: number): Promise<void> {
    const { signal } = (idle = new AbortController())
    try {
      await clock.sleep(pauseMs, signal)
      await nearest.settled()
      // What went before it in the queue may have begun another index.
      const inTurn = async () => (nearest.isBuilding ? void upkeepAfter(pauseMs) : await upkeep(0))
      if (!signal.aborted) await queue.run(inTurn)
    } catch (error) {
      if (!signal.aborted) onUpkeepFailure(error)
    }
  }

  /** Merges files and indexes, then drops older versions once no search reads them. */
  async function upkeep(olderThanMs: number): Promise<void> {
    commits = 0
    unindexedRows = 0
    await table.optimize()
    await Promise.allSettled(reads)
    // Nothing else writes: a file that no version names was left by a killed process.
    const cleanupOlderThan = new Date(clock.now() - olderThanMs)
    await table.optimize({ cleanupOlderThan, deleteUnverified: true })
    await nearest.grow(await table.countRows())
  }

  /** Readies the table so that the next upkeep rewrites what holds deleted rows. */
  async function erase(): Promise<void> {
    let index = { made: Promise.resolve() }
    await queue.run(async () => {
      await nearest.settled()
      // One file alone is not rewritten for a few deleted rows: moving a row makes it two, which are merged.
      const [row] = await table.query().select(['id']).limit(1).toArray()
      if (row) await table.update({ where: `id = ${quote(String(row.id))}`, valuesSql: { place: 'place' } })
      await table.optimize()
      index = await nearest.renew(await table.countRows())
    })
    await index.made
  }

  async function compact(olderThanMs: number): Promise<void> {
    const erases = deletedRows
    // Rows that are deleted from here on are left to the next time.
    deletedRows = false
    try {
      if (erases) await erase()
      await queue.run(async () => {
        await nearest.settled()
        if (erases) await makeIndexes(table, HOLD_CONTENT)
        await upkeep(olderThanMs)
      })
    } catch (error) {
      deletedRows ||= erases
      failed(error)
    }
  }

  // A process before this one may have ended before its upkeep; where nothing is to be done it takes a few milliseconds.
  void upkeepAfter(idleMs(rowsBefore))

  return {
    limits: LIMITS,
    collection,
    async upsert(points) {
      checkPoints(points, collection, LIMITS)
      if (points.length === 0) return
      const { isNew, done } = holdings.write(points)
      let failed = true
      try {
        await queue.upsert(points, isNew)
        failed = false
      } finally {
        done(failed)
      }
    },
    async search(query) {
      checkQuery(query, collection, LIMITS)
      const where = visibleSql(query)
      const [dense, lexical] = await Promise.all([
        query.vector === undefined
          ? null
          : denseGate(() =>
              read(() =>
                searchDense(table, query, { vector: query.vector!, where, isExact: nearest.isExact }),
              ),
            ),
        query.terms === undefined || query.terms.length === 0
          ? null
          : read(() => searchLexical(table, query, query.terms!, where)),
      ])
      return {
        dense: dense ? toHits(dense, '_distance', (distance) => 1 - distance) : [],
        lexical: lexical ? toHits(lexical, '_score', (score) => score) : [],
      }
    },
    async fetch(selector, limit) {
      if (!holdings.isKnown(selector)) await look(selector)
      if (holdings.isEmpty(selector)) return []
      const order = ['version', 'build', 'place']
      const rows = table
        .query()
        .where(selectorSql(selector))
        .select([...columns.point, ...order])
        .orderBy(order.map((columnName) => ({ columnName })))
      const options = { timeoutMs: READ_TIMEOUT_MS, maxBatchLength: FETCHED_BATCH_ROWS }
      return await toPoints(await read(() => rows.limit(limit).toArrow(options)))
    },
    count: (selector) => read(() => table.countRows(selector && selectorSql(selector))),
    async delete(selector) {
      if (holdings.delete(selector)) await queue.delete(selectorSql(selector))
    },
    scan: ({ after, limit }) => read(() => scan(table, after, limit)),
    compact: ({ olderThanMs }) => compact(olderThanMs),
    async ping() {
      await read(() => table.version())
    },
    async close() {
      idle.abort()
      await queue.close()
      idle.abort()
      await Promise.allSettled(reads)
      table.close()
    },
  }
}

/** Those of the documents that have points, as `tenant/id`; null where they have too many to be looked through. */
async function withPoints(
  table: Table,
  documents: readonly PointSelector[],
): Promise<ReadonlySet<string> | null> {
  const of = documents.map(({ tenant, documentId }) => `(${selectorSql({ tenant, documentId })})`)
  const names = ['tenant', 'document']
  const query = table.query().where(of.join(' OR ')).select(names).limit(MAX_LOOKED_AT_ROWS)
  const found = await query.toArrow({ timeoutMs: READ_TIMEOUT_MS })
  if (found.numRows === MAX_LOOKED_AT_ROWS) return null
  const [tenants, ids] = names.map((name) => found.getChild(name)!)
  return new Set(Array.from({ length: found.numRows }, (_, i) => `${tenants!.get(i)}/${ids!.get(i)}`))
}

/** Makes the indexes that are missing, and `anew` those named. */
async function makeIndexes(table: Table, anew: readonly string[]): Promise<void> {
  const present = new Set((await table.listIndices()).flatMap((index) => index.columns))
  for (const [column, config] of INDEXES) {
    if (anew.includes(column) || !present.has(column)) await table.createIndex(column, { config: config() })
  }
}

function selectorSql({ tenant, documentId, version, build }: PointSelector): string {
  const conditions = [`tenant = ${quote(tenant)}`, `document = ${quote(documentId)}`]
  if (version?.eq !== undefined) conditions.push(`version = ${quote(version.eq)}`)
  if (version?.lt !== undefined) conditions.push(`version < ${quote(version.lt)}`)
  if (version?.lte !== undefined) conditions.push(`version <= ${quote(version.lte)}`)
  if (build?.eq !== undefined) conditions.push(`build = ${quote(build.eq)}`)
  if (build?.ne !== undefined) conditions.push(`build <> ${quote(build.ne)}`)
  return conditions.join(' AND ')
}

async function scan(
  table: Table,
  after: { tenant: string; documentId: string } | undefined,
  limit: number,
): Promise<DocumentPoints[]> {
  const names = ['tenant', 'document', 'version', 'build']
  const query = table.query().select(names)
  if (after) {
    const tenant = quote(after.tenant)
    query.where(`tenant > ${tenant} OR (tenant = ${tenant} AND document > ${quote(after.documentId)})`)
  }
  query.orderBy(names.map((columnName) => ({ columnName })))
  const documents = documentCounter(limit)
  for await (const batch of query) {
    const [tenants, ids, versions, builds] = names.map((name) => batch.getChild(name)!)
    for (let i = 0; i < batch.numRows; i++) {
      const counted = documents.add({
        tenant: String(tenants!.get(i)),
        documentId: String(ids!.get(i)),
        version: String(versions!.get(i)),
        build: String(builds!.get(i)),
      })
      if (!counted) return documents.counted
    }
  }
  return documents.counted
}

function failed(error: unknown): never {
  if (error instanceof AquiferError) throw error
  throw unavailable('index_failed', `LanceDB: ${errorMessage(error)}`, error)
}
