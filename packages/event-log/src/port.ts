/**
 * The event log: the truth of the system. Every other store can be built again from it.
 *
 * Delivery invariants (SPEC.md numbers the tests that hold them):
 *  L1  Records of one key lie in one partition and are delivered in the order of their offsets.
 *  L2  `append` resolves only when the records are durable; its positions are in the order of its records.
 *  L3  A record is delivered again until a commit at or past its offset; after a crash, a group resumes at its commit.
 *  L4  A partition has at most one owner within a group, and one batch in its handler at a time.
 *  L5  A handler that throws gets the same records again, after a pause, without end; other partitions go on.
 *  L6  A commit by someone who no longer owns the partition changes nothing and rejects with `partition_lost`.
 *  L7  Append times never decrease within a partition.
 *  L8  Compaction keeps the newest record of every key, tombstones among them; offsets are never reused.
 *  L9  No more than `maxBatchRecords` / `maxBatchBytes` are handed out at once (one record always is).
 */
export interface EventLog {
  readonly limits: {
    /** Key, value and headers of one record together. Topics named `*.dlq` and `*.retry` take 16 KiB more, for the cause. */
    readonly maxRecordBytes: number
    readonly maxAppendRecords: number
  }
  /** Creates the topics that are missing. A topic that exists with fewer partitions or another policy is an error. */
  ensureTopics(topics: readonly TopicSpec[]): Promise<void>
  /**
   * Appends all of the records. `record_too_large`, `append_too_large`, `key_required` and `unknown_topic` say that none was
   * written. After `log_unavailable` (retryable) that is not known: a log without transactions may hold some, of each
   * partition the first ones without a gap, and whoever appends again may append those twice.
   */
  append(topic: string, records: readonly NewRecord[]): Promise<Position[]>
  /** Joins `group` and delivers from its commits, or from the start of the topic where it has none. */
  subscribe(options: SubscribeOptions, handler: BatchHandler): Promise<Subscription>
  /**
   * Records from `fromOffset` on, without a group: `limit` at most, and fewer where they are large. Only an empty answer
   * says that there are no more.
   */
  read(topic: string, partition: number, fromOffset: number, limit: number): Promise<LogRecord[]>
  /** Per partition: the first offset still held, and the offset that the next record will get. */
  offsets(topic: string): Promise<PartitionOffsets[]>
  /** Per partition, the first offset whose append time is at or after `timeMs`; `next` where there is none. */
  offsetsAt(topic: string, timeMs: number): Promise<{ partition: number; offset: number }[]>
  /** Offsets still held and not yet committed by the group. */
  lag(group: string, topic: string): Promise<number>
  /** Resolves when the log can be read and written. */
  ping(): Promise<void>
  close(): Promise<void>
}

export interface TopicSpec {
  readonly name: string
  readonly partitions: number
  /** Age after which a record may be dropped; null keeps it for ever. */
  readonly retentionMs: number | null
  /** `compact` keeps only the newest record of a key, tombstones included. */
  readonly cleanup: 'delete' | 'compact'
}

export type Headers = Readonly<Record<string, string>>

export interface NewRecord {
  readonly key: string | Buffer | null
  /** null is a tombstone. */
  readonly value: Buffer | null
  readonly headers?: Headers
}

export interface Position {
  readonly partition: number
  readonly offset: number
  /** The broker's clock, milliseconds since the epoch. */
  readonly appendTimeMs: number
}

export interface LogRecord extends Position {
  readonly topic: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Headers
}

export interface PartitionOffsets {
  readonly partition: number
  readonly earliest: number
  readonly next: number
}

export interface SubscribeOptions {
  readonly group: string
  readonly topics: readonly string[]
  /** Default 64. */
  readonly maxBatchRecords?: number
  /** Default 4 MiB. */
  readonly maxBatchBytes?: number
  /** Told of every throw of the handler, before the pause. */
  readonly onError?: (error: unknown, batch: { topic: string; partition: number; attempt: number }) => void
}

/** Records of one partition, in order. The next batch of that partition comes when the handler has resolved. */
export interface Batch {
  readonly topic: string
  readonly partition: number
  readonly records: readonly LogRecord[]
  /** Aborted when the partition is taken away or the subscription stops: what is not committed will come again. */
  readonly signal: AbortSignal
  /** Everything up to and including `offset` is done. May be called after the handler has resolved. */
  commit(offset: number): Promise<void>
}

/** Resolving hands the batch over; it need not be committed yet, so that a pipeline can run ahead of its commits. */
export type BatchHandler = (batch: Batch) => Promise<void>

export interface Subscription {
  /** No further batch is delivered; those in a handler go on and may commit. */
  pause(): void
  resume(): void
  /** The partitions owned now. */
  assignment(): { topic: string; partition: number }[]
  /** Stops delivery, waits for the handlers under way (at most `deadlineMs`, default 30 s), then leaves the group. */
  stop(options?: { deadlineMs?: number }): Promise<void>
}
