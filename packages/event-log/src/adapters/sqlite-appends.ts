import { setImmediate as nextTurn } from 'node:timers/promises'
import { unavailable } from '@aquifer/runtime/errors'
import type { Row, Statement } from '@aquifer/runtime/sqlite'
import type { Appended, AppendRun } from '../log-storage.ts'

/**
 * Offsets below this lie side by side under one integer key, so that a partition is one stretch of one B-tree and is
 * read in order. 2^40 records a partition, 2^13 partitions a file: together the 53 bits that a JS number holds.
 */
export const SPAN = 2 ** 40

/** What shares a commit, at most; one append always does. */
const MAX_GROUP_RECORDS = 512
const MAX_GROUP_BYTES = 8 * 1024 * 1024
/** Appends that wait for those before them; further ones are refused until there is room. */
const MAX_WAITING = 100_000
const MAX_WAITING_BYTES = 64 * 1024 * 1024

const INSERT = `
  INSERT INTO records (id, time_ms, size_bytes, compact, key, headers, value) VALUES (?, ?, ?, ?, ?, ?, ?)`
const ADVANCE = 'UPDATE partitions SET next = ?, last_time_ms = ? WHERE id = ?'
const ENDS = 'SELECT id, next, last_time_ms, compact FROM partitions'

interface End {
  readonly compact: number
  next: number
  lastTimeMs: number
}

interface Waiting {
  readonly runs: readonly AppendRun[]
  readonly records: number
  readonly bytes: number
  readonly timeMs: number
  readonly done: PromiseWithResolvers<Appended[]>
}

export interface Appends {
  append(runs: readonly AppendRun[], timeMs: number): Promise<Appended[]>
  /** Resolves when none is under way. */
  ended(): Promise<void>
}

/**
 * Appends that wait together share one transaction, and what it writes is made here, so that the thread which waits for the
 * disk has only to insert.
 *
 *  A1  One transaction is under way at a time, in the order of the calls: where a partition ends is known without asking.
 *  A2  An append lies in one transaction whole. After one that failed, the ends are read anew.
 */
export function createAppends(
  write: (statements: readonly Statement[]) => Promise<Row[][]>,
  written: (bytes: number) => void,
): Appends {
  const queue: Waiting[] = []
  const ends = new Map<number, End>()
  let waitingBytes = 0
  let pumping: Promise<void> | null = null

  async function pump(): Promise<void> {
    while (queue.length > 0) {
      // Whoever appends in this turn of the event loop is taken along.
      await nextTurn()
      const group = nextGroup()
      try {
        const appended = await writeGroup(group)
        for (const [at, { done }] of group.entries()) done.resolve(appended[at]!)
      } catch (error) {
        ends.clear()
        for (const { done } of group) done.reject(error)
      }
      const writtenBytes = group.reduce((sum, { bytes }) => sum + bytes, 0)
      waitingBytes -= writtenBytes
      written(writtenBytes)
    }
    pumping = null
  }

  function nextGroup(): Waiting[] {
    let [count, records, bytes] = [0, 0, 0]
    for (const one of queue) {
      records += one.records
      bytes += one.bytes
      if (count > 0 && (records > MAX_GROUP_RECORDS || bytes > MAX_GROUP_BYTES)) break
      count++
    }
    return queue.splice(0, count)
  }

  async function writeGroup(group: readonly Waiting[]): Promise<Appended[][]> {
    const runs = group.flatMap((one) => one.runs)
    if (runs.some(({ partition }) => !ends.has(partition.id))) await readEnds()
    const moved = new Map(runs.map(({ partition: { id } }): [number, End] => [id, { ...ends.get(id)! }]))
    const rows: NonNullable<Statement['each']>[number][] = []
    const appended = group.map(({ runs: own, timeMs }) =>
      own.map(({ partition, records }): Appended => {
        const end = moved.get(partition.id)!
        const firstOffset = end.next
        end.lastTimeMs = Math.max(end.lastTimeMs, timeMs)
        for (const { sizeBytes, key, headers, value } of records)
          rows.push([
            partition.id * SPAN + end.next++,
            end.lastTimeMs,
            sizeBytes,
            end.compact,
            key,
            Object.keys(headers).length === 0 ? null : JSON.stringify(headers),
            value,
          ])
        return { firstOffset, appendTimeMs: end.lastTimeMs }
      }),
    )
    const advances = [...moved].map(([id, { next, lastTimeMs }]) => ({
      sql: ADVANCE,
      values: [next, lastTimeMs, id],
    }))
    await write([{ sql: INSERT, each: rows }, ...advances])
    for (const [id, end] of moved) ends.set(id, end)
    return appended
  }

  async function readEnds(): Promise<void> {
    const [rows] = await write([{ sql: ENDS }])
    for (const row of rows!)
      ends.set(Number(row['id']), {
        next: Number(row['next']),
        lastTimeMs: Number(row['last_time_ms']),
        compact: Number(row['compact']),
      })
  }

  return {
    append(runs, timeMs) {
      let [records, bytes] = [0, 0]
      for (const run of runs) {
        records += run.records.length
        for (const { sizeBytes } of run.records) bytes += sizeBytes
      }
      if (queue.length >= MAX_WAITING || (waitingBytes > 0 && waitingBytes + bytes > MAX_WAITING_BYTES))
        return Promise.reject(
          unavailable('log_unavailable', `${queue.length} appends of ${waitingBytes} bytes wait already`),
        )
      waitingBytes += bytes
      const done = Promise.withResolvers<Appended[]>()
      queue.push({ runs, records, bytes, timeMs, done })
      pumping ??= pump()
      return done.promise
    },
    async ended() {
      await pumping
    },
  }
}
