import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { documentRoutes } from '@aquifer/connector/http'
import { openPasswords } from '@aquifer/connector/passwords'
import { createFolderWatch } from '@aquifer/connector/watch-folder'
import { consoleRoutes } from '@aquifer/console/http'
import { openSchemas } from '@aquifer/contracts/schemas'
import { topics } from '@aquifer/contracts/topics'
import { createEvaluatorService, EVALUATOR_GROUP } from '@aquifer/evaluator/service'
import { createEvaluate } from '@aquifer/evaluator/metrics'
import { DOCUMENT_POLICY } from '@aquifer/guard/policy'
import { createGuardPool } from '@aquifer/guard/pool'
import { createGroundednessScorer } from '@aquifer/models/groundedness'
import { createLexicalEmbedder } from '@aquifer/models/lexical-embedder'
import { openGenerator } from '@aquifer/models/open'
import { createQueryService } from '@aquifer/query/service'
import { loadPrompt } from '@aquifer/query/prompt'
import { keyAuthenticator, loopbackAuthenticator } from '@aquifer/runtime/auth'
import { systemClock } from '@aquifer/runtime/clock'
import { isShared } from '@aquifer/runtime/config'
import type { Config } from '@aquifer/runtime/config'
import { invalid } from '@aquifer/runtime/errors'
import { startHttp } from '@aquifer/runtime/http'
import type { Logger } from '@aquifer/runtime/logger'
import { createMetrics } from '@aquifer/runtime/metrics'
import { ownDataDir } from '@aquifer/runtime/owner-lock'
import { noProbe } from '@aquifer/runtime/probe'
import type { Probe } from '@aquifer/runtime/probe'
import { untilAvailable } from '@aquifer/runtime/retry'
import { createTracing } from '@aquifer/runtime/tracing'
import { createDocumentFiles } from '@aquifer/stores/document-files'
import { backlog } from './generation.ts'
import { createGenerations } from './generations.ts'
import { openModel } from './open-model.ts'
import { SERVICES } from './services.ts'
import type { ServiceName } from './services.ts'
import { openStores } from './stores.ts'

/** Services in one process, on the adapters that the configuration names. */
export interface System {
  readonly url: string
  /** What a person should know although it runs. */
  readonly warnings: readonly string[]
  /** True where the data directory was made by this start. */
  readonly isNew: boolean
  /** Lets open requests and batches under way end, then closes everything. */
  stop(): Promise<void>
}

const HTTP_DEADLINE_MS = 10_000
/** A broker that starts beside this process has so long to come up. */
const START_DEADLINE_MS = 120_000
const SWEEP_EVERY_MS = 10 * 60 * 1000
const EXPIRE_EVERY_MS = 60 * 60 * 1000
/** Deleted text leaves the index's files with it; writes wait for a second or so meanwhile. */
const COMPACT_EVERY_MS = 6 * 60 * 60 * 1000

export interface SystemOptions {
  readonly config: Config
  readonly logger: Logger
  /** All of them unless told; some of them only where no store is embedded. */
  readonly services?: readonly ServiceName[]
  readonly probe?: Probe
  /** For tests: sweeps come sooner, and documents of several parts are smaller. */
  readonly tuning?: { readonly sweepEveryMs?: number; readonly maxPartBytes?: number }
  /** Told while a model is fetched and made ready. */
  readonly onProgress?: (line: string) => void
}

/** Throws `embedded_stores` where services are to run apart on stores that have one owner, and what the stores throw. */
export async function startSystem({
  config,
  logger,
  services = SERVICES,
  probe = noProbe,
  tuning = {},
  onProgress = () => {},
}: SystemOptions): Promise<System> {
  if (services.length < SERVICES.length && !isShared(config)) {
    throw invalid(
      'embedded_stores',
      'embedded stores have one owner process, so one service alone cannot run on them: start all (no names), or set ' +
        'AQUIFER_EVENT_LOG, AQUIFER_VECTOR_INDEX and AQUIFER_STATE to servers that many processes share',
    )
  }
  const closers: (() => unknown)[] = []
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    return await assemble({ config, logger, services, probe, tuning, onProgress }, closers, close)
  } catch (error) {
    await close()
    throw error
  }
}

