import { documentRoutes } from '@aquifer/connector/http'
import { createConnectorService } from '@aquifer/connector/service'
import { offlineSchemas } from '@aquifer/contracts/avro'
import type { Schemas } from '@aquifer/contracts/avro'
import type { Subject } from '@aquifer/contracts/topics'
import { createEmbedderService } from '@aquifer/embedder/service'
import { createQueryService } from '@aquifer/query/service'
import { loadPrompt } from '@aquifer/query/prompt'
import type { Identity } from '@aquifer/runtime/auth'
import { createRoutes, errorResponse } from '@aquifer/runtime/http'
import type { Routes } from '@aquifer/runtime/http'
import { createLogger } from '@aquifer/runtime/logger'
import { createMetrics } from '@aquifer/runtime/metrics'
import { noProbe } from '@aquifer/runtime/probe'
import type { Tracing } from '@aquifer/runtime/tracing'
import { createDocumentFiles } from '@aquifer/stores/document-files'
import { createEmbedder, createGenerator, createParser } from './models.ts'
import type { Process } from './process.ts'
import type { Stores } from './stores.ts'
import type { VirtualTime } from './virtual-time.ts'

export const BUILD = 'simulated'
export const GROUPS = { connector: 'connector', embedder: 'embedder' }
export const SWEEP_EVERY_MS = 10 * 60 * 1000
/** So small that a document of a few paragraphs has several parts. */
const MAX_PART_BYTES = 420

/** Of all seeds of this process: nothing in a run depends on them. */
const metrics = createMetrics()
/** Its level is raised where someone looks on. */
export const logger = createLogger('silent', 'simulation')
const prompt = loadPrompt(new URL('../../prompts/answer.v1.md', import.meta.url))
const trace = { traceparent: `00-${'1'.padStart(32, '0')}-${'1'.padStart(16, '0')}-01`, traceId: '1' }
const tracing: Tracing = {
  span: async (_name, _parent, _attributes, work) => await work(trace),
  shutdown: async () => {},
}

/** Codecs are made once, not once for each process that starts. */
const codecs = new Map<Subject, unknown>()
const schemas: Schemas = {
  codec<S extends Subject>(subject: S) {
    const codec = codecs.get(subject) ?? offlineSchemas.codec(subject)
    codecs.set(subject, codec)
    return codec as ReturnType<typeof offlineSchemas.codec<S>>
  },
}

function commonDeps(process: Process, stores: Stores, time: VirtualTime) {
  const blobs = process.through('blobs', stores.blobs)
  return {
    log: process.throughLog(stores.log),
    schemas,
    registry: process.through('registry', stores.registry),
    index: process.through('index', stores.index),
    embedder: process.through('embedder', createEmbedder()),
    blobs,
    files: createDocumentFiles(blobs),
    limits: { maxDocumentBytes: 1_000_000, uriHosts: [], maxPartBytes: MAX_PART_BYTES },
    clock: process.clock,
    random: time.random,
    uuid: () => Array.from({ length: 4 }, () => Math.floor(time.random() * 2 ** 32).toString(16)).join(''),
    build: BUILD,
    logger,
    metrics,
    tracing,
    probe: noProbe,
  }
}

export interface Consumer {
  start(): Promise<void>
  stop(): Promise<void>
}

export function startConnector(process: Process, stores: Stores, time: VirtualTime): Consumer {
  const parsePool = process.through('parser', createParser(time.random))
  return createConnectorService({ ...commonDeps(process, stores, time), parsePool, group: GROUPS.connector })
}

export function startEmbedder(process: Process, stores: Stores, time: VirtualTime): Consumer {
  const deps = commonDeps(process, stores, time)
  return createEmbedderService({ ...deps, sweepEveryMs: SWEEP_EVERY_MS, group: GROUPS.embedder })
}

/** What answers requests: the door and the query service, in one process. */
export interface Edge {
  request(
    method: string,
    path: string,
    identity: Identity,
    body?: string,
    headers?: Record<string, string>,
  ): Promise<Response>
}

export function startEdge(process: Process, stores: Stores, time: VirtualTime): Edge {
  const deps = { ...commonDeps(process, stores, time), cache: stores.cache }
  const door = documentRoutes({
    ...deps,
    alsoDelete: () => [],
    status: async () => ({
      lag: { connector: 0, embedder: 0, evaluator: 0 },
      embedder: BUILD,
      generator: BUILD,
      index: BUILD,
    }),
  })
  const query = createQueryService({
    ...deps,
    answers: stores.answers,
    generator: createGenerator(() => process.clock.sleep(time.random() * 20)),
    groundedness: { name: BUILD, score: async () => ({ groundedness: 1, grounded: true }) },
    guard: {
      inspect: async (text) => ({
        injection: { score: 0, flagged: false, kind: null },
        personalData: [],
        unsafe: [],
        clean: text,
      }),
      redact: async (texts) => [...texts],
    },
    prompt,
    route: 'default',
    sampleRate: 0,
    redactSampled: false,
  })
  const app = createApp([door, ...query.routes])
  return {
    async request(method, path, identity, body, headers = {}) {
      return await app.request(
        path,
        { method, headers, ...(body === undefined ? {} : { body }) },
        { identity },
      )
    },
  }
}

/** The routes without a server around them; who calls comes with the request. */
function createApp(routes: readonly Routes[]): Routes {
  const app = createRoutes()
  app.use(async (c, next) => {
    c.set('identity', (c.env as { identity: Identity }).identity)
    c.set('logger', logger)
    c.set('trace', trace)
    await next()
  })
  for (const each of routes) app.route('/', each)
  app.onError((error, c) => errorResponse(error, c.req.path, trace.traceId))
  return app
}
