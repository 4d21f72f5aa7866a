import { invalid } from '@aquifer/runtime/errors'
import type { Partition } from './lease.ts'
import type { LogStorage, StoredTopic } from './log-storage.ts'
import type { TopicSpec } from './port.ts'

export interface Topic {
  readonly spec: TopicSpec
  readonly partitions: readonly Partition[]
  /** Records without a key go round. */
  turn: number
}

export interface Topics {
  /** Resolves when the stored topics are known; null when they are. */
  loading(): Promise<void> | null
  all(): Iterable<Topic>
  /** Throws `unknown_topic`. */
  get(name: string): Topic
  /** Throws `topic_mismatch`. */
  ensure(spec: TopicSpec): Promise<void>
}

/** The topics of a storage, and the offsets that their partitions have reached. */
export function createTopics(storage: LogStorage): Topics {
  const topics = new Map<string, Topic>()
  const keep = ({ spec, partitions }: StoredTopic): void => {
    const known = topics.get(spec.name)
    // The offsets of a topic that is open are ahead of what was just read.
    topics.set(spec.name, known ? { ...known, spec } : { spec, partitions, turn: 0 })
  }
  let loading: Promise<void> | null = storage.topics().then((stored) => {
    stored.forEach(keep)
    loading = null
  })
  // Whoever calls is told.
  loading.catch(() => {})

  return {
    loading: () => loading,
    all: () => topics.values(),
    get(name) {
      const topic = topics.get(name)
      if (topic) return topic
      throw invalid('unknown_topic', `the log has no topic ${name}: create it with ensureTopics`, 404)
    },
    async ensure(spec) {
      const before = topics.get(spec.name)?.spec
      if (before && (before.partitions < spec.partitions || before.cleanup !== spec.cleanup)) {
        throw invalid(
          'topic_mismatch',
          `topic ${spec.name} exists with ${before.partitions} partitions and cleanup ${before.cleanup}, not ` +
            `${spec.partitions} and ${spec.cleanup}: adding partitions would move keys, so use another topic`,
        )
      }
      if (!before || before.retentionMs !== spec.retentionMs) keep(await storage.putTopic(spec))
    },
  }
}
