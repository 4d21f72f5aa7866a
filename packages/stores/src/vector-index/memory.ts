import { matchesFilter } from '@aquifer/contracts/filter'
import { invalid, unavailable } from '@aquifer/runtime/errors'
import { documentCounter } from './document-counter.ts'
import { checkPoints, checkQuery, checkSame } from './checks.ts'
import type {
  CollectionSpec,
  IndexHit,
  IndexQuery,
  Point,
  PointSelector,
  VectorIndex,
  VectorIndexAdmin,
} from './port.ts'

const LIMITS = { maxBatchPoints: 512, maxSearchLimit: 1000 }
/** BM25 as most engines have it (Robertson and Zaragoza 2009, with Lucene's idf that is never negative). */
const K1 = 1.2
const B = 0.75

/** The vector index in memory, exact: for tests and simulation. Nothing survives the process. */
export function createMemoryVectorIndex(): VectorIndexAdmin {
  const collections = new Map<string, { spec: CollectionSpec; points: Map<string, Point> }>()
  const aliases = new Map<string, string>()
  return {
    async open(spec) {
      const known = collections.get(spec.fingerprint) ?? { spec, points: new Map<string, Point>() }
      checkSame(known.spec, spec)
      collections.set(spec.fingerprint, known)
      return openCollection(known.spec, known.points)
    },
    list: async () => [...collections.values()].map(({ spec }) => spec),
    alias: async (name) => collections.get(aliases.get(name) ?? '')?.spec ?? null,
    async switchAlias(name, { fingerprint }) {
      if (!collections.has(fingerprint)) {
        throw invalid('unknown_collection', `there is no collection ${fingerprint}`)
      }
      aliases.set(name, fingerprint)
    },
    async drop({ fingerprint }) {
      const alias = [...aliases].find(([, named]) => named === fingerprint)
      if (alias) throw invalid('collection_in_use', `alias ${alias[0]} names collection ${fingerprint}`, 409)
      collections.delete(fingerprint)
    },
    close: async () => {},
  }
}

function openCollection(collection: CollectionSpec, points: Map<string, Point>): VectorIndex {
  let closed = false
  function all(): Point[] {
    if (closed) throw unavailable('index_closed', 'the vector index is closed')
    return [...points.values()]
  }
  return {
    limits: LIMITS,
    collection,
    async upsert(added) {
      all()
      checkPoints(added, collection, LIMITS)
      for (const point of added) points.set(point.id, structuredClone(point))
    },
    async search(query) {
      checkQuery(query, collection, LIMITS)
      const everything = all()
      const visible = everything.filter((point) => isVisible(point, query))
      const { vector, terms } = query
      return {
        dense: vector ? best(visible, query.limit, (point) => cosine(point.vector, vector)) : [],
        lexical: terms?.length ? best(visible, query.limit, bm25(everything, terms)) : [],
      }
    },
    async fetch(selector, limit) {
      const selected = all().filter((point) => isSelected(point, selector))
      return structuredClone(selected.sort(byPlace).slice(0, limit))
    },
    count: async (selector) => all().filter((point) => !selector || isSelected(point, selector)).length,
    async delete(selector) {
      for (const point of all()) if (isSelected(point, selector)) points.delete(point.id)
    },
    async scan({ after, limit }) {
      const rest = all().filter((point) => !after || byDocument(point, after) > 0)
      const documents = documentCounter(limit)
      for (const point of rest.sort((a, b) => byDocument(a, b) || byPlace(a, b))) documents.add(point)
      return documents.counted
    },
    async compact() {
      all()
    },
    async ping() {
      all()
    },
    async close() {
      closed = true
    },
  }
}

function isVisible(point: Point, { tenant, groups, filter }: IndexQuery): boolean {
  if (point.tenant !== tenant) return false
  if (groups !== null && point.access !== null && !point.access.some((group) => groups.includes(group)))
    return false
  return filter === undefined || matchesFilter(filter, point.metadata)
}

function isSelected(point: Point, { tenant, documentId, version, build }: PointSelector): boolean {
  return (
    point.tenant === tenant &&
    point.documentId === documentId &&
    (version?.eq === undefined || point.version === version.eq) &&
    (version?.lt === undefined || bytewise(point.version, version.lt) < 0) &&
    (version?.lte === undefined || bytewise(point.version, version.lte) <= 0) &&
    (build?.eq === undefined || point.build === build.eq) &&
    (build?.ne === undefined || point.build !== build.ne)
  )
}

function cosine(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0)
}

/** Scores of points; null where no term is in it. Statistics are the whole collection's, as everywhere. */
function bm25(all: readonly Point[], query: readonly string[]): (point: Point) => number | null {
  const averageLength = all.reduce((sum, { terms }) => sum + terms.length, 0) / all.length
  const idf = new Map(
    query.map((term) => {
      const holding = all.filter(({ terms }) => terms.includes(term)).length
      return [term, Math.log(1 + (all.length - holding + 0.5) / (holding + 0.5))]
    }),
  )
  return ({ terms }) => {
    const norm = K1 * (1 - B + (B * terms.length) / averageLength)
    const scores = query.flatMap((term) => {
      const count = terms.filter((held) => held === term).length
      return count === 0 ? [] : [(idf.get(term)! * count * (K1 + 1)) / (count + norm)]
    })
    return scores.length === 0 ? null : scores.reduce((sum, score) => sum + score, 0)
  }
}

function best(points: readonly Point[], limit: number, score: (point: Point) => number | null): IndexHit[] {
  return points
    .flatMap((point) => {
      const scored = score(point)
      return scored === null ? [] : [{ point, score: scored }]
    })
    .sort((a, b) => b.score - a.score || bytewise(a.point.id, b.point.id))
    .slice(0, limit)
    .map(({ point: { terms: _terms, ...rest }, score }) => Object.assign(structuredClone(rest), { score }))
}

function bytewise(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

function byDocument(
  a: { tenant: string; documentId: string },
  b: { tenant: string; documentId: string },
): number {
  return bytewise(a.tenant, b.tenant) || bytewise(a.documentId, b.documentId)
}

function byPlace(a: Point, b: Point): number {
  return bytewise(a.version, b.version) || bytewise(a.build, b.build) || a.index - b.index
}
