import { Readable } from 'node:stream'
import { streamSSE } from 'hono/streaming'
import type { SSEStreamingApi } from 'hono/streaming'
import { createRoute, z } from '@hono/zod-openapi'
import { mayRead } from '@aquifer/runtime/auth'
import type { Identity } from '@aquifer/runtime/auth'
import { AquiferError, invalid } from '@aquifer/runtime/errors'
import { createRoutes } from '@aquifer/runtime/http'
import type { Routes } from '@aquifer/runtime/http'
import type { VersionKey } from '@aquifer/stores/document-files'
import type { DocumentRecord } from '@aquifer/stores/registry'
import { findSimilar } from '@aquifer/stores/registry-similar'
import type { DoorDeps } from '../deps.ts'

const EVENT_POLL_MS = 100
/** An event stream that has nothing to tell for so long ends; the client may ask again. */
const EVENTS_FOR_MS = 10 * 60 * 1000
const KEEP_ALIVE_MS = 15_000
/** A place in the way is told again when it has changed, at most so often. */
const PROGRESS_MS = 1000
const MAX_READS = 3
const INTERNAL = { code: 'internal', message: 'something failed here; the log has it' }

const state = z.enum(['queued', 'indexed', 'failed', 'quarantined', 'deleted'])
const attempt = z.object({
  version: z.string(),
  state,
  error: z.object({ code: z.string(), message: z.string() }).optional(),
})
const shownDocument = z
  .object({
    id: z.string(),
    state,
    visibleVersion: z.string().nullable(),
    latest: attempt,
    chunks: z.number(),
    title: z.string().nullable(),
    contentType: z.string().nullable(),
    access: z.array(z.string()).nullable(),
    guard: z.array(z.string()),
    language: z
      .string()
      .nullable()
      .openapi({ description: 'BCP 47, as the document says or its text shows' }),
    publishedAt: z.string(),
    indexedAt: z.string().nullable(),
    lagMs: z.number().nullable(),
  })
  .openapi('Document')
const describedDocument = shownDocument
  .extend({
    similar: z
      .array(
        z.object({
          id: z.string(),
          title: z.string().nullable(),
          distance: z.number().openapi({ description: 'Of the 64 bits of their fingerprints: 0 to 7' }),
        }),
      )
      .openapi({ description: 'Documents with nearly the same text, nearest first, at most ten' }),
  })
  .openapi('DescribedDocument')
type ShownDocument = z.infer<typeof shownDocument>

const params = z.object({ id: z.string() })
const versionQuery = z.object({ version: z.string().optional() })
const ok = <S extends z.ZodType>(schema: S, description: string) => ({
  200: { content: { 'application/json': { schema } }, description },
})

const listRoute = createRoute({
  method: 'get',
  path: '/v1/documents',
  summary: 'Documents by id',
  request: {
    query: z.object({
      state: state.optional(),
      cursor: z.string().optional(),
      limit: z.coerce.number().int().min(1).max(1000).default(100),
    }),
  },
  responses: ok(z.object({ documents: z.array(shownDocument), cursor: z.string().optional() }), 'A page'),
})
const getRoute = createRoute({
  method: 'get',
  path: '/v1/documents/{id}',
  summary: 'How a document stands',
  request: { params },
  responses: ok(describedDocument, 'The document'),
})
const textRoute = createRoute({
  method: 'get',
  path: '/v1/documents/{id}/text',
  summary: 'The extracted text that ranges refer to',
  request: { params, query: versionQuery },
  responses: { 200: { description: 'The text', content: { 'text/plain': { schema: z.string() } } } },
})
const sourceRoute = createRoute({
  method: 'get',
  path: '/v1/documents/{id}/source',
  summary: 'The original bytes',
  request: { params, query: versionQuery },
  responses: {
    200: {
      description: 'The bytes, served so that a browser cannot run them',
      content: { 'application/octet-stream': { schema: z.string().openapi({ format: 'binary' }) } },
    },
  },
})
const eventsRoute = createRoute({
  method: 'get',
  path: '/v1/documents/{id}/events',
  summary: 'State changes until they settle',
  request: { params },
  responses: {
    200: {
      description:
        'SSE: event `state`, data as of GET /v1/documents/{id}; while it is queued event `progress`, data {stage: parsing|embedding, ahead}',
      content: { 'text/event-stream': { schema: z.string() } },
    },
  },
})
const statusRoute = createRoute({
  method: 'get',
  path: '/v1/status',
  summary: 'How the whole stands',
  responses: ok(
    z
      .looseObject({
        documents: z.record(state, z.number()),
        chunks: z.number(),
        lag: z.record(z.string(), z.number()),
        freshness: z.object({ p50Ms: z.number().nullable(), p95Ms: z.number().nullable() }),
        embedder: z.string(),
        generator: z.string(),
        index: z.string(),
      })
      .openapi('Status'),
    'Counts, lag and freshness',
  ),
})

