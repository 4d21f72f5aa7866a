import { randomUUID } from 'node:crypto'
import { vi } from 'vitest'
import { partitionOf } from '../src/partitioner.ts'
import type {
  Batch,
  BatchHandler,
  EventLog,
  LogRecord,
  NewRecord,
  Position,
  SubscribeOptions,
  Subscription,
  TopicSpec,
} from '../src/port.ts'

/** What an adapter brings to be tested. */
export interface EventLogHarness {
  open(): Promise<EventLog>
  /** Closes the log and opens it again on the same data. */
  reopen(log: EventLog): Promise<EventLog>
  /** Applies retention and compaction as if `afterMs` had passed. */
  clean(log: EventLog, afterMs: number): Promise<void>
  /** How long anything that must happen may take. */
  readonly deadlineMs: number
  close(log: EventLog): Promise<void>
}

export interface Context {
  readonly harness: EventLogHarness
  /** The log of now: another one after `reopen`. */
  log(): EventLog
  reopen(): Promise<void>
  /** Creates a topic of a new name. */
  topic(spec?: Partial<Omit<TopicSpec, 'name'>>): Promise<string>
  subscribe(topic: string, handler: BatchHandler, options?: Partial<SubscribeOptions>): Promise<Subscription>
  /** Waits until it holds, as long as the harness allows. */
  until(holds: () => boolean | Promise<boolean>, what: string): Promise<void>
}

export type Case = (context: Context) => Promise<void>

export function createContext(harness: EventLogHarness, first: EventLog): Context {
  let log = first
  return {
    harness,
    log: () => log,
    async reopen() {
      log = await harness.reopen(log)
    },
    async topic({ partitions = 1, retentionMs = null, cleanup = 'delete' } = {}) {
      const name = `test.${randomUUID()}`
      await log.ensureTopics([{ name, partitions, retentionMs, cleanup }])
      return name
    },
    subscribe: (topic, handler, options) =>
      log.subscribe({ group: 'group', topics: [topic], ...options }, handler),
    async until(holds, what) {
      await vi.waitFor(
        async () => {
          if (!(await holds())) throw new Error(`not in time: ${what}`)
        },
        { timeout: harness.deadlineMs, interval: 5 },
      )
    },
  }
}

/** A key of each of the partitions 0 to `partitions` - 1. */
export function keyPerPartition(partitions: number): string[] {
  const keys: string[] = []
  for (let n = 0; Object.keys(keys).length < partitions; n++)
    keys[partitionOf(Buffer.from(`key-${n}`), partitions)] ??= `key-${n}`
  return keys
}

export function record(key: string | null, value: string): NewRecord {
  return { key, value: Buffer.from(value) }
}

/** Records of one key with the values 0, 1, 2 and so on. */
export function numbered(key: string | null, count: number, from = 0): NewRecord[] {
  return Array.from({ length: count }, (_, n) => record(key, String(from + n)))
}

export const textOf = ({ value }: LogRecord): string => String(value)
export const offsetsOf = (records: readonly Position[]): number[] => records.map(({ offset }) => offset)

export async function commitAll(batch: Batch): Promise<void> {
  await batch.commit(batch.records.at(-1)!.offset)
}

/** A handler that keeps what it got and commits it. */
export function collector(): { records: LogRecord[]; handler: BatchHandler } {
  const records: LogRecord[] = []
  return {
    records,
    async handler(batch) {
      records.push(...batch.records)
      await commitAll(batch)
    },
  }
}

/** Waits as a handler would that gives up when it is told to. */
export async function untilAborted(signal: AbortSignal): Promise<never> {
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
  throw signal.reason
}
