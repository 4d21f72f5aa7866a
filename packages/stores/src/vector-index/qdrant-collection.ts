import type { Schemas } from '@qdrant/js-client-rest'
import type { Clock } from '@aquifer/runtime/clock'
import { unavailable } from '@aquifer/runtime/errors'
import { checkPoints, checkQuery } from './checks.ts'
import type { CollectionSpec, IndexHit, IndexQuery, Point, PointSelector, VectorIndex } from './port.ts'
import { anyOf, type Condition, filterCondition } from './qdrant-filter.ts'
import {
  DENSE,
  EVERYONE,
  HIT_PAYLOAD,
  LEXICAL,
  parseSource,
  POINT_PAYLOAD,
  pointMaker,
  queryWeights,
  readerOf,
  sourceKey,
  toHit,
  toPoint,
} from './qdrant-points.ts'
import { checkDone, type Request } from './qdrant-requests.ts'
import { bytewise, createScan } from './qdrant-scan.ts'
import type { QdrantSettings } from './qdrant-settings.ts'
import { createWeighing } from './qdrant-weighing.ts'

const LIMITS = { maxBatchPoints: 512, maxSearchLimit: 1000 }
/** A server takes 32 MiB in one request; smaller ones keep the event loop free while they are written as JSON. */
const MAX_REQUEST_BYTES = 4 * 1024 * 1024
const MAX_REQUEST_POINTS = 64
const PAGE = 1000
/** Distinct values that one request counts. More builds of one document than that are a fault. */
const MAX_FACETS = 10_000
/** Candidates that a dense search keeps while it walks the graph; Qdrant takes the limit where that is more. */
const HNSW_EF = 128
const OVERSAMPLING = { none: 1, int8: 2, binary: 4 }

export interface CollectionDeps {
  readonly request: Request
  readonly settings: QdrantSettings
  readonly clock: Clock
  /** Throws once the index is closed. */
  readonly check: () => void
}

/** One collection as a `VectorIndex`. Qdrant orders the writes itself. */
export function openCollection(name: string, collection: CollectionSpec, deps: CollectionDeps): VectorIndex {
  const { settings, clock } = deps
  let closed = false
  const request: Request = async (asked, send) => {
    deps.check()
    if (closed) throw unavailable('index_closed', 'the vector index is closed')
    return await deps.request(`${asked} ${name}`, send)
  }
  const ordering = writeOrdering(settings)
  const weighing = createWeighing(name, { request, clock, ordering })

  async function facets(key: string, filter: Schemas['Filter']): Promise<Schemas['FacetValueHit'][]> {
    const { hits } = await request(`count ${key} of`, (client) =>
      client.facet(name, { key, filter, limit: MAX_FACETS, exact: true }),
    )
    if (hits.length === MAX_FACETS) {
      throw unavailable('index_failed', `Qdrant: more than ${MAX_FACETS} values of ${key} at once`)
    }
    return hits
  }

  /**
   * Qdrant has no order of texts: where one is asked for, the document's sources are listed and named one by one. Null
   * where none is selected.
   */
  async function selected(selector: PointSelector): Promise<Schemas['Filter'] | null> {
    const { tenant, documentId, version, build } = selector
    const document: Condition[] = [anyOf('tenant', [tenant]), anyOf('document', [documentId])]
    if (!version && !build) return { must: document }
    const byEqAlone = Object.keys({ ...version, ...build }).join() === 'eq'
    if (version?.eq !== undefined && build?.eq !== undefined && byEqAlone) {
      const source = sourceKey({ tenant, documentId, version: version.eq, build: build.eq })
      return { must: [...document, anyOf('source', [source])] }
    }
    const listed = await facets('source', { must: document })
    const sources = listed.map(({ value }) => String(value)).filter((source) => names(selector, source))
    return sources.length === 0 ? null : { must: [...document, anyOf('source', sources)] }
  }

  async function count(filter?: Schemas['Filter']): Promise<number> {
    const counted = await request('count', (client) =>
      client.count(name, { exact: true, ...(filter && { filter }) }),
    )
    return counted.count
  }

  return {
    limits: LIMITS,
    collection,
    async upsert(points) {
      checkPoints(points, collection, LIMITS)
      const make = pointMaker(await weighing.average())
      // Of one id in a batch the last counts.
      const last = [...new Map(points.map((point) => [point.id, point])).values()]
      for (const part of batches(last)) {
        const made = part.map(make)
        const done = await request(`upsert of ${part.length} points to`, (client) =>
          client.upsert(name, { points: made, wait: true, ordering }),
        )
        checkDone(`upsert to ${name}`, done)
      }
    },
    async search(query) {
      checkQuery(query, collection, LIMITS)
      const { dense, lexical } = searchesOf(query, settings)
      const searches = [dense, lexical].filter((search) => search !== null)
      if (searches.length === 0) return { dense: [], lexical: [] }
      const lists = await request('search', (client) => client.queryBatch(name, { searches }))
      const [first, last] = [lists[0]!.points, lists.at(-1)!.points]
      return { dense: dense ? first.map(toHit) : [], lexical: lexical ? lexicalHits(last) : [] }
    },
    async fetch(selector, limit) {
      const filter = await selected(selector)
      if (!filter) return []
      const ids = await listIds(request, name, filter, limit)
      const points: Point[] = []
      for (let from = 0; from < ids.length; from += MAX_REQUEST_POINTS) {
        const some = ids.slice(from, from + MAX_REQUEST_POINTS)
        const held = await request('fetch', (client) =>
          client.retrieve(name, { ids: some, with_payload: POINT_PAYLOAD, with_vector: false }),
        )
        points.push(...held.map(toPoint))
      }
      return points.sort(inOrder)
    },
    async count(selector) {
      if (!selector) return await count()
      const filter = await selected(selector)
      return filter ? await count(filter) : 0
    },
    async delete(selector) {
      const filter = await selected(selector)
      if (!filter) return
      const done = await request('delete', (client) => client.delete(name, { filter, wait: true, ordering }))
      checkDone(`delete in ${name}`, done)
    },
    scan: createScan({
      clock,
      count,
      async sources(from, to) {
        const hits = await facets('source', { must: [{ key: 'bucket', range: { gte: from, lt: to } }] })
        return hits.map(({ value, count: points }) => ({ source: String(value), points }))
      },
    }),
    /** Qdrant rewrites its segments when it sees fit, and cannot be told to: only the weights are looked after. */
    compact: async () => await weighing.renew(),
    async ping() {
      await request('look at', (client) => client.getCollection(name))
    },
    async close() {
      closed = true
    },
  }
}

