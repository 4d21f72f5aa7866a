import { documentRecords, inRuns, type SampleRecord } from './log-records.ts'
import type { ServedSide } from './log-thread.ts'

export const TOPIC = 'documents'
export const PARTITIONS = 4
/** Publishers that each wait for their record before the next one. */
export const PUBLISHERS = 64
/** The same of those who append many records at once, and how many. */
export const BATCH_PUBLISHERS = 4
export const BATCH_RECORDS = 100
/** What a consumer is handed, and commits, at once: the port's default. */
export const CONSUME_RECORDS = 64

export interface LogSetup {
  /** Where the side keeps its log: a file that is made and filled already, or an address. */
  readonly place: string
  /** How many records an append task writes. */
  readonly appended: number
  /** How many lie in `consume` to be read. */
  readonly consumed: number
  /** Of a peer without callers of its own: whether it puts what callers wait with into one transaction. */
  readonly grouped?: boolean
}

export type LogTask =
  | { readonly kind: 'append' }
  | { readonly kind: 'append-batch' }
  | { readonly kind: 'consume'; readonly group: string }

/** What one side can do with its log; all that a promise is for is durable when it resolves. */
export interface LogSide {
  append(records: readonly SampleRecord[]): Promise<void>
  appendBatches(batches: readonly (readonly SampleRecord[])[]): Promise<void>
  /** Hands every record that lies there to `touch` in batches, each committed for `group` before the partition's next one. */
  consume(group: string): Promise<void>
  close(): Promise<void>
}

/** Measures a side in records a second. */
export function measured(side: LogSide, { appended, consumed }: LogSetup): ServedSide<LogTask> {
  const records = documentRecords(appended)
  const batches = inRuns(records, BATCH_RECORDS)
  return {
    run: async (task) =>
      task.kind === 'append'
        ? await timed(appended, () => side.append(records))
        : task.kind === 'append-batch'
          ? await timed(appended, () => side.appendBatches(batches))
          : await timed(consumed, () => side.consume(task.group)),
    close: () => side.close(),
  }
}

export async function timed(records: number, work: () => Promise<void>): Promise<number> {
  const started = performance.now()
  await work()
  return (records / (performance.now() - started)) * 1000
}

/** So many callers, each with the next item when its last one is done. */
export async function fromCallers<T>(
  callers: number,
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < items.length) await work(items[next++]!)
  }
  await Promise.all(Array.from({ length: callers }, caller))
}

/** Stands for a consumer's work: the size of every value. */
export function touch(records: readonly { readonly value: Uint8Array | null }[]): number {
  let bytes = 0
  for (const { value } of records) bytes += value!.length
  if (bytes === 0) throw new Error('the records are empty')
  return records.length
}
