import { join } from 'node:path'
import type { EventLog } from '@aquifer/event-log/port'
import type { Clock } from '@aquifer/runtime/clock'
import { createTurns } from '@aquifer/runtime/concurrency'
import type { Turns } from '@aquifer/runtime/concurrency'
import type { Config } from '@aquifer/runtime/config'
import type { Logger } from '@aquifer/runtime/logger'
import { openDatabase } from '@aquifer/runtime/sqlite'
import type { Answers } from '@aquifer/stores/answers'
import type { Blobs } from '@aquifer/stores/blobs'
import type { Cache } from '@aquifer/stores/cache'
import type { GenerationStore } from '@aquifer/stores/generations'
import type { Registry } from '@aquifer/stores/registry'
import type { GuardedRegistry } from '@aquifer/stores/registry-soundness'
import type { VectorIndexAdmin } from '@aquifer/stores/vector-index'
import type { WatchState } from '@aquifer/stores/watch-state'
import { createGenerationFiles } from './generation-files.ts'

/** What the configuration's URLs name, opened. An adapter is loaded only where its URL asks for it. */
export interface Stores extends State {
  readonly log: EventLog
  readonly admin: VectorIndexAdmin
  readonly blobs: Blobs
}

/** Registry and shared state: one database or one server holds all of it. */
export interface State {
  readonly answers: Answers
  readonly cache: Cache
  readonly turns: Turns
  readonly generations: GenerationStore
  openRegistry(instance: string): Promise<Registry | GuardedRegistry>
  /** Of an instance that was replaced. */
  dropRegistry(instance: string): Promise<void>
  openWatchState(): Promise<WatchState>
}

export interface StoresOptions {
  readonly config: Config
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  /** Takes what closes each store, in the order of their opening. */
  readonly closers: (() => unknown)[]
}

export async function openStores(options: StoresOptions): Promise<Stores> {
  const { closers } = options
  const opened = async <T extends { close(): unknown }>(opening: Promise<T>): Promise<T> => {
    const store = await opening
    closers.push(() => store.close())
    return store
  }
  const log = await opened(openEventLog(options))
  const state = await openState(options)
  const blobs = await opened(openBlobs(options))
  const admin = await opened(openIndex(options))
  return { log, ...state, blobs, admin }
}

async function openEventLog({ config, clock, random, logger }: StoresOptions): Promise<EventLog> {
  if (config.eventLog === 'sqlite:') {
    const { createSqliteEventLog } = await import('@aquifer/event-log/sqlite')
    return createSqliteEventLog({ path: join(config.dataDir, 'log.db'), clock })
  }
  const { openKafkaEventLog } = await import('@aquifer/event-log/kafka')
  return await openKafkaEventLog({ url: config.eventLog, clock, random, logger })
}

async function openIndex({ config, clock, logger }: StoresOptions): Promise<VectorIndexAdmin> {
  if (config.vectorIndex === 'lancedb:') {
    // LanceDB's warnings would stand among our lines in another form, and say nothing that a person can do; what fails is thrown. It reads
    // this when it is loaded.
    process.env['LANCEDB_LOG'] ??= 'error'
    const { openLanceDb } = await import('@aquifer/stores/lancedb')
    return await openLanceDb({
      path: join(config.dataDir, 'vectors'),
      clock,
      onUpkeepFailure: (error) =>
        logger.warn({ err: error }, 'the upkeep of the vector index failed; it is tried again'),
    })
  }
  const { openQdrant } = await import('@aquifer/stores/qdrant')
  return await openQdrant({ url: config.vectorIndex, clock })
}

async function openBlobs({ config }: StoresOptions): Promise<Blobs> {
  if (config.blobs === 'file:') {
    const { openFileBlobs } = await import('@aquifer/stores/blobs-file')
    return await openFileBlobs({ path: join(config.dataDir, 'blobs') })
  }
  const { openS3Blobs } = await import('@aquifer/stores/blobs-s3')
  return await openS3Blobs({ url: config.blobs })
}

async function openState(options: StoresOptions): Promise<State> {
  const { config, clock, closers } = options
  if (config.state === 'sqlite:') {
    const [answers, cache] = await Promise.all([
      import('@aquifer/stores/answers-sqlite'),
      import('@aquifer/stores/cache-sqlite'),
    ])
    const database = openDatabase({
      path: join(config.dataDir, 'state.db'),
      schema: `${answers.answersSchema}${cache.cacheSchema}`,
      survives: 'power-loss',
    })
    closers.push(() => database.close())
    const generations = createGenerationFiles(config.dataDir, join(config.dataDir, 'vectors'))
    return {
      answers: answers.createSqliteAnswers(database),
      cache: cache.createSqliteCache(database, { clock }),
      turns: createTurns(),
      generations,
      openRegistry: (instance) => generations.openRegistry(instance),
      // Goes with its name.
      dropRegistry: async () => {},
      async openWatchState() {
        const { openSqliteWatchState } = await import('@aquifer/stores/watch-state-sqlite')
        return openSqliteWatchState(join(config.dataDir, 'watch.db'))
      },
    }
  }
  return await openRedisState(options)
}

async function openRedisState({ config, clock, random, logger, closers }: StoresOptions): Promise<State> {
  const [{ openRedis }, answers, cache, generations, registry, turns] = await Promise.all([
    import('@aquifer/stores/redis'),
    import('@aquifer/stores/answers-redis'),
    import('@aquifer/stores/cache-redis'),
    import('@aquifer/stores/generations-redis'),
    import('@aquifer/stores/registry-redis'),
    import('@aquifer/stores/turns-redis'),
  ])
  const redis = await openRedis({ url: config.state, logger, random })
  closers.push(() => redis.close())
  return {
    answers: answers.createRedisAnswers(redis),
    cache: cache.createRedisCache(redis, { clock }),
    turns: turns.createRedisTurns(redis, { clock, random }),
    generations: generations.createRedisGenerations(redis),
    openRegistry: async (name) => registry.createRedisRegistry(redis, { name }),
    dropRegistry: async (name) => await registry.dropRedisRegistry(redis, name),
    async openWatchState() {
      const { createRedisWatchState } = await import('@aquifer/stores/watch-state-redis')
      return createRedisWatchState(redis)
    },
  }
}
