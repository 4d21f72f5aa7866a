import { unavailable } from '@aquifer/runtime/errors'
import { type Database, openDatabase, type Row, type Statement } from '@aquifer/runtime/sqlite'
import { createEmbeddedLog, type EmbeddedEventLog, type LogOptions } from '../log.ts'
import type { LogStorage, PartitionRef, StoredTopic } from '../log-storage.ts'
import type { Headers, LogRecord, TopicSpec } from '../port.ts'
import { createAppends, SPAN } from './sqlite-appends.ts'

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

const READ = `
  SELECT id, time_ms, size_bytes, key, headers, value FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?`
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
  const database = openDatabase({ path, schema: SCHEMA, survives: 'power-loss' })
  // Opened when the tables are there.
  const openReader = (): Database => openDatabase({ path, schema: '', survives: 'power-loss' })
  return createEmbeddedLog(sqliteStorage(database, openReader), options)
}

/** Reads have a thread of their own, so that none waits for the disk to take what others write. */
function sqliteStorage(database: Database, openReader: () => Database): LogStorage {
  let reading: Database | null = null
  const reader = (): Database => (reading ??= openReader())

  async function write(statements: readonly Statement[]): Promise<Row[][]> {
    try {
      return await database.transaction(statements)
    } catch (cause) {
      throw unavailable('log_unavailable', 'the log could not be written', cause)
    }
  }
  async function query(of: Database, statement: Statement): Promise<Row[]> {
    try {
      return await of.query(statement)
    } catch (cause) {
      throw unavailable('log_unavailable', 'the log could not be read', cause)
    }
  }
  const rows = async (of: Database, sql: string, ...values: (string | number)[]): Promise<Row[]> =>
    await query(of, { sql, values })
  const appends = createAppends(write)

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
      const found = await query(reader(), {
        sql: READ,
        values: [startOf(partition) + fromOffset, endOf(partition), limit],
        upTo: { column: 'size_bytes', sum: maxBytes },
      })
      return found.map((row) => toRecord(partition, row))
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

function toRecord(partition: PartitionRef, row: Row): LogRecord {
  return {
    topic: partition.topic,
    partition: partition.partition,
    offset: Number(row['id']) - startOf(partition),
    appendTimeMs: Number(row['time_ms']),
    key: toBuffer(row['key']),
    value: toBuffer(row['value']),
    headers: typeof row['headers'] === 'string' ? (JSON.parse(row['headers']) as Headers) : {},
  }
}

/** A copy: the blob is a view of all that was read with it, which whoever keeps one record would keep. */
function toBuffer(blob: Row[string] | undefined): Buffer | null {
  return blob instanceof Uint8Array ? Buffer.from(blob) : null
}
