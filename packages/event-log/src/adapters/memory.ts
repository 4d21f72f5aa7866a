import { unavailable } from '@aquifer/runtime/errors'
import { createEmbeddedLog, type EmbeddedEventLog, type LogOptions } from '../log.ts'
import {
  found,
  type AppendRun,
  type LogStorage,
  type PartitionRef,
  type StoredTopic,
} from '../log-storage.ts'
import type { LogRecord, TopicSpec } from '../port.ts'

/** What outlives the log: a log that is opened on the disk of another one continues it, as after a crash. */
export interface MemoryDisk {
  /** Raised by each opening; a log that is not the latest can do nothing any more, as if its process were dead. */
  generation: number
  readonly topics: Map<string, TopicSpec>
  readonly partitions: MemoryPartition[]
  readonly commits: Map<string, number>
}

interface MemoryPartition {
  readonly ref: PartitionRef
  next: number
  lastTimeMs: number
  compactedTo: number
  /** In the order of their offsets. */
  records: (LogRecord & { readonly sizeBytes: number })[]
}

export function createMemoryDisk(): MemoryDisk {
  return { generation: 0, topics: new Map(), partitions: [], commits: new Map() }
}

/** For tests and simulation: given `clock` and `random`, everything it does is determined by its calls. */
export function createMemoryEventLog(options: LogOptions & { readonly disk?: MemoryDisk }): EmbeddedEventLog {
  return createEmbeddedLog(memoryStorage(options.disk ?? createMemoryDisk()), options)
}

function memoryStorage(disk: MemoryDisk): LogStorage {
  const generation = ++disk.generation

  /** Runs it at once, so that calls take effect in their order; the answer comes later, as from any storage. */
  async function call<T>(operation: () => T): Promise<T> {
    if (generation !== disk.generation) throw unavailable('log_unavailable', 'the log was opened again')
    return operation()
  }
  const commitKey = (group: string, partition: PartitionRef): string => JSON.stringify([group, partition.id])
  const stored = ({ id }: PartitionRef): MemoryPartition => disk.partitions[id]!

  return {
    topics: () => call(() => [...disk.topics.values()].map((spec) => topicOn(disk, spec))),
    putTopic: (spec) =>
      call(() => {
        const before = disk.topics.get(spec.name)
        const kept = before ? { ...before, retentionMs: spec.retentionMs } : spec
        disk.topics.set(spec.name, kept)
        const missing = before ? 0 : spec.partitions
        for (let partition = 0; partition < missing; partition++) {
          const ref = { id: disk.partitions.length, topic: spec.name, partition }
          disk.partitions.push({ ref, next: 0, lastTimeMs: 0, compactedTo: 0, records: [] })
        }
        return topicOn(disk, kept)
      }),
    append: (runs, timeMs) => call(() => runs.map((run) => appendRun(stored(run.partition), run, timeMs))),
    read: (partition, fromOffset, limit, maxBytes) =>
      call(() => found(readFrom(stored(partition), fromOffset, limit, maxBytes))),
    firstFrom: (partition, fromOffset) =>
      call(() => {
        const { records } = stored(partition)
        return records[indexFrom(records, fromOffset)] ?? null
      }),
    committed: (group, partition) => call(() => disk.commits.get(commitKey(group, partition)) ?? null),
    commit: (group, partition, nextOffset) =>
      call(() => {
        const key = commitKey(group, partition)
        disk.commits.set(key, Math.max(nextOffset, disk.commits.get(key) ?? 0))
      }),
    dropBefore: (partition, timeMs) =>
      call(() => {
        const { records } = stored(partition)
        const kept = records.findIndex(({ appendTimeMs }) => appendTimeMs >= timeMs)
        return records.splice(0, kept < 0 ? records.length : kept).length
      }),
    compact: (partition) => call(() => compact(stored(partition))),
    ping: () => call(() => {}),
    close: async () => {},
  }
}

function topicOn(disk: MemoryDisk, spec: TopicSpec): StoredTopic {
  const partitions = disk.partitions.filter(({ ref }) => ref.topic === spec.name)
  return { spec, partitions: partitions.map(({ ref, next }) => Object.assign({ next }, ref)) }
}

function appendRun(to: MemoryPartition, { records }: AppendRun, timeMs: number) {
  const firstOffset = to.next
  const appendTimeMs = Math.max(to.lastTimeMs, timeMs)
  for (const { key, value, headers, sizeBytes } of records) {
    to.records.push({
      topic: to.ref.topic,
      partition: to.ref.partition,
      offset: to.next++,
      appendTimeMs,
      // The caller may go on using its buffers.
      key: key && Buffer.from(key),
      value: value && Buffer.from(value),
      headers: { ...headers },
      sizeBytes,
    })
  }
  to.lastTimeMs = appendTimeMs
  return { firstOffset, appendTimeMs }
}

function readFrom(
  { records }: MemoryPartition,
  fromOffset: number,
  limit: number,
  maxBytes: number,
): LogRecord[] {
  const taken: LogRecord[] = []
  let bytes = 0
  for (let index = indexFrom(records, fromOffset); index < records.length && taken.length < limit; index++) {
    const { sizeBytes, ...record } = records[index]!
    bytes += sizeBytes
    if (bytes > maxBytes && taken.length > 0) break
    taken.push(record)
  }
  return taken
}

/** Binary search: the index of the first record at or past the offset. */
function indexFrom(records: readonly LogRecord[], fromOffset: number): number {
  let low = 0
  let high = records.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (records[middle]!.offset < fromOffset) low = middle + 1
    else high = middle
  }
  return low
}

function compact(partition: MemoryPartition): number {
  if (partition.compactedTo < partition.next) {
    const newest = new Map<string, number>()
    const keyOf = ({ key }: LogRecord): string => key!.toString('latin1')
    for (const record of partition.records) newest.set(keyOf(record), record.offset)
    partition.records = partition.records.filter((record) => newest.get(keyOf(record)) === record.offset)
    partition.compactedTo = partition.next
  }
  return partition.compactedTo
}
