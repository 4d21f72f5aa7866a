import { workerData } from 'node:worker_threads'
import { partitionOf } from '@aquifer/event-log/partitioner'
import Database from 'better-sqlite3'
import type { SampleRecord } from './log-records.ts'
import { serve } from './log-thread.ts'
import {
  BATCH_PUBLISHERS,
  CONSUME_RECORDS,
  fromCallers,
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

interface Row {
  readonly id: number
  readonly time_ms: number
  readonly key: Buffer
  readonly headers: string
  readonly value: Buffer
}

/**
 * better-sqlite3 on the embedded log's own tables, as one who writes straight to them would: offsets counted in memory, rows as they
 * come. `grouped`, its callers' appends and commits wait for the end of the turn, and what waits then is one transaction in this thread.
 */
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
  const read = database.prepare<[number, number], Row>(
    `SELECT id, time_ms, key, headers, value FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ${CONSUME_RECORDS}`,
  )
  const goOn = database.prepare(
    'INSERT INTO commits VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next = max(next, excluded.next)',
  )

  /** The offsets of each, in the order of its records. */
  const appendAll = database.transaction((some: readonly (readonly SampleRecord[])[]): number[][] => {
    const nowMs = Date.now()
    const touched = new Set<Partition>()
    const offsets = some.map((records) =>
      records.map(({ key: text, value, headers }) => {
        const key = Buffer.from(text)
        const partition = partitions[partitionOf(key, PARTITIONS)]!
        const trace = JSON.stringify(headers)
        const size = key.length + value.length + trace.length
        insert.run(partition.base + partition.next, nowMs, size, key, trace, value)
        touched.add(partition)
        return partition.next++
      }),
    )
    for (const { id, next } of touched) advance.run(next, nowMs, id)
    return offsets
  })
  const commitAll = database.transaction((some: readonly (readonly [string, number, number])[]): null[] =>
    some.map(([group, id, next]) => {
      goOn.run(group, id, next)
      return null
    }),
  )
  const append = grouped
    ? together(appendAll)
    : async (records: readonly SampleRecord[]) => appendAll([records])
  const commit = grouped
    ? together(commitAll)
    : async (one: readonly [string, number, number]) => commitAll([one])

  /** One partition, to its end. */
  async function consumePartition({ id, base }: Partition, group: string): Promise<number> {
    for (let next = 0; ;) {
      const records = read.all(base + next, base + SPAN).map(toRecord)
      if (records.length === 0) return next
      await handler(records)
      next = records.at(-1)!.id - base + 1
      await commit([group, id, next])
    }
  }

  return {
    append: (records) => fromCallers(PUBLISHERS, records, (record) => append([record])),
    appendBatches: (batches) => fromCallers(BATCH_PUBLISHERS, batches, append),
    async consume(group) {
      const seen = await Promise.all(
        partitionsOf('consume').map((partition) => consumePartition(partition, group)),
      )
      const total = seen.reduce((sum, count) => sum + count, 0)
      if (total !== consumed) throw new Error(`${total} records came of ${consumed}`)
    },
    async close() {
      database.close()
    },
  }
}

function toRecord({ id, time_ms, key, headers, value }: Row) {
  return { id, timeMs: time_ms, key, value, headers: JSON.parse(headers) as SampleRecord['headers'] }
}

async function handler(records: readonly ReturnType<typeof toRecord>[]): Promise<void> {
  touch(records)
}

/** What waits when this turn of the event loop ends goes to `write` together; each caller waits for its own answer. */
function together<T, R>(write: (items: readonly T[]) => R[]): (item: T) => Promise<R> {
  let waiting: { item: T; done: PromiseWithResolvers<R> }[] = []
  function flush(): void {
    const group = waiting
    waiting = []
    try {
      const answers = write(group.map(({ item }) => item))
      for (const [at, { done }] of group.entries()) done.resolve(answers[at]!)
    } catch (error) {
      for (const { done } of group) done.reject(error)
    }
  }
  return (item) => {
    const done = Promise.withResolvers<R>()
    if (waiting.push({ item, done }) === 1) setImmediate(flush)
    return done.promise
  }
}

const setup = workerData as LogSetup
serve(Promise.resolve(measured(open(setup), setup)))
