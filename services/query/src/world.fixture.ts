import { randomUUID } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { pointId } from '@aquifer/contracts/keys'
import { topics } from '@aquifer/contracts/topics'
import type { Metadata } from '@aquifer/contracts/types'
import { formatVersion } from '@aquifer/contracts/version'
import { createMemoryEventLog } from '@aquifer/event-log/memory'
import type { EventLog, LogRecord } from '@aquifer/event-log/port'
import { inspect } from '@aquifer/guard/inspect'
import { redact } from '@aquifer/guard/policy'
import type { GenerateEvent, GenerateRequest, Generator } from '@aquifer/models/generator'
import { createGroundednessScorer } from '@aquifer/models/groundedness'
import { createLexicalEmbedder } from '@aquifer/models/lexical-embedder'
import { systemClock } from '@aquifer/runtime/clock'
import type { Clock } from '@aquifer/runtime/clock'
import { startHttp } from '@aquifer/runtime/http'
import { createLogger } from '@aquifer/runtime/logger'
import { createMetrics } from '@aquifer/runtime/metrics'
import { openDatabase } from '@aquifer/runtime/sqlite'
import { createTracing } from '@aquifer/runtime/tracing'
import { answersSchema, createSqliteAnswers } from '@aquifer/stores/answers-sqlite'
import { cacheSchema, createSqliteCache } from '@aquifer/stores/cache-sqlite'
import type { Registry } from '@aquifer/stores/registry'
import { createMemoryRegistry } from '@aquifer/stores/registry-memory'
import type { VectorIndex } from '@aquifer/stores/vector-index'
import { createMemoryVectorIndex } from '@aquifer/stores/vector-index-memory'
import { codePointLength } from '@aquifer/text/code-points'
import { terms } from '@aquifer/text/terms'
import type { QueryDeps } from './deps.ts'
import { loadPrompt } from './gateway/prompt.ts'
import { createQueryService } from './service.ts'

export const TENANT = 'acme'
export const BUILD = 'build-1'

export function version(time: number): string {
  return formatVersion({
    appendTimeMs: 1_700_000_000_000 + time,
    topic: topics.documents.name,
    partition: 0,
    offset: time,
  })
}

/** What a scripted generator does with a request. */
export type Script = (request: GenerateRequest) => AsyncIterable<GenerateEvent>

export const done = (usage = { promptTokens: 10, completionTokens: 5 }): GenerateEvent => ({
  type: 'done',
  finishReason: 'stop',
  usage,
  abstained: null,
})

export function says(...texts: string[]): Script {
  return async function* () {
    for (const text of texts) yield { type: 'text', text }
    yield done()
  }
}

export interface Added {
  readonly tenant?: string
  readonly version?: string
  readonly build?: string
  readonly access?: readonly string[] | null
  readonly metadata?: Metadata
  readonly title?: string | null
  readonly guard?: readonly string[]
  /** False: its points are in the index, but it is not what the registry shows. */
  readonly visible?: boolean
}

export interface World {
  readonly url: string
  readonly log: EventLog
  readonly index: VectorIndex
  readonly registry: Registry
  readonly answers: QueryDeps['answers']
  readonly metrics: QueryDeps['metrics']
  /** Requests that reached the generator. */
  readonly generated: GenerateRequest[]
  /** One chunk a text. */
  add(id: string, texts: string | readonly string[], options?: Added): Promise<string>
  remove(id: string, at: string): Promise<void>
  call(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
    signal?: AbortSignal,
  ): Promise<Response>
  read(topic: string): Promise<LogRecord[]>
  close(): Promise<void>
}

export interface WorldOptions {
  readonly script?: Script
  readonly registry?: (registry: Registry) => Registry
  readonly index?: (index: VectorIndex) => VectorIndex
  readonly clock?: Clock
  readonly deps?: Partial<QueryDeps>
}

