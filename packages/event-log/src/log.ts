import type { Clock } from '@aquifer/runtime/clock'
import { invalid, unavailable } from '@aquifer/runtime/errors'
import { createGroup, type Group } from './group.ts'
import type { Partition } from './lease.ts'
import type { LogStorage, StoredRecord } from './log-storage.ts'
import { startMaintenance } from './maintenance.ts'
import { partitionOf } from './partitioner.ts'
import type { EventLog, NewRecord, Position, Subscription, TopicSpec } from './port.ts'
import { createReads } from './reads.ts'
import { createTopics, type Topic } from './topics.ts'

const MAINTAIN_EVERY_MS = 60_000
/** What a dead letter's headers, and a replay's, add to a record that was as large as it may be. */
const CAUSE_BYTES = 16 * 1024

export interface LogOptions {
  readonly clock: Clock
  /** For the jitter of pauses. Default `Math.random`. */
  readonly random?: () => number
  /** How often retention and compaction run; null leaves it to `maintain()`. Default one minute. */
  readonly maintainEveryMs?: number | null
  /** Default 1,000,000: what Kafka takes with its default `message.max.bytes`, its own overhead left out. */
  readonly maxRecordBytes?: number
  /** Default 1,000. */
  readonly maxAppendRecords?: number
  /** Default `partitionOf`. Another one stands for producers whose client hashes keys otherwise. */
  readonly partitioner?: typeof partitionOf
}

/** A log that this process keeps itself, so that retention and compaction are its own task. */
export interface EmbeddedEventLog extends EventLog {
  /** Applies retention and compaction now. Rejects with `log_unavailable`. */
  maintain(): Promise<void>
}

/**
 * The log over a storage: partitioning, limits, groups, waking and maintenance are here for every embedded adapter.
 * One process owns the storage, so who owns which partition is held in memory, and an append wakes its readers itself.
 */
export function createEmbeddedLog(storage: LogStorage, options: LogOptions): EmbeddedEventLog {
  const { clock, random = Math.random, maxRecordBytes = 1_000_000, maxAppendRecords = 1_000 } = options
  const { partitioner = partitionOf } = options
  const groups = new Map<string, Group>()
  const subscriptions = new Set<Subscription>()
  const closing = new AbortController()
  const topics = createTopics(storage)
  const maintenance = startMaintenance(
    storage,
    topics,
    clock,
    options.maintainEveryMs === undefined ? MAINTAIN_EVERY_MS : options.maintainEveryMs,
    closing.signal,
  )
  let closed: Promise<void> | null = null

  async function opened(): Promise<void> {
    await topics.loaded()
    if (closing.signal.aborted) throw unavailable('log_unavailable', 'the log is closed')
  }

  async function topicOf(name: string): Promise<Topic> {
    await opened()
    return topics.get(name)
  }

  async function append(name: string, records: readonly NewRecord[]): Promise<Position[]> {
    const topic = await topicOf(name)
    if (records.length > maxAppendRecords) {
      const message = `${records.length} records at once; the log takes ${maxAppendRecords}`
      throw invalid('append_too_large', message, 413)
    }
    const runs = share(topic, records, maxRecordBytes, partitioner)
    const appended = await storage.append(runs, clock.now())
    const positions: Position[] = []
    for (const [at, { partition, indices }] of runs.entries()) {
      const { firstOffset, appendTimeMs } = appended[at]!
      indices.forEach((index, nth) => {
        positions[index] = { partition: partition.partition, offset: firstOffset + nth, appendTimeMs }
      })
      partition.next = Math.max(partition.next, firstOffset + indices.length)
      for (const group of groups.values()) group.wake(partition)
    }
    return positions
  }

  function groupOf(name: string): Group {
    const existing = groups.get(name)
    if (existing) return existing
    const group = createGroup({ storage, clock, random, onEmpty: () => groups.delete(name) })
    groups.set(name, group)
    return group
  }

  async function shut(): Promise<void> {
    closing.abort()
    await Promise.all([...subscriptions].map((subscription) => subscription.stop()))
    await maintenance.ended()
    await storage.close()
  }

  return {
    ...createReads(storage, topicOf),
    limits: { maxRecordBytes, maxAppendRecords },
    async ensureTopics(specs) {
      await opened()
      for (const spec of specs) await topics.ensure(spec)
    },
    append,
    async subscribe(subscribeOptions, handler) {
      await opened()
      const partitions = subscribeOptions.topics.flatMap((name) => topics.get(name).partitions)
      const subscription = groupOf(subscribeOptions.group).join(partitions, subscribeOptions, handler)
      subscriptions.add(subscription)
      return {
        ...subscription,
        async stop(stopOptions) {
          await subscription.stop(stopOptions)
          subscriptions.delete(subscription)
        },
      }
    },
    async ping() {
      await opened()
      await storage.ping()
    },
    async maintain() {
      await opened()
      await maintenance.run()
    },
    close: () => (closed ??= shut()),
  }
}

/** The records of an append that go to one partition, and where each stands in the append. */
interface Run {
  readonly partition: Partition
  readonly records: StoredRecord[]
  readonly indices: number[]
}

function share(
  topic: Topic,
  records: readonly NewRecord[],
  maxBytes: number,
  partitioner: typeof partitionOf,
): Run[] {
  const runs = new Map<Partition, Run>()
  const count = topic.partitions.length
  const stored = records.map((record) => toStored(topic.spec, record, maxBytes))
  for (const [index, record] of stored.entries()) {
    const partition = topic.partitions[record.key ? partitioner(record.key, count) : topic.turn++ % count]!
    const run = runs.get(partition) ?? { partition, records: [], indices: [] }
    run.records.push(record)
    run.indices.push(index)
    runs.set(partition, run)
  }
  return [...runs.values()]
}

function toStored(spec: TopicSpec, record: NewRecord, sourceMaxBytes: number): StoredRecord {
  const maxBytes = /\.(?:dlq|retry)$/.test(spec.name) ? sourceMaxBytes + CAUSE_BYTES : sourceMaxBytes
  const key = typeof record.key === 'string' ? Buffer.from(record.key) : record.key
  if (key === null && spec.cleanup === 'compact')
    throw invalid(
      'key_required',
      `topic ${spec.name} keeps the newest record of every key: a record needs one`,
    )
  const headers = record.headers ?? {}
  let sizeBytes = (key?.length ?? 0) + (record.value?.length ?? 0)
  for (const [name, value] of Object.entries(headers))
    sizeBytes += Buffer.byteLength(name) + Buffer.byteLength(value)
  if (sizeBytes > maxBytes) {
    throw invalid(
      'record_too_large',
      `a record of ${sizeBytes} bytes for ${spec.name}; the log takes ${maxBytes}: put the content in the blob store`,
      413,
    )
  }
  return { key, value: record.value, headers, sizeBytes }
}