async function assemble(
  { config, logger, services, probe, tuning, onProgress }: Required<SystemOptions>,
  closers: (() => unknown)[],
  close: () => Promise<void>,
): Promise<System> {
  const runs = (service: ServiceName) => services.includes(service)
  const isNew = config.eventLog === 'sqlite:' && !existsSync(join(config.dataDir, 'log.db'))
  if (isShared(config)) mkdirSync(config.dataDir, { recursive: true })
  else closers.push(ownDataDir(config.dataDir))
  const clock = systemClock
  const random = Math.random
  const uuid = randomUUID
  const metrics = createMetrics()
  const tracing = createTracing()
  closers.push(() => tracing.shutdown())

  const stores = await openStores({ config, clock, random, logger, closers })
  const { log, answers, cache, blobs } = stores
  await untilAvailable(
    () =>
      log.ensureTopics(Object.values(topics).map((topic) => ({ ...topic, partitions: config.partitions }))),
    {
      clock,
      random,
      signal: AbortSignal.timeout(START_DEADLINE_MS),
      onFailure: (error) => logger.warn({ err: error }, 'the event log is waited for'),
    },
  )
  const schemas = await openSchemas({ url: config.schemaRegistry ?? null, clock, random })
  const files = createDocumentFiles(blobs)
  const policy = {
    ...DOCUMENT_POLICY,
    injection: config.guardInjection,
    personalData: config.guardPersonalData,
    unsafe: config.guardActiveContent,
  }
  const { sweepEveryMs = SWEEP_EVERY_MS, ...smaller } = tuning
  const limits = { maxDocumentBytes: config.maxDocumentBytes, uriHosts: config.uriHosts, ...smaller }
  const shared = {
    log,
    schemas,
    blobs,
    files,
    limits,
    clock,
    random,
    uuid,
    logger,
    metrics,
    tracing,
    probe,
    sweepEveryMs,
  }
  const generations = await createGenerations({
    config,
    policy,
    passwords:
      runs('connector') && config.documentPasswordsFile !== undefined
        ? openPasswords(config.documentPasswordsFile, logger)
        : () => [],
    stores,
    services,
    shared,
    openEmbedder: (url) =>
      openModel(url, { ...config, embedThreads: embedThreads(services, config) }, logger, onProgress),
  })
  closers.push(() => generations.close())
  const { registry, index, embedder } = generations
  const publishing = {
    ...shared,
    registry,
    turns: stores.turns,
    alsoDelete: () => generations.otherRegistries(),
  }

  const evaluate = createEvaluate({ embedder, groundedness: createGroundednessScorer({ embedder }) })
  const evaluator = createEvaluatorService({ ...shared, answers, evaluate })
  const lags = async () => ({
    ...(await backlog(generations.current(), log)),
    evaluator:
      (await log.lag(EVALUATOR_GROUP, topics.answersSampled.name)) +
      (await log.lag(EVALUATOR_GROUP, topics.answersSampledRetry.name)),
  })
  const door = runs('query') ? await openDoor() : null

  /** The routes, and what stands behind them alone. */
  async function openDoor() {
    const generator = await openGenerator(config.generator, { embedder, apiKey: config.openaiApiKey })
    closers.push(() => generator.close())
    const guard = createGuardPool()
    closers.push(() => guard.close())
    const query = createQueryService({
      ...shared,
      index,
      registry,
      answers,
      cache,
      embedder,
      generator,
      // Whoever asks does not wait for the evaluator's embeddings: they change the score by little (packages/models/fit/groundedness).
      groundedness: createGroundednessScorer({ embedder: createLexicalEmbedder() }),
      guard,
      prompt: loadPrompt(new URL('../../../prompts/answer.v1.md', import.meta.url)),
      route: 'default',
      sampleRate: config.sampleRate,
      redactSampled: config.redactSampled,
    })
    const documents = documentRoutes({
      ...publishing,
      cache,
      status: async () => ({
        lag: await lags(),
        embedder: embedder.name,
        generator: generator.model,
        index: config.vectorIndex.slice(0, config.vectorIndex.indexOf(':')),
      }),
    })
    return {
      query,
      generator,
      routes: [documents, ...query.routes, ...evaluator.routes, consoleRoutes({ logger })],
    }
  }

  const watch =
    runs('connector') && config.watch.length > 0
      ? createFolderWatch({
          ...publishing,
          state: await stores.openWatchState(),
          folders: config.watch,
          tenant: config.watchTenant,
          access: config.watchAccess,
        })
      : null
  const http = await startHttp({
    host: config.host,
    port: config.port,
    routes: door?.routes ?? [],
    authenticate: config.apiKeys === undefined ? loopbackAuthenticator : keyAuthenticator(config.apiKeys),
    localOnly: config.apiKeys === undefined,
    logger,
    metrics,
    tracing,
    checks: {
      eventLog: () => log.ping(),
      vectorIndex: () => index.ping(),
      registry: () => registry.ping(),
      state: () => answers.ping(),
      blobs: () => blobs.ping(),
      embedder: () => embedder.ping(),
      ...(door && { generator: () => door.generator.ping() }),
    },
    onScrape: async () => {
      for (const [group, lag] of Object.entries(await lags())) metrics.lag.set({ group }, lag)
    },
    warnings: generations.warnings(),
    welcome: WELCOME,
  })
  const every = (ms: number, what: string, task: () => Promise<void>) =>
    setInterval(() => {
      task().catch((error: unknown) => logger.warn({ err: error }, `${what} failed; it is tried again`))
    }, ms)
  const upkeep = [
    every(EXPIRE_EVERY_MS, 'dropping old answers', () => answers.expire(clock.now())),
    every(COMPACT_EVERY_MS, 'compacting the index', () => index.compact({ olderThanMs: 0 })),
  ]
  const consumers = [...(door ? [door.query] : []), ...(runs('evaluator') ? [evaluator] : [])]
  await Promise.all([generations, ...consumers].map((each) => each.start()))
  watch?.start()

  return {
    url: http.url,
    warnings: generations.warnings(),
    isNew,
    async stop() {
      for (const timer of upkeep) clearInterval(timer)
      // The door first, so that nothing more is accepted; then the consumers, in the order of the way.
      await http.close(HTTP_DEADLINE_MS)
      await watch?.stop()
      await generations.stop()
      await Promise.all(consumers.map((each) => each.stop()))
      await close()
    },
  }
}

/** Threads that embed documents: the embedder's are configured, the evaluator needs one, a door has its own for queries. */
function embedThreads(services: readonly ServiceName[], { embedThreads: configured }: Config) {
  if (services.includes('embedder')) return configured
  return services.includes('evaluator') ? 1 : 0
}

const WELCOME = `Aquifer is running.

Publish:  curl -X PUT --data-binary @notes.md -H 'Content-Type: text/markdown' http://127.0.0.1:8080/v1/documents/notes
Ask:      curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' -d '{"messages":[{"role":"user","content":"What is a floor?"}]}'
Search:   curl http://127.0.0.1:8080/v1/search -H 'Content-Type: application/json' -d '{"query":"floor"}'

/openapi.json describes every route; /readyz says how the parts are; /metrics is for Prometheus.
`