export async function until<T>(what: string, probe: () => Promise<T | false | null | undefined>): Promise<T> {
  const deadline = Date.now() + 15_000
  for (;;) {
    const found = await probe()
    if (found) return found
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`)
    await nextTurn()
  }
}

/** The query service behind a real server; the header `X-Tenant` says whose caller it is, `X-Groups` with which groups. */
export async function createWorld({
  script = says('Nothing.'),
  clock = systemClock,
  ...options
}: WorldOptions = {}): Promise<World> {
  const log = createMemoryEventLog({ clock: systemClock, maintainEveryMs: null })
  await log.ensureTopics(Object.values(topics).map((topic) => Object.assign({ partitions: 2 }, topic)))
  const embedder = createLexicalEmbedder()
  const index = await createMemoryVectorIndex().open(embedder)
  const registry = createMemoryRegistry()
  const database = openDatabase({
    path: ':memory:',
    schema: `${answersSchema}${cacheSchema}`,
    survives: 'kill',
  })
  const answers = createSqliteAnswers(database)
  const metrics = createMetrics()
  const tracing = createTracing()
  const logger = createLogger('silent', 'test')
  const generated: GenerateRequest[] = []
  const generator: Generator = {
    model: 'scripted',
    limits: { contextTokens: 8000, maxOutputTokens: 1000 },
    generate(request) {
      generated.push(request)
      return script(request)
    },
    ping: async () => {},
    close: async () => {},
  }
  const service = createQueryService({
    log,
    index: options.index?.(index) ?? index,
    registry: options.registry?.(registry) ?? registry,
    answers,
    cache: createSqliteCache(database, { clock: systemClock }),
    embedder,
    generator,
    groundedness: createGroundednessScorer({ embedder }),
    guard: {
      inspect: async (text, as) => inspect(text, as),
      redact: async (texts) => texts.map((text) => redact(text)),
    },
    prompt: loadPrompt(new URL('../../../prompts/answer.v1.md', import.meta.url)),
    route: 'default',
    sampleRate: 1,
    redactSampled: true,
    clock,
    random: () => 0,
    uuid: randomUUID,
    logger,
    metrics,
    tracing,
    ...options.deps,
  })
  await service.start()
  const http = await startHttp({
    host: '127.0.0.1',
    port: 0,
    routes: service.routes,
    localOnly: false,
    authenticate: (head) => ({
      tenant: head.header('x-tenant') ?? TENANT,
      groups: head.header('x-groups')?.split(',').filter(Boolean) ?? null,
      canWrite: true,
    }),
    logger,
    metrics,
    tracing,
    checks: {},
    onScrape: async () => {},
    warnings: [],
    welcome: '',
  })

  return {
    url: http.url,
    log,
    index,
    registry,
    answers,
    metrics,
    generated,
    async add(id, given, more = {}) {
      const { tenant = TENANT, build = BUILD, access = null, metadata = {}, title = null, guard = [] } = more
      const own = more.version ?? version(0)
      const texts = typeof given === 'string' ? [given] : given
      const embeddings = await embedder.embed(
        texts.map((text) => ({ text })),
        { lane: 'bulk' },
      )
      let start = 0
      await index.upsert(
        texts.map((text, i) => {
          const end = start + codePointLength(text)
          const point = {
            id: pointId(tenant, id, own, build, i),
            tenant,
            documentId: id,
            version: own,
            build,
            index: i,
            text,
            title,
            headings: [],
            page: null,
            start,
            end,
            access,
            metadata,
            terms: terms(text),
            vector: embeddings[i]!.vector,
            wordBits: new Uint8Array(),
          }
          start = end + 1
          return point
        }),
      )
      if (more.visible !== false)
        await registry.flip(tenant, id, {
          version: own,
          build,
          chunks: texts.length,
          title,
          contentType: 'text/plain',
          access,
          metadata,
          guard,
          language: null,
          fingerprint: null,
          publishedAt: 0,
          indexedAt: 1,
        })
      return own
    },
    remove: async (id, at) => await registry.raiseFloor(TENANT, id, at),
    call: async (method, path, body, headers = {}, signal) =>
      await fetch(`${http.url}${path}`, {
        method,
        headers: { ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal ? { signal } : {}),
      }),
    async read(topic) {
      const partitions = await log.offsets(topic)
      const all = partitions.map(({ partition, earliest }) => log.read(topic, partition, earliest, 1000))
      return (await Promise.all(all)).flat()
    },
    async close() {
      await http.close(500)
      await service.stop()
      await log.close()
      await database.close()
    },
  }
}

export interface Chunk {
  readonly choices: readonly { delta: { role?: string; content?: string }; finish_reason: string | null }[]
  readonly usage?: { total_tokens: number }
  readonly aquifer?: Completion['aquifer']
  readonly error?: { code: string; message: string }
}

export interface Completion {
  readonly choices: readonly { message: { content: string }; finish_reason: string }[]
  readonly usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number }
  readonly aquifer: {
    readonly answerId: string
    readonly conversationId: string
    readonly citations: readonly {
      marker: string
      documentId: string
      version: string
      start: number
      end: number
      quote: string
    }[]
    readonly evidence: readonly string[]
    readonly fresh: boolean
    readonly abstained: boolean
    readonly guard: readonly string[]
    readonly traceId: string
    readonly groundedness: number | null
  }
}

export const ask = (content: string, more: object = {}) => ({
  messages: [{ role: 'user', content }],
  ...more,
})

export async function readChunks(response: Response): Promise<(Chunk | '[DONE]')[]> {
  const text = await response.text()
  return text.split('\n\n').flatMap((event) => {
    if (!event.startsWith('data: ')) return []
    const data = event.slice('data: '.length)
    return [data === '[DONE]' ? data : (JSON.parse(data) as Chunk)]
  })
}
