import type { AnswerRecord } from '@aquifer/contracts/types'
import { topics } from '@aquifer/contracts/topics'
import { createMemoryDisk, createMemoryEventLog } from '@aquifer/event-log/memory'
import type { MemoryDisk } from '@aquifer/event-log/memory'
import type { EmbeddedEventLog } from '@aquifer/event-log/log'
import type { Answers } from '@aquifer/stores/answers'
import type { Blobs } from '@aquifer/stores/blobs'
import { createMemoryBlobs } from '@aquifer/stores/blobs-memory'
import type { Cache } from '@aquifer/stores/cache'
import type { Registry } from '@aquifer/stores/registry'
import { createMemoryRegistry } from '@aquifer/stores/registry-memory'
import type { VectorIndex } from '@aquifer/stores/vector-index'
import { createMemoryVectorIndex } from '@aquifer/stores/vector-index-memory'
import { partitionOf } from '@aquifer/event-log/partitioner'
import { crc32 } from 'node:zlib'
import { createEmbedder } from './models.ts'
import type { VirtualTime } from './virtual-time.ts'

/** What all processes share, and what outlives them. */
export interface Stores {
  readonly disk: MemoryDisk
  readonly log: EmbeddedEventLog
  readonly registry: Registry
  readonly index: VectorIndex
  readonly blobs: Blobs
  readonly answers: Answers
  readonly cache: Cache
  /** A record under this very buffer goes where another client's hash of the key says. */
  foreignKey(key: string): Buffer
}

export async function createStores(time: VirtualTime): Promise<Stores> {
  const disk = createMemoryDisk()
  const foreign = new WeakSet<Buffer>()
  const log = createMemoryEventLog({
    clock: time.clock,
    random: time.random,
    maintainEveryMs: null,
    disk,
    partitioner: (key, partitions) =>
      foreign.has(key) ? crc32(key) % partitions : partitionOf(key, partitions),
  })
  const partitions = 1 + Math.floor(time.random() * 4)
  await log.ensureTopics(Object.values(topics).map((topic) => Object.assign({ partitions }, topic)))
  return {
    disk,
    log,
    registry: createMemoryRegistry(),
    index: await createMemoryVectorIndex().open(createEmbedder()),
    blobs: createMemoryBlobs(),
    answers: createAnswers(),
    cache: createCache(time),
    foreignKey(key) {
      const bytes = Buffer.from(key)
      foreign.add(bytes)
      return bytes
    },
  }
}

/** Kept, so that the route works; nothing here reads them back. */
function createAnswers(): Answers {
  const answers = new Map<string, AnswerRecord>()
  return {
    async put(answer) {
      answers.set(`${answer.tenant}/${answer.answerId}`, answer)
    },
    async get(tenant, answerId) {
      const answer = answers.get(`${tenant}/${answerId}`)
      return answer ? { answer, evaluation: null, feedback: [] } : null
    },
    putEvaluation: async () => {},
    putFeedback: async () => {},
    listEvaluations: async () => ({ evaluations: [] }),
    conversation: async () => [],
    expire: async () => {},
    ping: async () => {},
    close: async () => {},
  }
}

function createCache(time: VirtualTime): Cache {
  const values = new Map<string, { value: Buffer; untilMs: number }>()
  const held = (key: string): Buffer | null => {
    const kept = values.get(key)
    return kept && kept.untilMs > time.now() ? kept.value : null
  }
  return {
    get: async (key) => held(key),
    async set(key, value, ttlMs) {
      values.set(key, { value, untilMs: time.now() + ttlMs })
    },
    async add(key, value, ttlMs) {
      if (held(key)) return false
      values.set(key, { value, untilMs: time.now() + ttlMs })
      return true
    },
    async delete(key) {
      values.delete(key)
    },
    ping: async () => {},
    close: async () => {},
  }
}
