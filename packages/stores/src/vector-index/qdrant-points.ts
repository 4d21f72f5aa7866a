import type { Schemas } from '@qdrant/js-client-rest'
import { type MetadataKeys, metadataKeys } from './qdrant-filter.ts'
import type { IndexHit, Point } from './port.ts'

/** Points as Qdrant holds them, and back. */

export const DENSE = 'dense'
export const LEXICAL = 'terms'

/** The access list's mark of a point that its whole tenant may read. A group's name is a JSON string. */
export const EVERYONE = '*'
export const readerOf = (group: string): string => JSON.stringify(group)

/**
 * BM25 as most engines have it (Robertson and Zaragoza 2009; Lucene and LanceDB have the same numbers). A point's weights
 * are all of it but the idf, which Qdrant counts itself at each search, shard by shard: ln(1 + (N - n + 0.5) / (n + 0.5)).
 */
const K1 = 1.2
const B = 0.75

/** Documents are spread over so many buckets by hash, so that a walk over all of them goes in pieces of any size. */
export const BUCKETS = 65_536

/** What a hit is made from. The rest is there to be filtered on. */
export const HIT_PAYLOAD = ['source', 'place', 'body', 'vector', 'bits']
export const POINT_PAYLOAD = [...HIT_PAYLOAD, 'terms']

interface Payload extends MetadataKeys {
  readonly tenant: string
  readonly document: string
  /** JSON of [tenant, documentId, version, build]. */
  readonly source: string
  readonly bucket: number
  readonly readers: readonly string[]
  readonly place: number
  /** Number of terms. */
  readonly length: number
  /** The average that the weights are for: thousandths of a term. */
  readonly average: number
  /** JSON of `Body`: as one string it costs Qdrant nothing to read, and holds lone surrogates. */
  readonly body: string
  /** JSON of the terms. */
  readonly terms: string
  /**
   * Base64 of the floats, as they were given: Qdrant normalises the vectors of a cosine collection, and its JSON of 100
   * vectors blocks the event loop for 75 ms, for the client's reviver is called for every number (measured).
   */
  readonly vector: string
  /** Base64 of the word bits. */
  readonly bits: string
}

type Body = Pick<Point, 'text' | 'title' | 'headings' | 'page' | 'start' | 'end' | 'access' | 'metadata'>

export interface Source {
  readonly tenant: string
  readonly documentId: string
  readonly version: string
  readonly build: string
}

export function sourceKey({ tenant, documentId, version, build }: Source): string {
  return JSON.stringify([tenant, documentId, version, build])
}

export function parseSource(key: string): Source {
  const [tenant, documentId, version, build] = JSON.parse(key) as [string, string, string, string]
  return { tenant, documentId, version, build }
}

/** Points of one document share their metadata: it is read once. */
export function pointMaker(average: number): (point: Point) => Schemas['PointStruct'] {
  const keys = new Map<Point['metadata'], MetadataKeys>()
  return (point) => {
    const { text, title, headings, page, start, end, access, metadata, terms, vector } = point
    if (!keys.has(metadata)) keys.set(metadata, metadataKeys(metadata))
    const body: Body = { text, title, headings, page, start, end, access, metadata }
    const payload: Payload = {
      tenant: point.tenant,
      document: point.documentId,
      source: sourceKey(point),
      bucket: textHash(JSON.stringify([point.tenant, point.documentId])) % BUCKETS,
      readers: access === null ? [EVERYONE] : access.map(readerOf),
      ...keys.get(metadata)!,
      place: point.index,
      length: terms.length,
      average,
      body: JSON.stringify(body),
      terms: JSON.stringify(terms),
      vector: base64(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)),
      bits: base64(point.wordBits),
    }
    const weights = documentWeights(terms, average)
    return {
      id: point.id,
      vector: { [DENSE]: Array.from(vector), ...weights },
      payload: { ...payload },
    }
  }
}

/** The lexical vector, by its name; none without terms. `average` in thousandths of a term. */
export function documentWeights(
  terms: readonly string[],
  average: number,
): Record<string, Schemas['SparseVector']> {
  if (terms.length === 0) return {}
  const norm = K1 * (1 - B + (B * terms.length * 1000) / average)
  const { indices, counts } = counted(terms)
  return { [LEXICAL]: { indices, values: counts.map((count) => (count * (K1 + 1)) / (count + norm)) } }
}

/** A term counts as often as it is asked for. */
export function queryWeights(terms: readonly string[]): Schemas['SparseVector'] {
  const { indices, counts } = counted(terms)
  return { indices, values: counts }
}

/** Of a hundred thousand words about one in a hundred thousand shares its number with another: then they count as one. */
function counted(terms: readonly string[]): { indices: number[]; counts: number[] } {
  const counts = new Map<number, number>()
  for (const term of terms) {
    const index = textHash(term)
    counts.set(index, (counts.get(index) ?? 0) + 1)
  }
  return { indices: [...counts.keys()], counts: [...counts.values()] }
}

/** FNV-1a of the UTF-8, then MurmurHash3's finaliser: 32 bits. It is in the index, so it must never change. */
export function textHash(text: string): number {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

interface Held {
  readonly id: number | string
  readonly payload?: Record<string, unknown> | { [key: string]: unknown } | null
}

export function toHit(held: Held & { readonly score: number }): IndexHit {
  return { ...read(held), score: held.score }
}

export function toPoint(held: Held): Point {
  return { ...read(held), terms: JSON.parse(String(held.payload!['terms'])) as string[] }
}

function read({ id, payload }: Held): Omit<Point, 'terms'> {
  const { source, place, body, vector, bits } = payload as unknown as Payload
  const floats = Uint8Array.from(Buffer.from(vector, 'base64'))
  return {
    ...(JSON.parse(body) as Body),
    ...parseSource(source),
    id: String(id),
    index: place,
    vector: new Float32Array(floats.buffer),
    wordBits: Uint8Array.from(Buffer.from(bits, 'base64')),
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}