export function readRoutes(deps: DoorDeps): Routes {
  const { registry, files } = deps

  /** The record, if the caller may know of it; else 404, as if there were none. */
  async function find(identity: Identity, id: string): Promise<DocumentRecord & { latest: object }> {
    const record = (await registry.lookUp(identity.tenant, [id])).get(id)
    if (!record?.latest || !mayRead((record.visible ?? record.latest).access, identity.groups))
      throw unknownDocument(id)
    return { ...record, latest: record.latest }
  }

  async function describe(identity: Identity, record: DocumentRecord) {
    return { ...show(record), similar: await findSimilar(registry, record, identity.groups) }
  }

  /** The version asked for, which must be the visible one. */
  async function findVersion(identity: Identity, id: string, version: string | undefined) {
    const { visible, floor } = await find(identity, id)
    if (visible && (version === undefined || version === visible.version)) {
      return { tenant: identity.tenant, documentId: id, version: visible.version }
    }
    const newest = [visible?.version ?? '', floor ?? ''].sort().at(-1)!
    if (version === undefined ? visible === null && floor !== null : version <= newest) {
      throw invalid('gone', `this version of ${id} was superseded or deleted`, 410)
    }
    throw invalid('not_visible', `${id} has no such version that is visible`, 404)
  }

  /**
   * What `read` finds of the version asked for. While it reads, a newer version may take the place of the visible one, whose files
   * then go: without a version in the request that newer one is meant.
   */
  async function readVersion<T>(
    identity: Identity,
    id: string,
    version: string | undefined,
    read: (key: VersionKey) => Promise<T | null>,
  ): Promise<{ key: VersionKey; found: T }> {
    for (let attempt = 1; ; attempt++) {
      const key = await findVersion(identity, id, version)
      const found = await read(key)
      if (found !== null) return { key, found }
      if (attempt === MAX_READS) throw unknownDocument(id)
    }
  }

  /** Where a queued version is: what is parsed has its source kept. `ahead` counts what that stage has still to do, of all tenants. */
  async function placeOf(tenant: string, documentId: string, version: string) {
    const [source, { lag }] = await Promise.all([files.meta({ tenant, documentId, version }), deps.status()])
    return source ? { stage: 'embedding', ahead: lag.embedder } : { stage: 'parsing', ahead: lag.connector }
  }

  const routes = createRoutes()
    .openapi(listRoute, async (c) => {
      const { state: wanted, cursor, limit } = c.req.valid('query')
      const { tenant, groups } = c.get('identity')
      const page = await registry.list(tenant, {
        limit,
        groups,
        ...(wanted ? { state: wanted } : {}),
        ...(cursor ? { cursor } : {}),
      })
      return c.json(
        { documents: page.documents.map(show), ...(page.cursor ? { cursor: page.cursor } : {}) },
        200,
      )
    })
    .openapi(getRoute, async (c) => {
      const identity = c.get('identity')
      return c.json(await describe(identity, await find(identity, c.req.valid('param').id)), 200)
    })
    .openapi(statusRoute, async (c) => {
      const { tenant } = c.get('identity')
      const [counts, lags, parts] = await Promise.all([
        registry.counts(tenant),
        registry.recentLags(tenant),
        deps.status(),
      ])
      const { chunks, ...documents } = counts
      return c.json(
        {
          documents,
          chunks,
          freshness: { p50Ms: quantile(lags, 0.5), p95Ms: quantile(lags, 0.95) },
          ...parts,
        },
        200,
      )
    })
  routes.openapi(textRoute, async (c) => {
    const { id } = c.req.valid('param')
    const { version } = c.req.valid('query')
    const { key, found } = await readVersion(c.get('identity'), id, version, (of) => files.text(of))
    return c.text(found, 200, { 'Content-Type': 'text/plain; charset=utf-8', 'Aquifer-Version': key.version })
  })
  routes.openapi(sourceRoute, async (c) => {
    const { id } = c.req.valid('param')
    const { version } = c.req.valid('query')
    const { key, found } = await readVersion(c.get('identity'), id, version, (of) => files.source(of))
    return new Response(Readable.toWeb(found.content), {
      headers: sourceHeaders(found.contentType, found.filename ?? id, key.version),
    })
  })
  routes.openapi(eventsRoute, async (c) => {
    const { id } = c.req.valid('param')
    const identity = c.get('identity')
    await find(identity, id)
    c.header('X-Accel-Buffering', 'no')
    const tell = async (stream: SSEStreamingApi): Promise<void> => {
      const until = deps.clock.now() + EVENTS_FOR_MS
      let told = ''
      let toldAt = deps.clock.now()
      let progress = ''
      let progressAt = 0
      while (!stream.aborted && deps.clock.now() < until) {
        const record = await find(identity, id)
        const document = show(record)
        const stand = JSON.stringify(document)
        if (stand !== told) {
          const data = JSON.stringify(await describe(identity, record))
          await stream.writeSSE({ event: 'state', data })
          told = stand
          toldAt = deps.clock.now()
          if (document.state !== 'queued') return
        } else if (deps.clock.now() - toldAt > KEEP_ALIVE_MS) {
          await stream.write(': keep-alive\n\n')
          toldAt = deps.clock.now()
        }
        if (deps.clock.now() - progressAt >= PROGRESS_MS) {
          progressAt = deps.clock.now()
          const next = JSON.stringify(await placeOf(identity.tenant, id, document.latest.version))
          if (next !== progress) await stream.writeSSE({ event: 'progress', data: (progress = next) })
        }
        await deps.clock.sleep(EVENT_POLL_MS)
      }
    }
    return streamSSE(c, async (stream) => {
      try {
        await tell(stream)
      } catch (error) {
        const { code, message } = error instanceof AquiferError ? error : INTERNAL
        c.get('logger').warn({ err: error }, 'a stream of events ended with an error')
        await stream.writeSSE({ event: 'error', data: JSON.stringify({ code, message }) })
      }
    })
  })
  return routes
}

