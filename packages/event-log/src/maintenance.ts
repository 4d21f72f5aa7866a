import type { Partition } from './lease.ts'
import type { LogStorage } from './log-storage.ts'
import type { TopicSpec } from './port.ts'

/**
 * Applies a topic's retention and compaction (L8) in bounded steps, between which appends and reads go on.
 * What is superseded or old may be seen for a while yet, as on Kafka.
 */
export async function maintainTopic(
  storage: LogStorage,
  spec: TopicSpec,
  partitions: readonly Partition[],
  nowMs: number,
  signal: AbortSignal,
): Promise<void> {
  for (const partition of partitions) {
    if (spec.retentionMs !== null) {
      while (!signal.aborted && (await storage.dropBefore(partition, nowMs - spec.retentionMs)) > 0);
    }
    if (spec.cleanup === 'compact') {
      while (!signal.aborted && (await storage.compact(partition)) < partition.next);
    }
  }
}
