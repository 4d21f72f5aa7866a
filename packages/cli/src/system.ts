import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { documentRoutes } from '@aquifer/connector/http'
import { topics } from '@aquifer/contracts/topics'
import { createEvaluatorService, EVALUATOR_GROUP } from '@aquifer/evaluator/service'
import { createEvaluate } from '@aquifer/evaluator/metrics'
import { createSqliteEventLog } from '@aquifer/event-log/sqlite'
import { DOCUMENT_POLICY } from '@aquifer/guard/policy'
import { createGuardPool } from '@aquifer/guard/pool'
import { createGroundednessScorer } from '@aquifer/models/groundedness'
import { createLexicalEmbedder } from '@aquifer/models/lexical-embedder'
import { openGenerator } from '@aquifer/models/open'
import { createQueryService } from '@aquifer/query/service'
import { loadPrompt } from '@aquifer/query/prompt'
import { keyAuthenticator, loopbackAuthenticator } from '@aquifer/runtime/auth'
import { systemClock } from '@aquifer/runtime/clock'
import type { Config } from '@aquifer/runtime/config'
import { startHttp } from '@aquifer/runtime/http'
import type { Logger } from '@aquifer/runtime/logger'
import { createMetrics } from '@aquifer/runtime/metrics'
import { ownDataDir } from '@aquifer/runtime/owner-lock'
import { noProbe } from '@aquifer/runtime/probe'
import type { Probe } from '@aquifer/runtime/probe'
import { openDatabase } from '@aquifer/runtime/sqlite'
import { createTracing } from '@aquifer/runtime/tracing'
import { answersSchema, createSqliteAnswers } from '@aquifer/stores/answers-sqlite'
import { openFileBlobs } from '@aquifer/stores/blobs-file'
import { cacheSchema, createSqliteCache } from '@aquifer/stores/cache-sqlite'
import { createDocumentFiles } from '@aquifer/stores/document-files'
import { openLanceDb } from '@aquifer/stores/lancedb'
import { backlog } from './generation.ts'
import { createGenerations } from './generations.ts'
import { openModel } from './open-model.ts'

/** Every service in one process, on the adapters that the configuration names. */
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
const SWEEP_EVERY_MS = 10 * 60 * 1000
const EXPIRE_EVERY_MS = 60 * 60 * 1000
/** Deleted text leaves the index's files with it; writes wait for a second or so meanwhile. */
const COMPACT_EVERY_MS = 6 * 60 * 60 * 1000

export interface SystemOptions {
  readonly config: Config
  readonly logger: Logger
  readonly probe?: Probe
  /** Told while a model is fetched and made ready. */
  readonly onProgress?: (line: string) => void
}

export async function startSystem({
  config,
  logger,
  probe = noProbe,
  onProgress = () => {},
}: SystemOptions): Promise<System> {
  const closers: (() => unknown)[] = []
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    return await assemble({ config, logger, probe, onProgress }, closers, close)
  } catch (error) {
    await close()
    throw error
  }
}

