import type { Clock } from '@aquifer/runtime/clock'
import type { LogStorage } from './log-storage.ts'
import type { Topic, Topics } from './topics.ts'

export interface Maintenance {
  /** One pass over all topics; joins the pass under way, if there is one. */
  run(): Promise<void>
  /** Resolves when nothing goes on any more, after `signal` has aborted. */
  ended(): Promise<void>
}

/**
 * Retention and compaction (L8), every `everyMs` (null: only when asked) and in bounded steps, between which appends and
 * reads go on. What is superseded or old may be seen for a while yet, as on Kafka.
 */
export function startMaintenance(
  storage: LogStorage,
  topics: Topics,
  clock: Clock,
  everyMs: number | null,
  signal: AbortSignal,
): Maintenance {
  let pass: Promise<void> | null = null

  async function runAll(): Promise<void> {
    for (const topic of topics.all()) await maintain(storage, topic, clock.now(), signal)
  }

  async function run(): Promise<void> {
    await (pass ??= runAll().finally(() => (pass = null)))
  }

  async function repeat(ms: number): Promise<void> {
    while (!signal.aborted) {
      // A pass that fails is repeated at the next turn; whoever appends or reads is told of the same fault.
      await clock
        .sleep(ms, signal)
        .then(run)
        .catch(() => {})
    }
  }
  const background = everyMs === null ? Promise.resolve() : repeat(everyMs)

  return {
    run,
    async ended() {
      await background
      await pass?.catch(() => {})
    },
  }
}

async function maintain(
  storage: LogStorage,
  { spec, partitions }: Topic,
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
