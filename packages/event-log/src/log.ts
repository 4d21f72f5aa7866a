import type { Clock } from '@aquifer/runtime/clock'
import { invalid, unavailable } from '@aquifer/runtime/errors'
import { createGroup, type Group } from './group.ts'
import type { Partition } from './lease.ts'
import type { AppendRun, LogStorage, StoredRecord, StoredTopic } from './log-storage.ts'
import { maintainTopic } from './maintenance.ts'
import { partitionOf } from './partitioner.ts'
import type { EventLog, NewRecord, Position, Subscription, TopicSpec } from './port.ts'

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
}

/** A log that this process keeps itself, so that retention and compaction are its own task. */
export interface EmbeddedEventLog extends EventLog {
  /** Applies retention and compaction now. Rejects with `log_unavailable`. */
  maintain(): Promise<void>
}

const READ_MAX_BYTES = 16 * 1024 * 1024

interface Topic {
  readonly spec: TopicSpec
  readonly partitions: readonly Partition[]
  /** Records without a key go round. */
  turn: number
}

/**
 * The log over a storage: partitioning, limits, groups, waking and maintenance are here for every embedded adapter.
 * One process owns the storage, so who owns which partition is held in memory, and an append wakes its readers itself.
 */
export function createEmbeddedLog(storage: LogStorage, options: LogOptions): EmbeddedEventLog {
  const { clock, random = Math.random, maxRecordBytes = 1_000_000, maxAppendRecords = 1_000 } = options
  const { maintainEveryMs = 60_000 } = options
  const topics = new Map<string, Topic>()
  const groups = new Map<string, Group>()
  const subscriptions = new Set<Subscription>()
  const closing = new AbortController()
  let maintenance: Promise<void> | null = null
  let closed: Promise<void> | null = null

  const keep = ({ spec, partitions }: StoredTopic): void => {
    const known = topics.get(spec.name)
    // The offsets of a topic that is open are ahead of what was just read.
    topics.set(spec.name, known ? { ...known, spec } : { spec, partitions: [...partitions], turn: 0 })
  }
  const loaded = storage.topics().then((stored) => stored.forEach(keep))
  loaded.catch(() => {})
  const background = maintainEveryMs === null ? Promise.resolve() : maintainForEver(maintainEveryMs)

  async function topicOf(name: string): Promise<Topic> {
    await opened()
    const topic = topics.get(name)
    if (!topic)
      throw invalid('unknown_topic', `the log has no topic ${name}: create it with ensureTopics`, 404)
    return topic
  }

  async function opened(): Promise<void> {
    await loaded
    refuseClosed()
  }

  function refuseClosed(): void {
    if (closing.signal.aborted) throw unavailable('log_unavailable', 'the log is closed')
  }

  async function ensureTopic(spec: TopicSpec): Promise<void> {
    const before = topics.get(spec.name)?.spec
    if (before && (before.partitions < spec.partitions || before.cleanup !== spec.cleanup)) {
      throw invalid(
        'topic_mismatch',
        `topic ${spec.name} exists with ${before.partitions} partitions and cleanup ${before.cleanup}, not ` +
          `${spec.partitions} and ${spec.cleanup}: adding partitions would move keys, so use another topic`,
      )
    }
    if (!before || before.retentionMs !== spec.retentionMs) keep(await storage.putTopic(spec))
  }

  async function append(name: string, records: readonly NewRecord[]): Promise<Position[]> {
    const topic = await topicOf(name)
    if (records.length > maxAppendRecords) {
      throw invalid(
        'append_too_large',
        `${records.length} records at once; the log takes ${maxAppendRecords}`,
        413,
      )
    }
    const stored = records.map((record) => toStored(topic.spec, record, maxRecordBytes))
    const runs = new Map<Partition, { record: StoredRecord; index: number }[]>()
    stored.forEach((record, index) => {
      const number = record.key
        ? partitionOf(record.key, topic.partitions.length)
        : topic.turn++ % topic.partitions.length
      const partition = topic.partitions[number]!
      const run = runs.get(partition)
      if (run) run.push({ record, index })
      else runs.set(partition, [{ record, index }])
    })
    const positions: Position[] = []
    const entries = [...runs]
    const appended = await storage.append(
      entries.map(([partition, run]): AppendRun => ({ partition, records: run.map(({ record }) => record) })),
      clock.now(),
    )
    for (const [at, [partition, run]] of entries.entries()) {
      const { firstOffset, appendTimeMs } = appended[at]!
      run.forEach(({ index }, nth) => {
        positions[index] = { partition: partition.partition, offset: firstOffset + nth, appendTimeMs }
      })
      partition.next = Math.max(partition.next, firstOffset + run.length)
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

  async function earliest(partition: Partition): Promise<number> {
    const { next } = partition
    return (await storage.firstFrom(partition, 0))?.offset ?? next
  }

  async function maintain(): Promise<void> {
    maintenance ??= maintainAll().finally(() => (maintenance = null))
    await maintenance
  }

  async function maintainAll(): Promise<void> {
    await opened()
    for (const { spec, partitions } of topics.values())
      await maintainTopic(storage, spec, partitions, clock.now(), closing.signal)
  }

  async function maintainForEver(everyMs: number): Promise<void> {
    while (!closing.signal.aborted) {
      // A pass that fails is repeated at the next turn; whoever appends or reads is told of the same fault.
      await clock
        .sleep(everyMs, closing.signal)
        .then(maintain)
        .catch(() => {})
    }
  }

  async function shut(): Promise<void> {
    closing.abort()
    await Promise.all([...subscriptions].map((subscription) => subscription.stop()))
    await background
    await maintenance?.catch(() => {})
    await storage.close()
  }

  return {
    limits: { maxRecordBytes, maxAppendRecords },
    async ensureTopics(specs) {
      await opened()
      for (const spec of specs) await ensureTopic(spec)
    },
    append,
    async subscribe(subscribeOptions, handler) {
      const wanted = await Promise.all(subscribeOptions.topics.map(topicOf))
      refuseClosed()
      const partitions = wanted.flatMap((topic) => topic.partitions)
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
    async read(name, number, fromOffset, limit) {
      const topic = await topicOf(name)
      const partition = topic.partitions[number]
      if (!partition)
        throw invalid(
          'unknown_partition',
          `topic ${name} has ${topic.partitions.length} partitions, no ${number}`,
        )
      return await storage.read(partition, Math.max(0, fromOffset), limit, READ_MAX_BYTES)
    },
    async offsets(name) {
      const { partitions } = await topicOf(name)
      return await Promise.all(
        partitions.map(async (partition) => ({
          partition: partition.partition,
          earliest: await earliest(partition),
          next: partition.next,
        })),
      )
    },
    async offsetsAt(name, timeMs) {
      const { partitions } = await topicOf(name)
      return await Promise.all(
        partitions.map(async (partition) => ({
          partition: partition.partition,
          offset: await offsetAt(storage, partition, timeMs),
        })),
      )
    },
    async lag(group, name) {
      const { partitions } = await topicOf(name)
      const lags = partitions.map(async (partition) => {
        const committed = (await storage.committed(group, partition)) ?? 0
        return Math.max(0, partition.next - Math.max(committed, await earliest(partition)))
      })
      return (await Promise.all(lags)).reduce((sum, lag) => sum + lag, 0)
    },
    async ping() {
      await opened()
      await storage.ping()
    },
    maintain,
    close: () => (closed ??= shut()),
  }
}

function toStored(spec: TopicSpec, record: NewRecord, maxBytes: number): StoredRecord {
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

/** Binary search: append times never decrease within a partition (L7). */
async function offsetAt(storage: LogStorage, partition: Partition, timeMs: number): Promise<number> {
  const { next } = partition
  let low = 0
  let high = next
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const record = await storage.firstFrom(partition, middle)
    if (record && record.offset < high && record.appendTimeMs < timeMs) low = record.offset + 1
    else high = middle
  }
  return Math.min(next, (await storage.firstFrom(partition, low))?.offset ?? next)
}
