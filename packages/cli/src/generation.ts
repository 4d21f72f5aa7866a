import { createHash } from 'node:crypto'
import { createConnectorService } from '@aquifer/connector/service'
import type { ConsumerDeps } from '@aquifer/connector/deps'
import { createParsePool } from '@aquifer/connector/parse-pool'
import type { ParsePool } from '@aquifer/connector/parse-pool'
import { topics } from '@aquifer/contracts/topics'
import { restoreRegistry } from '@aquifer/embedder/restore'
import { createEmbedderService } from '@aquifer/embedder/service'
import type { EventLog } from '@aquifer/event-log/port'
import type { GuardPolicy } from '@aquifer/guard/policy'
import type { Embedder } from '@aquifer/models/embedder'
import type { Config } from '@aquifer/runtime/config'
import { AquiferError, unavailable } from '@aquifer/runtime/errors'
import { untilAvailable } from '@aquifer/runtime/retry'
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
  /** What protected documents are tried with. */
  readonly passwords: () => readonly string[]
  readonly stores: Stores
  readonly shared: Shared
}

/** Another process may be restoring the registry of many documents. */
const INSTANCE_DEADLINE_MS = 60 * 60 * 1000

/** Opens the collection and registry of an embedder. */
export async function openGeneration(
  options: GenerationOptions,
  embedder: Embedder,
  signal?: AbortSignal,
): Promise<Generation> {
  const { config, policy, passwords, stores, shared } = options
  const { fingerprint } = embedder
  const { instance, index } = await untilAvailable(() => openInstance(options, embedder, { signal }), {
    ...shared,
    signal: AbortSignal.any([AbortSignal.timeout(INSTANCE_DEADLINE_MS), ...(signal ? [signal] : [])]),
    onFailure(error) {
      if (!(error instanceof AquiferError) || error.code !== 'state_unavailable') throw error
      shared.logger.warn({ err: error }, 'the registry is waited for; another process may be restoring it')
    },
  })
  const parsePool = createParsePool({
    tokenizerPath: embedder.tokenizerPath,
    limits: { maxBytes: config.maxDocumentBytes, maxPages: config.maxPages },
    guard: policy,
    passwords,
    processes: config.parseThreads,
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

/**
 * The instance of an embedder, with its collection. Where there is none, or it is the `lost` one, the registry of a new one is filled from what is
 * indexed; where the collection is gone, both are new. The consumer groups carry the name, so the rest is made again
 * from the log.
 */
export async function openInstance(
  { stores, shared }: GenerationOptions,
  { fingerprint, dimensions }: Embedder,
  { lost = null, signal }: { lost?: string | null; signal?: AbortSignal | undefined },
): Promise<{ instance: string; index: VectorIndex }> {
  const { generations, admin } = stores
  const open = async () => await admin.open({ fingerprint, dimensions })
  // In turn: of processes that start at once, the first makes it and the others find it.
  return await stores.turns(`generation/${fingerprint}`, async () => {
    const known = (await generations.instances()).get(fingerprint) ?? null
    const isThere = (await admin.list()).some((collection) => collection.fingerprint === fingerprint)
    if (isThere && known !== null && known !== lost) return { instance: known, index: await open() }
    const held = isThere ? await open() : null
    let prepared: string | null = null
    const instance = await generations.renew(fingerprint, known, async (name) => {
      prepared = name
      await prepareRegistry(stores, shared, name, held, signal)
    })
    if (prepared !== instance && prepared !== null) await stores.dropRegistry(prepared)
    // Made last: beside the registry of the lost one it would pass for it, if this process died in between.
    return { instance, index: held ?? (await open()) }
  })
}

/** What the registry of a new instance says first: one without it has lost everything. */
export const PREPARED = { group: 'aquifer.restore', topic: topics.indexed.name }

async function prepareRegistry(
  stores: Stores,
  shared: Shared,
  instance: string,
  index: VectorIndex | null,
  signal: AbortSignal | undefined,
): Promise<void> {
  const registry = await stores.openRegistry(instance)
  const restore = async (filled: Registry, readDeletions: boolean) => {
    const options = { ...shared, registry: filled, readDeletions, ...(signal && { signal }) }
    if (index) await restoreRegistry({ ...options, index })
  }
  try {
    if (!('soundness' in registry)) return await restore(registry, true)
    const { applying, soundness } = registry
    const identity = await soundness.identity()
    await restore(applying, false)
    const progress = { ...PREPARED, partition: 0, first: 0, last: 0, identity }
    if ((await soundness.confirm(progress)).outcome !== 'confirmed')
      throw unavailable(
        'registry_changed',
        'another registry server took over while the registry was restored',
      )
  } catch (error) {
    // What cannot be dropped is used by no one.
    await stores.dropRegistry(instance).catch(() => {})
    throw error
  } finally {
    await registry.close()
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
