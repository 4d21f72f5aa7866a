import { createHash } from 'node:crypto'
import { createConnectorService } from '@aquifer/connector/service'
import type { ConsumerDeps } from '@aquifer/connector/deps'
import { createParsePool } from '@aquifer/connector/parse-pool'
import type { ParsePool } from '@aquifer/connector/parse-pool'
import { topics } from '@aquifer/contracts/topics'
import { createEmbedderService } from '@aquifer/embedder/service'
import type { EventLog } from '@aquifer/event-log/port'
import type { GuardPolicy } from '@aquifer/guard/policy'
import type { Embedder } from '@aquifer/models/embedder'
import type { Config } from '@aquifer/runtime/config'
import type { Registry } from '@aquifer/stores/registry'
import { confirmCommits } from '@aquifer/stores/registry-soundness'
import type { GuardedRegistry, Stage } from '@aquifer/stores/registry-soundness'
import type { VectorIndex } from '@aquifer/stores/vector-index'
import type { ServiceName } from './services.ts'
import type { Stores } from './stores.ts'

/**
 * One way of making the index: an embedder with its collection and registry, and the parser and chunker before it. Its consumer
 * groups carry its id, so a changed parser, chunker or embedder reads the whole log again from its start. While another embedder
 * fills its collection, the old generation goes on serving; vectors of two spaces never meet.
 */
export interface Generation {
  /** Hash of everything that decides the chunks and their vectors. */
  readonly build: string
  /** The name of the registry that belongs to the collection. */
  readonly instance: string
  readonly index: VectorIndex
  /** For queries and the door: answers only while it is known to have all that was written. */
  readonly registry: Registry | GuardedRegistry
  readonly parsePool: ParsePool
  readonly groups: { readonly connector: string; readonly embedder: string }
  close(): Promise<void>
}

export interface GenerationOptions {
  readonly config: Config
  readonly policy: GuardPolicy
  readonly stores: Stores
}

/**
 * Opens the collection and registry of an embedder. Where either is gone, both are new: the consumer groups carry the name, so what was
 * lost is made again from the log.
 */
export async function openGeneration(
  { config, policy, stores }: GenerationOptions,
  embedder: Embedder,
): Promise<Generation> {
  const { fingerprint, dimensions } = embedder
  const { generations, admin } = stores
  // In turn: of processes that start at once, the first makes the collection and the others find it.
  const { instance, index } = await stores.turns(`generation/${fingerprint}`, async () => {
    const wasKnown = (await generations.instances()).has(fingerprint)
    const known = await generations.instanceOf(fingerprint)
    const isThere = (await admin.list()).some((collection) => collection.fingerprint === fingerprint)
    return {
      instance: wasKnown && !isThere ? await generations.renew(fingerprint, known) : known,
      index: await admin.open({ fingerprint, dimensions }),
    }
  })
  const parsePool = createParsePool({
    tokenizerPath: embedder.tokenizerPath,
    limits: { maxBytes: config.maxDocumentBytes, maxPages: config.maxPages },
    guard: policy,
    threads: config.parseThreads,
    timeoutMs: config.parseTimeoutMs,
    memoryMb: config.parseMemoryMb,
  })
  const build = createHash('sha256')
    .update(JSON.stringify([parsePool.build, fingerprint]))
    .digest('hex')
    .slice(0, 16)
  const registry = await stores.openRegistry(instance)
  return {
    build,
    instance,
    index,
    registry,
    parsePool,
    groups: {
      connector: `aquifer.connector.${build}.${instance}`,
      embedder: `aquifer.embedder.${build}.${instance}`,
    },
    async close() {
      await parsePool.close()
      await registry.close()
    },
  }
}

export type Shared = Omit<ConsumerDeps, 'registry' | 'parsePool' | 'build' | 'group'> & {
  readonly sweepEveryMs: number
}

/** The consumers that fill a generation's index, those that this process runs. */
export function createConsumers(
  { build, registry, parsePool, groups, index }: Generation,
  embedder: Embedder,
  shared: Shared,
  services: readonly ServiceName[],
) {
  const deps =
    'soundness' in registry
      ? {
          ...shared,
          registry: registry.applying,
          sweepRegistry: registry,
          log: confirmCommits(shared.log, registry.soundness),
          build,
        }
      : { ...shared, registry, build }
  const connector = createConnectorService({ ...deps, parsePool, group: groups.connector })
  const filler = createEmbedderService({ ...deps, group: groups.embedder, index, embedder })
  const run = [
    ...(services.includes('embedder') ? [filler] : []),
    ...(services.includes('connector') ? [connector] : []),
  ]
  return {
    async start(): Promise<void> {
      for (const each of run) await each.start()
    },
    async stop(): Promise<void> {
      for (const each of run.toReversed()) await each.stop()
    },
  }
}

/** The steps of the way, each with the topics that it reads. */
export function stagesOf({ groups }: Generation): readonly [connector: Stage, embedder: Stage] {
  const { documents, documentsBulk, documentsRetry, chunks, chunksBulk, chunksRetry } = topics
  return [
    { group: groups.connector, topics: [documents, documentsBulk, documentsRetry].map(({ name }) => name) },
    { group: groups.embedder, topics: [chunks, chunksBulk, chunksRetry].map(({ name }) => name) },
  ]
}

/** Records of the log that a generation has still to read. */
export async function backlog(
  generation: Generation,
  log: EventLog,
): Promise<{ connector: number; embedder: number }> {
  const lag = async (stage: Stage) => {
    const lags = await Promise.all(stage.topics.map(async (topic) => await log.lag(stage.group, topic)))
    return lags.reduce((sum, own) => sum + own, 0)
  }
  const [connector, embedder] = stagesOf(generation)
  return { connector: await lag(connector), embedder: await lag(embedder) }
}
