import { workerData } from 'node:worker_threads'
import { partitionOf } from '@aquifer/event-log/partitioner'
import Database from 'better-sqlite3'
import { inRuns, type SampleRecord } from './log-records.ts'
import { serve } from './log-thread.ts'
import {
  BATCH_PUBLISHERS,
  CONSUME_RECORDS,
  measured,
  PARTITIONS,
  PUBLISHERS,
  TOPIC,
  touch,
  type LogSetup,
  type LogSide,
} from './log-work.ts'

/** Between the first offsets of two partitions. */
const SPAN = 2 ** 40

interface Partition {
  readonly id: number
  readonly base: number
  next: number
}

/** better-sqlite3 on the embedded log's own tables, as one who writes straight to them would: offsets counted in memory, rows as they come. */
function open({ place, consumed, grouped }: LogSetup): LogSide {
  const database = new Database(place)
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = FULL')
  const partitionsOf = (topic: string): Partition[] =>
    database
      .prepare<[string], Partition>(
        'SELECT id, base, next FROM partitions WHERE topic = ? ORDER BY partition',
      )
      .all(topic)
  const partitions = partitionsOf(TOPIC)
  const insert = database.prepare(
    'INSERT INTO records (id, time_ms, size_bytes, compact, key, headers, value) VALUES (?, ?, ?, 1, ?, ?, ?)',
  )
  const advance = database.prepare('UPDATE partitions SET next = ?, last_time_ms = ? WHERE id = ?')
  const read = database.prepare<[number, number], { id: number; value: Buffer }>(
    `SELECT id, time_ms, key, headers, value FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ${CONSUME_RECORDS}`,
  )
  const commit = database.prepare(
    'INSERT INTO commits VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next = max(next, excluded.next)',
  )

  const append = database.transaction((records: readonly SampleRecord[]) => {
    const nowMs = Date.now()
    const touched = new Set<Partition>()
    for (const { key: text, value, headers } of records) {
      const key = Buffer.from(text)
      const partition = partitions[partitionOf(key, PARTITIONS)]!
      const trace = JSON.stringify(headers)
      insert.run(
        partition.base + partition.next++,
        nowMs,
        key.length + value.length + trace.length,
        key,
        trace,
        value,
      )
      touched.add(partition)
    }
    for (const { id, next } of touched) advance.run(next, nowMs, id)
  })
  const commitAll = database.transaction((group: string, some: readonly Partition[]) => {
    for (const { id, next } of some) commit.run(group, id, next)
  })

  /** One batch of the partition, if there is one. */
  function consumeSome(partition: Partition): number {
    const records = read.all(partition.base + partition.next, partition.base + SPAN)
    if (records.length === 0) return 0
    partition.next = records.at(-1)!.id - partition.base + 1
    return touch(records)
  }

  return {
    async append(records) {
      for (const some of inRuns(records, grouped ? PUBLISHERS : 1)) append(some)
    },
    async appendBatches(batches) {
      for (const some of inRuns(batches, grouped ? BATCH_PUBLISHERS : 1)) append(some.flat())
    },
    async consume(group) {
      const from = partitionsOf('consume').map((partition) => ({ ...partition, next: 0 }))
      for (let left = consumed; left > 0;) {
        for (const some of grouped ? [from] : from.map((one) => [one])) {
          for (const one of some) left -= consumeSome(one)
          commitAll(group, some)
        }
      }
    },
    async close() {
      database.close()
    },
  }
}

const setup = workerData as LogSetup
serve(Promise.resolve(measured(open(setup), setup)))
