import type { Clock } from '@aquifer/runtime/clock'
import { unavailable } from '@aquifer/runtime/errors'
import { createGroup, type Group } from './group.ts'
import type { Partition } from './lease.ts'
import { DEFAULT_LIMITS, toStored } from './limits.ts'
import type { LogStorage, StoredRecord } from './log-storage.ts'
import { startMaintenance } from './maintenance.ts'
import { partitionOf } from './partitioner.ts'
import type { EventLog, NewRecord, Position, Subscription } from './port.ts'
import { createReads } from './reads.ts'
import { createTopics, type Topic } from './topics.ts'

const MAINTAIN_EVERY_MS = 60_000

export interface LogOptions {
  readonly clock: Clock
  /** For the jitter of pauses. Default `Math.random`. */
  readonly random?: () => number
  /** How often retention and compaction run; null leaves it to `maintain()`. Default one minute. */
  readonly maintainEveryMs?: number | null
  /** Default 1,000,000. */
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
  const { clock, random = Math.random } = options
  const { maxRecordBytes, maxAppendRecords } = { ...DEFAULT_LIMITS, ...options }
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
    await topics.loading()
    if (closing.signal.aborted) throw unavailable('log_unavailable', 'the log is closed')
  }

  async function topicOf(name: string): Promise<Topic> {
    await opened()
    return topics.get(name)
  }

  async function append(name: string, records: readonly NewRecord[]): Promise<Position[]> {
    // Most appends are of one record: a turn of the microtasks is worth saving.
    const topic = topics.loading() || closing.signal.aborted ? await topicOf(name) : topics.get(name)
    const stored = toStored(topic.spec, records, { maxRecordBytes, maxAppendRecords })
    const runs = share(topic, stored, partitioner)
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

function share(topic: Topic, stored: readonly StoredRecord[], partitioner: typeof partitionOf): Run[] {
  const runs = new Map<Partition, Run>()
  const count = topic.partitions.length
  for (const [index, record] of stored.entries()) {
    const partition = topic.partitions[record.key ? partitioner(record.key, count) : topic.turn++ % count]!
    const run = runs.get(partition) ?? { partition, records: [], indices: [] }
    run.records.push(record)
    run.indices.push(index)
    runs.set(partition, run)
  }
  return [...runs.values()]
}
