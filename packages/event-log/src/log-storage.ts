import type { Headers, LogRecord, TopicSpec } from './port.ts'

/**
 * What an embedded log keeps: records and commits. Groups, waking and partitioning are in the log itself, once.
 *
 *  G1  Appends take effect in the order in which they were made, and so do commits of one partition; a call sees all that had
 *      resolved before it, and is durable when it resolves.
 *  G2  Offsets of a partition are dense as they are given out, and never given out again.
 *  G3  A commit never moves backwards.
 *
 * Every method may reject with `log_unavailable`.
 */
export interface LogStorage {
  topics(): Promise<StoredTopic[]>
  /** Creates the topic, or updates the retention of the one that exists. */
  putTopic(spec: TopicSpec): Promise<StoredTopic>
  /** All of them or none. `timeMs` is raised to the partition's last append time where it is below. */
  append(runs: readonly AppendRun[], timeMs: number): Promise<Appended[]>
  /** From `fromOffset` on, as many as fit both bounds; the first one always. */
  read(partition: PartitionRef, fromOffset: number, limit: number, maxBytes: number): Promise<Found>
  /** The first record at or past `fromOffset`. */
  firstFrom(
    partition: PartitionRef,
    fromOffset: number,
  ): Promise<{ offset: number; appendTimeMs: number } | null>
  /** The offset at which the group goes on, or null. */
  committed(group: string, partition: PartitionRef): Promise<number | null>
  commit(group: string, partition: PartitionRef, nextOffset: number): Promise<void>
  /** Drops a bounded number of the oldest records that were appended before `timeMs`, and says how many. */
  dropBefore(partition: PartitionRef, timeMs: number): Promise<number>
  /** Cleans a bounded stretch of superseded records and returns the offset up to which the partition is clean. */
  compact(partition: PartitionRef): Promise<number>
  ping(): Promise<void>
  close(): Promise<void>
}

/** What a read found. Whoever wants the next records as well asks for them first, so that they come while these are made. */
export interface Found {
  /** The last offset, null of nothing. */
  readonly last: number | null
  /** To be asked for once. */
  records(): Promise<LogRecord[]>
}

/** Of records that are made already. */
export function found(records: LogRecord[]): Found {
  return { last: records.at(-1)?.offset ?? null, records: async () => records }
}

export interface PartitionRef {
  /** Unique in the log. */
  readonly id: number
  readonly topic: string
  readonly partition: number
}

export interface StoredTopic {
  readonly spec: TopicSpec
  /** In the order of their numbers; `next` is the offset that the next record gets. */
  readonly partitions: readonly (PartitionRef & { next: number })[]
}

export interface StoredRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Headers
  readonly sizeBytes: number
}

export interface AppendRun {
  readonly partition: PartitionRef
  readonly records: readonly StoredRecord[]
}

export interface Appended {
  readonly firstOffset: number
  readonly appendTimeMs: number
}
