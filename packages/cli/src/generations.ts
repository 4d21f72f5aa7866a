import type { EventLog } from '@aquifer/event-log/port'
import type { GuardPolicy } from '@aquifer/guard/policy'
import type { Embedder } from '@aquifer/models/embedder'
import type { Clock } from '@aquifer/runtime/clock'
import type { Config } from '@aquifer/runtime/config'
import { errorMessage } from '@aquifer/runtime/errors'
import type { Logger } from '@aquifer/runtime/logger'
import type { Registry } from '@aquifer/stores/registry'
import type { VectorIndex, VectorIndexAdmin } from '@aquifer/stores/vector-index'
import {
  backlog,
  createConsumers,
  dropUnused,
  openGeneration,
  readCurrent,
  writeCurrent,
} from './generation.ts'
import type { Generation, Shared } from './generation.ts'

const CATCH_UP_POLL_MS = 250

/**
 * The generation that serves, and the one that is being filled to follow it. `registry`, `index` and `embedder` are whatever serves
 * at the moment of the call.
 */
export interface Generations {
  readonly registry: Registry
  readonly index: VectorIndex
  readonly embedder: Embedder
  current(): Generation
  /** Registries of generations that do not serve yet. */
  otherRegistries(): readonly Registry[]
  warnings(): string[]
  start(): Promise<void>
  stop(): Promise<void>
  close(): Promise<void>
}

export async function createGenerations(options: {
  config: Config
  policy: GuardPolicy
  admin: VectorIndexAdmin
  log: EventLog
  clock: Clock
  logger: Logger
  shared: Shared
  openEmbedder: (url: string) => Promise<Embedder>
}): Promise<Generations> {
  const { config, log, clock, logger, shared } = options
  const open = async (url: string) =>
    await openGeneration({ ...options, embedder: await options.openEmbedder(url) })
  const newest = await open(config.embedder)
  const before = await openBefore(options, newest, open)
  let serving = before ?? newest
  const all = before ? [before, newest] : [newest]
  const consumers = new Map(all.map((generation) => [generation, createConsumers(generation, shared)]))
  const stopping = new AbortController()
  let switching: Promise<void> | null = null

  /** Waits until the new generation has read everything, then lets it serve, then ends the old one. */
  async function switchOver(old: Generation): Promise<void> {
    for (;;) {
      const { connector, embedder } = await backlog(newest, log)
      if (connector === 0 && embedder === 0) break
      await clock.sleep(CATCH_UP_POLL_MS, stopping.signal)
    }
    await remember()
    serving = newest
    logger.info(
      { build: newest.build },
      `the index of ${newest.embedder.name} is complete; it serves from now on`,
    )
    await consumers.get(old)!.stop()
    all.splice(all.indexOf(old), 1)
    await old.close()
    await tidy()
  }

  async function remember(): Promise<void> {
    const { fingerprint, dimensions } = newest.embedder
    const url = newest.embedder.warning === null ? config.embedder : 'lexical:'
    await writeCurrent(config.dataDir, { build: newest.build, embedderUrl: url, fingerprint, dimensions })
  }

  /** A makeshift drops nothing: the index of the embedder that it stands in for is wanted again when that can be had. */
  async function tidy(): Promise<void> {
    if (newest.embedder.warning === null || config.embedder === 'lexical:')
      await dropUnused(config.dataDir, options.admin, all)
  }

  if (!before) await remember()
  await tidy()
  return {
    registry: delegate(() => serving.registry),
    index: delegate(() => serving.index),
    embedder: delegate(() => serving.embedder),
    current: () => serving,
    otherRegistries: () => all.filter((generation) => generation !== serving).map(({ registry }) => registry),
    warnings: () => all.flatMap(({ embedder }) => embedder.warning ?? []),
    async start() {
      for (const each of consumers.values()) await each.start()
      if (before) {
        switching = switchOver(before).catch((error: unknown) => {
          if (!stopping.signal.aborted)
            logger.error({ err: error }, 'the switch to the new index failed; the next start tries again')
        })
      }
    },
    async stop() {
      stopping.abort()
      await switching
      for (const generation of all) await consumers.get(generation)!.stop()
    },
    async close() {
      for (const generation of all) await generation.close()
    },
  }
}

/** The generation of the last start, where it had another embedder and that can still be opened. */
async function openBefore(
  { config, logger }: { config: Config; logger: Logger },
  newest: Generation,
  open: (url: string) => Promise<Generation>,
): Promise<Generation | null> {
  const record = await readCurrent(config.dataDir)
  if (!record || record.fingerprint === newest.embedder.fingerprint) return null
  try {
    const before = await open(record.embedderUrl)
    if (before.embedder.fingerprint === record.fingerprint) return before
    await before.close()
  } catch (error) {
    logger.warn(
      { err: error },
      `the embedder that made the index so far cannot be opened: ${errorMessage(error)}`,
    )
  }
  logger.warn('documents appear again as the new embedder reads them from the log')
  return null
}

/** An object whose members are those of whatever `target` gives at the moment. */
function delegate<T extends object>(target: () => T): T {
  return new Proxy({} as T, {
    get: (_, name) => {
      const value: unknown = Reflect.get(target(), name)
      return typeof value === 'function' ? value.bind(target()) : value
    },
  })
}
