import type { Embedder } from '@aquifer/models/embedder'
import { isShared } from '@aquifer/runtime/config'
import { errorMessage } from '@aquifer/runtime/errors'
import { createPeriodic } from '@aquifer/runtime/periodic'
import type { GenerationRecord } from '@aquifer/stores/generations'
import type { Registry } from '@aquifer/stores/registry'
import { establishSoundness } from '@aquifer/stores/registry-soundness'
import type { VectorIndex } from '@aquifer/stores/vector-index'
import { backlog, createConsumers, openGeneration, openInstance, PREPARED, stagesOf } from './generation.ts'
import type { Generation, GenerationOptions } from './generation.ts'
import type { ServiceName } from './services.ts'

const LOOK_EVERY_MS = 250
/** Of stores that other processes use too. */
const LOOK_AT_SHARED_EVERY_MS = 1000

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

export interface GenerationsOptions extends GenerationOptions {
  readonly services: readonly ServiceName[]
  readonly openEmbedder: (url: string) => Promise<Embedder>
}

/** An embedder with its generation of now: the registry may be lost, and then made again under another name. */
interface Slot {
  readonly embedder: Embedder
  generation: Generation
  consumers: ReturnType<typeof createConsumers>
}

export async function createGenerations(options: GenerationsOptions): Promise<Generations> {
  const { config, stores, services } = options
  const { clock, logger } = options.shared
  const store = stores.generations
  const canSwitch = services.includes('connector') || services.includes('embedder')
  const newest = await openSlot(options, config.embedder)
  const before = await openBefore(options, newest)
  let serving = before ?? newest
  const slots = before ? [before, newest] : [newest]
  /** On a server: the registry can be lost, and replaced, while this process runs. */
  const isGuarded = 'soundness' in newest.generation.registry

  /** What this process finds changed: by itself, which has filled the newest generation, or by another process. */
  async function look(signal: AbortSignal): Promise<void> {
    if (isGuarded) for (const slot of slots) await follow(slot, signal)
    if (serving === newest) return
    if (canSwitch && (await isFilled())) await remember()
    if ((await store.current())?.fingerprint === newest.embedder.fingerprint) await switchOver()
  }

  async function isFilled(): Promise<boolean> {
    const { connector, embedder } = await backlog(newest.generation, stores.log)
    return connector === 0 && embedder === 0
  }

  async function switchOver(): Promise<void> {
    const old = serving
    serving = newest
    logger.info(
      { build: newest.generation.build },
      `the index of ${newest.embedder.name} is complete; it serves from now on`,
    )
    slots.splice(slots.indexOf(old), 1)
    await old.consumers.stop()
    await closeSlot(old)
    await tidy()
  }

  async function follow(slot: Slot, signal: AbortSignal): Promise<void> {
    const { fingerprint } = slot.embedder
    const old = slot.generation
    if ((await store.instances()).get(fingerprint) === old.instance) return
    logger.warn({ fingerprint, lost: old.instance }, 'the registry was lost and is made again')
    await slot.consumers.stop()
    const fresh = await openGeneration(options, slot.embedder, signal)
    if (canSwitch) await stores.dropRegistry(old.instance)
    slot.generation = fresh
    slot.consumers = createConsumers(fresh, slot.embedder, options.shared, services)
    await slot.consumers.start()
    await old.close()
  }

  /** Queries wait for it, where a registry's server was restarted or replaced. */
  async function establish(signal: AbortSignal): Promise<void> {
    for (const { generation, embedder } of slots) {
      if (!('soundness' in generation.registry)) continue
      const { soundness } = generation.registry
      const stages = stagesOf(generation)
      const state = await establishSoundness({
        log: stores.log,
        soundness,
        prepared: PREPARED,
        stages,
        clock,
        signal,
      })
      if (state === 'lost') await openInstance(options, embedder, { lost: generation.instance, signal })
    }
  }

  async function remember(): Promise<void> {
    const { fingerprint, dimensions, warning } = newest.embedder
    const embedderUrl = warning === null ? config.embedder : 'lexical:'
    await store.setCurrent({ build: newest.generation.build, embedderUrl, fingerprint, dimensions })
  }

  /**
   * Collections that no one uses go, but only where no other process can be using them. A makeshift drops nothing: the index of the
   * embedder that it stands in for is wanted again when that can be had.
   */
  async function tidy(): Promise<void> {
    if (isShared(config) || (newest.embedder.warning !== null && config.embedder !== 'lexical:')) return
    for (const collection of await stores.admin.list()) {
      if (slots.some(({ embedder }) => embedder.fingerprint === collection.fingerprint)) continue
      await store.forget(collection.fingerprint)
      await stores.admin.drop(collection)
    }
  }

  if (!before) await remember()
  await tidy()
  const looking = createPeriodic(
    'following the generations',
    isGuarded ? LOOK_AT_SHARED_EVERY_MS : LOOK_EVERY_MS,
    { clock, logger },
    look,
  )
  const establishing = createPeriodic(
    'checking the registry',
    LOOK_AT_SHARED_EVERY_MS,
    { clock, logger },
    establish,
  )
  return {
    registry: delegate(() => serving.generation.registry),
    index: delegate(() => serving.generation.index),
    embedder: delegate(() => serving.embedder),
    current: () => serving.generation,
    otherRegistries: () => slots.filter((slot) => slot !== serving).map((slot) => slot.generation.registry),
    warnings: () => slots.flatMap(({ embedder }) => embedder.warning ?? []),
    async start() {
      for (const { consumers } of slots) await consumers.start()
      if (before || isGuarded) looking.start()
      if (canSwitch) establishing.start()
    },
    async stop() {
      await Promise.all([looking.stop(), establishing.stop()])
      for (const { consumers } of slots) await consumers.stop()
    },
    async close() {
      for (const slot of slots) await closeSlot(slot)
    },
  }
}

async function openSlot(options: GenerationsOptions, url: string): Promise<Slot> {
  const embedder = await options.openEmbedder(url)
  try {
    const generation = await openGeneration(options, embedder)
    return {
      embedder,
      generation,
      consumers: createConsumers(generation, embedder, options.shared, options.services),
    }
  } catch (error) {
    await embedder.close()
    throw error
  }
}

async function closeSlot({ generation, embedder }: Slot): Promise<void> {
  await generation.close()
  await embedder.close()
}

/** The generation that serves, where it has another embedder and that can still be opened. */
async function openBefore(options: GenerationsOptions, newest: Slot): Promise<Slot | null> {
  const { stores } = options
  const { logger } = options.shared
  const record: GenerationRecord | null = await stores.generations.current()
  if (!record || record.fingerprint === newest.embedder.fingerprint) return null
  try {
    const before = await openSlot(options, record.embedderUrl)
    if (before.embedder.fingerprint === record.fingerprint) return before
    await closeSlot(before)
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