async function assemble(
  { config, logger, probe, onProgress }: Required<SystemOptions>,
  closers: (() => unknown)[],
  close: () => Promise<void>,
): Promise<System> {
  const inDataDir = (name: string) => join(config.dataDir, name)
  const isNew = !existsSync(inDataDir('log.db'))
  closers.push(ownDataDir(config.dataDir))
  const clock = systemClock
  const random = Math.random
  const uuid = randomUUID
  const metrics = createMetrics()
  const tracing = createTracing()
  closers.push(() => tracing.shutdown())

  const log = createSqliteEventLog({ path: inDataDir('log.db'), clock })
  closers.push(() => log.close())
  await log.ensureTopics(Object.values(topics).map((topic) => ({ ...topic, partitions: config.partitions })))
  const database = openDatabase({
    path: inDataDir('state.db'),
    schema: `${answersSchema}${cacheSchema}`,
    survives: 'power-loss',
  })
  closers.push(() => database.close())
  const answers = createSqliteAnswers(database)
  const cache = createSqliteCache(database, { clock })
  const blobs = await openFileBlobs({ path: inDataDir('blobs') })
  const files = createDocumentFiles(blobs)
  const admin = await openLanceDb({
    path: inDataDir('vectors'),
    clock,
    onUpkeepFailure: (error) =>
      logger.warn({ err: error }, 'the upkeep of the vector index failed; it is tried again'),
  })
  closers.push(() => admin.close())

  const policy = {
    ...DOCUMENT_POLICY,
    injection: config.guardInjection,
    personalData: config.guardPersonalData,
    unsafe: config.guardActiveContent,
  }
  const limits = { maxDocumentBytes: config.maxDocumentBytes, uriHosts: config.uriHosts }
  const shared = {
    log,
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
    sweepEveryMs: SWEEP_EVERY_MS,
  }
  const generations = await createGenerations({
    config,
    policy,
    admin,
    log,
    clock,
    logger,
    shared,
    openEmbedder: (url) => openModel(url, config, logger, onProgress),
  })
  closers.push(() => generations.close())
  const { registry, index, embedder } = generations
  const generator = await openGenerator(config.generator, { embedder, apiKey: config.openaiApiKey })
  closers.push(() => generator.close())

  const groundedness = createGroundednessScorer({ embedder })
  // Whoever asks does not wait for the evaluator's embeddings: they change the score by little (packages/models/fit/groundedness).
  const quickGroundedness = createGroundednessScorer({ embedder: createLexicalEmbedder() })
  const evaluate = createEvaluate({ embedder, groundedness })
  const guard = createGuardPool()
  closers.push(() => guard.close())
  const prompt = loadPrompt(new URL('../../../prompts/answer.v1.md', import.meta.url))
  const query = createQueryService({
    ...shared,
    index,
    registry,
    answers,
    cache,
    embedder,
    generator,
    groundedness: quickGroundedness,
    guard,
    prompt,
    route: 'default',
    sampleRate: config.sampleRate,
    redactSampled: config.redactSampled,
  })
  const evaluator = createEvaluatorService({ ...shared, answers, evaluate })
  const lags = async () => ({
    ...(await backlog(generations.current(), log)),
    evaluator: await log.lag(EVALUATOR_GROUP, topics.answersSampled.name),
  })
  const door = documentRoutes({
    ...shared,
    registry,
    cache,
    alsoDelete: () => generations.otherRegistries(),
    status: async () => ({
      lag: await lags(),
      embedder: embedder.name,
      generator: generator.model,
      index: 'lancedb',
    }),
  })

  const http = await startHttp({
    host: config.host,
    port: config.port,
    routes: [door, ...query.routes, ...evaluator.routes],
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
      generator: () => generator.ping(),
    },
    onScrape: async () => {
      for (const [group, lag] of Object.entries(await lags())) metrics.lag.set({ group }, lag)
    },
    warnings: generations.warnings(),
    welcome: WELCOME,
  })
  const upkeep = [
    setInterval(() => {
      answers
        .expire(clock.now())
        .catch((error: unknown) => logger.warn({ err: error }, 'old answers could not be dropped'))
    }, EXPIRE_EVERY_MS),
    setInterval(() => {
      index
        .compact({ olderThanMs: 0 })
        .catch((error: unknown) => logger.warn({ err: error }, 'the index could not be compacted'))
    }, COMPACT_EVERY_MS),
  ]
  await Promise.all([generations.start(), query.start(), evaluator.start()])

  return {
    url: http.url,
    warnings: generations.warnings(),
    isNew,
    async stop() {
      for (const timer of upkeep) clearInterval(timer)
      // The door first, so that nothing more is accepted; then the consumers, in the order of the way.
      await http.close(HTTP_DEADLINE_MS)
      await generations.stop()
      await Promise.all([query.stop(), evaluator.stop()])
      await close()
    },
  }
}

const WELCOME = `Aquifer is running.

Publish:  curl -X PUT --data-binary @notes.md -H 'Content-Type: text/markdown' http://127.0.0.1:8080/v1/documents/notes
Ask:      curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' -d '{"messages":[{"role":"user","content":"What is a floor?"}]}'
Search:   curl http://127.0.0.1:8080/v1/search -H 'Content-Type: application/json' -d '{"query":"floor"}'

/openapi.json describes every route; /readyz says how the parts are; /metrics is for Prometheus.
`