function unknownDocument(id: string) {
  return invalid('unknown_document', `there is no document ${JSON.stringify(id.slice(0, 80))}`, 404)
}

function show({ documentId, visible, latest }: DocumentRecord): ShownDocument {
  const about = visible ?? latest!
  return {
    id: documentId,
    state: latest!.state,
    visibleVersion: visible?.version ?? null,
    latest: {
      version: latest!.version,
      state: latest!.state,
      ...(latest!.error ? { error: latest!.error } : {}),
    },
    chunks: visible?.chunks ?? 0,
    title: about.title,
    contentType: about.contentType,
    access: about.access ? [...about.access] : null,
    guard: [...(visible?.guard ?? [])],
    language: visible?.language ?? null,
    publishedAt: new Date(latest!.publishedAt).toISOString(),
    indexedAt: visible ? new Date(visible.indexedAt).toISOString() : null,
    lagMs: visible ? visible.indexedAt - visible.publishedAt : null,
  }
}

/** Types that a browser shows without running anything. */
const PASSIVE = /^(?:application\/pdf|text\/plain)(?:;\s*charset=[\w-]+)?$/i

function sourceHeaders(contentType: string, filename: string, version: string): Record<string, string> {
  const passive = PASSIVE.test(contentType)
  return {
    'Content-Type': passive
      ? contentType
      : contentType.startsWith('text/')
        ? 'text/plain; charset=utf-8'
        : 'application/octet-stream',
    'Content-Disposition': `${passive ? 'inline' : 'attachment'}; filename*=UTF-8''${extendedValue(filename)}`,
    'Content-Security-Policy': "sandbox; default-src 'none'",
    'Aquifer-Content-Type': encodeURI(contentType.toWellFormed()),
    'Aquifer-Version': version,
  }
}

/** RFC 8187: whatever a producer said, nothing in it can end the header. */
function extendedValue(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /['()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16)}`,
  )
}

/** Nearest-rank quantile; null of nothing. */
function quantile(values: readonly number[], share: number): number | null {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null
}
