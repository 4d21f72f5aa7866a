import { invalid } from '@aquifer/runtime/errors'
import type { Partition } from './lease.ts'
import type { LogStorage } from './log-storage.ts'
import type { EventLog } from './port.ts'
import type { Topic } from './topics.ts'

const READ_MAX_BYTES = 16 * 1024 * 1024

/** What of the port needs no group. */
export function createReads(
  storage: LogStorage,
  topicOf: (name: string) => Promise<Topic>,
): Pick<EventLog, 'read' | 'offsets' | 'offsetsAt' | 'lag'> {
  async function perPartition<T>(name: string, of: (partition: Partition) => Promise<T>): Promise<T[]> {
    const { partitions } = await topicOf(name)
    return await Promise.all(partitions.map(of))
  }

  async function earliest(partition: Partition): Promise<number> {
    const { next } = partition
    return (await storage.firstFrom(partition, 0))?.offset ?? next
  }

  return {
    async read(name, number, fromOffset, limit) {
      const { partitions } = await topicOf(name)
      const partition = partitions[number]
      if (!partition) {
        const message = `topic ${name} has ${partitions.length} partitions, no ${number}`
        throw invalid('unknown_partition', message, 404)
      }
      const found = await storage.read(partition, Math.max(0, fromOffset), limit, READ_MAX_BYTES)
      return await found.records()
    },
    offsets: (name) =>
      perPartition(name, async (partition) => ({
        partition: partition.partition,
        earliest: await earliest(partition),
        next: partition.next,
      })),
    offsetsAt: (name, timeMs) =>
      perPartition(name, async (partition) => ({
        partition: partition.partition,
        offset: await offsetAt(storage, partition, timeMs),
      })),
    async lag(group, name) {
      const lags = await perPartition(name, async (partition) => {
        const committed = (await storage.committed(group, partition)) ?? 0
        return Math.max(0, partition.next - Math.max(committed, await earliest(partition)))
      })
      return lags.reduce((sum, lag) => sum + lag, 0)
    },
  }
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
