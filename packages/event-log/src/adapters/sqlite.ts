import { unavailable } from '@aquifer/runtime/errors'
import { type Database, openDatabase, type Row, type Statement } from '@aquifer/runtime/sqlite'
import { createEmbeddedLog, type EmbeddedEventLog, type LogOptions } from '../log.ts'
import type { LogStorage, PartitionRef, StoredTopic } from '../log-storage.ts'
import type { Headers, LogRecord, TopicSpec } from '../port.ts'
import { createAppends, SPAN } from './sqlite-appends.ts'
import { COMMIT_CHECKPOINT_PAGES, createCheckpoints } from './sqlite-checkpoints.ts'

const MAX_PARTITION_ID = 2 ** 13 - 1

/** Steps of maintenance: short enough that an append behind one does not wait long, even with values of 512 KiB. */
const DROP_RECORDS = 64
const COMPACT_RECORDS = 64

// Sizes and times stand before the blobs, so that looking at them does not read a large value's overflow pages.
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS topics (
    name TEXT PRIMARY KEY,
    retention_ms INTEGER,
    cleanup TEXT NOT NULL
  );
  CREATE TABLE IF NOT EXISTS partitions (
    id INTEGER PRIMARY KEY CHECK (id <= ${MAX_PARTITION_ID}),
    topic TEXT NOT NULL REFERENCES topics (name),
    partition INTEGER NOT NULL,
    base INTEGER GENERATED ALWAYS AS (id * ${SPAN}) VIRTUAL,
    next INTEGER NOT NULL DEFAULT 0,
    last_time_ms INTEGER NOT NULL DEFAULT 0,
    compact INTEGER NOT NULL,
    compacted_to INTEGER NOT NULL DEFAULT 0,
    UNIQUE (topic, partition)
  );
  CREATE TABLE IF NOT EXISTS records (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    compact INTEGER NOT NULL,
    key BLOB,
    headers TEXT,
    value BLOB
  );
  CREATE INDEX IF NOT EXISTS records_by_key ON records (key) WHERE compact = 1;
  CREATE TABLE IF NOT EXISTS commits (
    consumer_group TEXT NOT NULL,
    partition_id INTEGER NOT NULL,
    next INTEGER NOT NULL,
    PRIMARY KEY (consumer_group, partition_id)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS pings (id INTEGER PRIMARY KEY, count INTEGER NOT NULL);
`

// All records in one row, numbers and headers as JSON: what SQLite, two threads and the parser take for each record is a third of what
// they take for a row each. Bytes stay as they are when they are put together as text. The bound: as many as fit, the first one always.
const READ = `
  SELECT
    max(id) AS last,
    '[' || group_concat(id || ',' || time_ms || ',' || ifnull(octet_length(key), -1) || ','
      || ifnull(octet_length(value), -1)) || ']' AS numbers,
    '[' || group_concat(ifnull(headers, '{}')) || ']' AS headers,
    CAST(group_concat(CAST(key AS TEXT), '') AS BLOB) AS keys,
    CAST(group_concat(CAST(value AS TEXT), '') AS BLOB) AS "values"
  FROM (
    SELECT * FROM records WHERE id >= ?1 AND id <= ifnull(
      (SELECT max(id) FROM (
        SELECT id, sum(size_bytes) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) AS total
        FROM records WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3)
      WHERE total <= ?4),
      (SELECT id FROM records WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1))
    ORDER BY id)`
const DROP = `
  DELETE FROM records WHERE id IN (
    SELECT id FROM (SELECT id, time_ms FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ${DROP_RECORDS})
    WHERE time_ms < ?)
  RETURNING 1`
// Only what was appended since the last time can supersede anything: each key of that stretch drops what is older.
const COMPACT = `
  DELETE FROM records WHERE id IN (
    SELECT older.id FROM (
      SELECT key, max(records.id) AS newest, base FROM partitions JOIN records
      ON records.id >= base + compacted_to AND records.id < base + compacted_to + ${COMPACT_RECORDS}
      WHERE partitions.id = ? GROUP BY key) AS dirty
    JOIN records AS older INDEXED BY records_by_key
    ON older.compact = 1 AND older.key = dirty.key AND older.id >= dirty.base AND older.id < dirty.newest)`
const COMPACTED = `
  UPDATE partitions SET compacted_to = min(next, compacted_to + ${COMPACT_RECORDS})
  WHERE id = ? AND compacted_to < next`

const startOf = (partition: PartitionRef): number => partition.id * SPAN
const endOf = (partition: PartitionRef): number => (partition.id + 1) * SPAN

/**
 * The embedded default: one file, durable through a loss of power, owned by one process.
 * `path` is the file; its directory must exist.
 */
export function createSqliteEventLog(options: LogOptions & { readonly path: string }): EmbeddedEventLog {
  const { path } = options
  const database = openDatabase({
    path,
    schema: SCHEMA,
    survives: 'power-loss',
    checkpointPages: COMMIT_CHECKPOINT_PAGES,
  })
  // Opened when the tables are there.
  const openAnother = (): Database => openDatabase({ path, schema: '', survives: 'power-loss' })
  return createEmbeddedLog(sqliteStorage(database, openAnother), options)
}

/** Reads have a thread of their own, so that none waits for the disk to take what others write. */
function sqliteStorage(database: Database, openAnother: () => Database): LogStorage {
  let reading: Database | null = null
  const reader = (): Database => (reading ??= openAnother())

  async function write(statements: readonly Statement[]): Promise<Row[][]> {
    try {
      return await database.transaction(statements)
    } catch (cause) {
      throw unavailable('log_unavailable', 'the log could not be written', cause)
    }
  }
  async function fromDisk<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer
    } catch (cause) {
      throw unavailable('log_unavailable', 'the log could not be read', cause)
    }
  }
  const rows = async (of: Database, sql: string, ...values: (string | number)[]): Promise<Row[]> =>
    await fromDisk(of.all(sql, ...values))
  const checkpoints = createCheckpoints(openAnother)
  const appends = createAppends(write, (bytes) => checkpoints.written(bytes))

  return {
    async topics() {
      const topics = await rows(database, 'SELECT name, retention_ms, cleanup FROM topics ORDER BY name')
      const partitions = await rows(
        database,
        'SELECT id, topic, partition, next FROM partitions ORDER BY topic, partition',
      )
      return topics.map((topic) =>
        toTopic(
          topic,
          partitions.filter((partition) => partition['topic'] === topic['name']),
        ),
      )
    },
    async putTopic(spec) {
      const [topics, ...partitions] = await write(putTopic(spec))
      return toTopic(topics![0]!, partitions.at(-1)!)
    },
    append: (runs, timeMs) => appends.append(runs, timeMs),
    async read(partition, fromOffset, limit, maxBytes) {
      const [row] = await rows(
        reader(),
        READ,
        startOf(partition) + fromOffset,
        endOf(partition),
        limit,
        maxBytes,
      )
      const last = row!['last'] === null ? null : Number(row!['last']) - startOf(partition)
      return {
        last,
        async records() {
          // What was asked for in this turn is posted before.
          await new Promise<void>((resolve) => process.nextTick(resolve))
          return toRecords(partition, row!)
        },
      }
    },
    async firstFrom(partition, fromOffset) {
      const [row] = await rows(
        reader(),
        'SELECT id, time_ms FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT 1',
        startOf(partition) + fromOffset,
        endOf(partition),
      )
      if (!row) return null
      return { offset: Number(row['id']) - startOf(partition), appendTimeMs: Number(row['time_ms']) }
    },
    async committed(group, partition) {
      const sql = 'SELECT next FROM commits WHERE consumer_group = ? AND partition_id = ?'
      // In turn with the commits under way, which count.
      const [row] = await rows(database, sql, group, partition.id)
      return row ? Number(row['next']) : null
    },
    async commit(group, partition, nextOffset) {
      const sql = `INSERT INTO commits (consumer_group, partition_id, next) VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET next = max(next, excluded.next)`
      await write([{ sql, values: [group, partition.id, nextOffset] }])
    },
    async dropBefore(partition, timeMs) {
      const [dropped] = await write([{ sql: DROP, values: [startOf(partition), endOf(partition), timeMs] }])
      return dropped!.length
    },
    async compact(partition) {
      const results = await write([
        { sql: COMPACT, values: [partition.id] },
        { sql: COMPACTED, values: [partition.id] },
        { sql: 'SELECT compacted_to FROM partitions WHERE id = ?', values: [partition.id] },
      ])
      return Number(results[2]![0]!['compacted_to'])
    },
    async ping() {
      await write([{ sql: 'INSERT INTO pings VALUES (0, 1) ON CONFLICT DO UPDATE SET count = count + 1' }])
      await rows(reader(), 'SELECT count FROM pings')
    },
    async close() {
      await appends.ended()
      await reading?.close()
      await checkpoints.close()
      await database.close()
    },
  }
}

/** The first result is the topic, the last one its partitions. */
function putTopic(spec: TopicSpec): Statement[] {
  const partitions = Array.from({ length: spec.partitions }, (_, partition) => ({
    sql: 'INSERT INTO partitions (topic, partition, compact) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    values: [spec.name, partition, spec.cleanup === 'compact' ? 1 : 0],
  }))
  return [
    {
      sql: `INSERT INTO topics (name, retention_ms, cleanup) VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET retention_ms = excluded.retention_ms RETURNING name, retention_ms, cleanup`,
      values: [spec.name, spec.retentionMs, spec.cleanup],
    },
    ...partitions,
    {
      sql: 'SELECT id, topic, partition, next FROM partitions WHERE topic = ? ORDER BY partition',
      values: [spec.name],
    },
  ]
}

function toTopic(row: Row, partitions: readonly Row[]): StoredTopic {
  const name = String(row['name'])
  const retention = row['retention_ms']
  return {
    spec: {
      name,
      partitions: partitions.length,
      retentionMs: retention === null ? null : Number(retention),
      cleanup: row['cleanup'] === 'compact' ? 'compact' : 'delete',
    },
    partitions: partitions.map((partition) => ({
      id: Number(partition['id']),
      topic: name,
      partition: Number(partition['partition']),
      next: Number(partition['next']),
    })),
  }
}

function toRecords({ topic, partition, id }: PartitionRef, row: Row): LogRecord[] {
  const { numbers, headers, keys, values } = row
  if (typeof numbers !== 'string') return []
  const places = JSON.parse(numbers) as number[]
  const allHeaders = JSON.parse(headers as string) as Headers[]
  const nextKey = cutter(keys)
  const nextValue = cutter(values)
  return allHeaders.map((own, nth) => ({
    topic,
    partition,
    offset: places[4 * nth]! - id * SPAN,
    appendTimeMs: places[4 * nth + 1]!,
    key: nextKey(places[4 * nth + 2]!),
    value: nextValue(places[4 * nth + 3]!),
    headers: own,
  }))
}

/** Copies: whoever keeps one record would keep all that was read with it. Below zero, there is none. */
function cutter(blob: Row[string] | undefined): (sizeBytes: number) => Buffer | null {
  const all = blob instanceof Uint8Array ? blob : new Uint8Array()
  let at = 0
  return (sizeBytes) => (sizeBytes < 0 ? null : Buffer.from(all.subarray(at, (at += sizeBytes))))
}