/** With replicas, all writes of a shard go through one of them, so that none reorders those of one document. */
function writeOrdering({ replicationFactor }: QdrantSettings): Schemas['WriteOrdering'] {
  return replicationFactor > 1 ? 'medium' : 'weak'
}

function searchesOf(
  query: IndexQuery,
  { quantization }: QdrantSettings,
): { dense: Schemas['QueryRequest'] | null; lexical: Schemas['QueryRequest'] | null } {
  const { vector, terms, limit, tenant, groups, filter } = query
  const ofTenant = anyOf('tenant', [tenant])
  const must: Condition[] = [ofTenant]
  if (groups !== null) must.push(anyOf('readers', [EVERYONE, ...groups.map(readerOf)]))
  if (filter) must.push(filterCondition(filter))
  const common = { filter: { must }, limit, with_payload: HIT_PAYLOAD, with_vector: false }
  const rescoring = { quantization: { rescore: true, oversampling: OVERSAMPLING[quantization] } }
  const params = { hnsw_ef: HNSW_EF, ...(quantization !== 'none' && rescoring) }
  return {
    dense: vector ? { ...common, query: Array.from(vector), using: DENSE, params } : null,
    lexical: terms?.length
      ? {
          ...common,
          query: { nearest: queryWeights(terms) },
          using: LEXICAL,
          // Over the whole collection, idf would count deleted points until their segment is rewritten, and other tenants'.
          params: { idf: { corpus: { must: [ofTenant] } } },
        }
      : null,
  }
}

/** Where few points are left by the filter Qdrant may bring those without any of the terms too. */
function lexicalHits(points: readonly Schemas['ScoredPoint'][]): IndexHit[] {
  return points.filter(({ score }) => score > 0).map(toHit)
}

/** What an upsert carries at most in one request, by an upper bound of its JSON. */
function batches(points: readonly Point[]): Point[][] {
  const parts: Point[][] = []
  let sizeBytes = Number.POSITIVE_INFINITY
  for (const point of points) {
    const pointBytes = boundOf(point)
    if (sizeBytes + pointBytes > MAX_REQUEST_BYTES || parts.at(-1)!.length === MAX_REQUEST_POINTS) {
      parts.push([])
      sizeBytes = 0
    }
    parts.at(-1)!.push(point)
    sizeBytes += pointBytes
  }
  return parts
}

/** A double takes up to 25 bytes in JSON; a character of a text in the text, three in UTF-8, or 7 where it is escaped twice. */
function boundOf({ text, terms, vector, wordBits, metadata, headings, access }: Point): number {
  const rest = JSON.stringify([metadata, headings, access]).length
  const words = terms.reduce((sum, term) => sum + 3 * term.length + 40, 0)
  return 2000 + 31 * vector.length + 1.4 * wordBits.length + 7 * text.length + words + 8 * rest
}

/** Ids of the first points by version, build and place. */
async function listIds(
  request: Request,
  name: string,
  filter: Schemas['Filter'],
  limit: number,
): Promise<(string | number)[]> {
  const found: { id: string | number; version: string; build: string; index: number }[] = []
  let offset: Schemas['ScrollResult']['next_page_offset']
  do {
    const start = offset
    const page = await request('list', (client) =>
      client.scroll(name, {
        filter,
        limit: PAGE,
        with_payload: ['source', 'place'],
        with_vector: false,
        ...(start !== undefined && { offset: start }),
      }),
    )
    for (const { id, payload } of page.points) {
      const { version, build } = parseSource(String(payload!['source']))
      found.push({ id, version, build, index: Number(payload!['place']) })
    }
    offset = page.next_page_offset
  } while (offset !== undefined && offset !== null)
  return found
    .sort(inOrder)
    .slice(0, limit)
    .map(({ id }) => id)
}

function inOrder(
  a: Pick<Point, 'version' | 'build' | 'index'>,
  b: Pick<Point, 'version' | 'build' | 'index'>,
): number {
  return bytewise(a.version, b.version) || bytewise(a.build, b.build) || a.index - b.index
}

function names({ version, build }: PointSelector, key: string): boolean {
  const source = parseSource(key)
  return (
    (version?.eq === undefined || source.version === version.eq) &&
    (version?.lt === undefined || bytewise(source.version, version.lt) < 0) &&
    (version?.lte === undefined || bytewise(source.version, version.lte) <= 0) &&
    (build?.eq === undefined || source.build === build.eq) &&
    (build?.ne === undefined || source.build !== build.ne)
  )
}
