import type { MetadataFilter } from '@aquifer/contracts/filter'
import type { Metadata } from '@aquifer/contracts/types'

/**
 * The vector index: passages with their vectors, their lexical terms and what may be filtered on.
 *
 *  V1  An upsert that has resolved is durable and found by the next search, dense and lexical.
 *  V2  Upserting an id again replaces the point: nothing is doubled.
 *  V3  A search sees points of its tenant alone, and among them only those its groups may read: both are
 *      applied inside the index, before the limit, never to its results.
 *  V4  Dense scores are cosine similarities; lexical scores are BM25 of the given terms. Both raw, best first.
 *  V5  `delete` by selector removes exactly what the selector names, and is repeatable.
 *  V6  A collection holds the vectors of one embedder fingerprint; another fingerprint is another collection.
 *  V7  Concurrent calls of any kind are safe; an adapter that needs one writer queues them itself.
 */
export interface VectorIndex {
  readonly limits: { readonly maxBatchPoints: number; readonly maxSearchLimit: number }
  /** The fingerprint and width of the collection in use. */
  readonly collection: CollectionSpec
  upsert(points: readonly Point[]): Promise<void>
  search(query: IndexQuery): Promise<{ dense: IndexHit[]; lexical: IndexHit[] }>
  /** Points that the selector names, with their vectors, by version, build and index. At most `limit`. */
  fetch(selector: PointSelector, limit: number): Promise<Point[]>
  /** Without a selector, all points of the collection. */
  count(selector?: PointSelector): Promise<number>
  delete(selector: PointSelector): Promise<void>
  /** Documents in the order of (tenant, id), with the (version, build) pairs that have points: for the sweeper. */
  scan(options: { after?: { tenant: string; documentId: string }; limit: number }): Promise<DocumentPoints[]>
  /** Merges small files and drops versions older than `olderThanMs`, so that deleted text leaves the disk too. */
  compact(options: { olderThanMs: number }): Promise<void>
  ping(): Promise<void>
  close(): Promise<void>
}

/** The collections of one index. An alias names the one that searches use, and moves in one step. */
export interface VectorIndexAdmin {
  open(collection: CollectionSpec): Promise<VectorIndex>
  list(): Promise<CollectionSpec[]>
  alias(name: string): Promise<CollectionSpec | null>
  switchAlias(name: string, collection: CollectionSpec): Promise<void>
  drop(collection: CollectionSpec): Promise<void>
  close(): Promise<void>
}

export interface CollectionSpec {
  readonly fingerprint: string
  readonly dimensions: number
}

export interface Point {
  /** uuid v5 of the JSON array [tenant, documentId, version, build, index]. */
  readonly id: string
  readonly tenant: string
  readonly documentId: string
  readonly version: string
  readonly build: string
  /** Place of the chunk in its document, from 0. */
  readonly index: number
  readonly text: string
  readonly title: string | null
  readonly headings: readonly string[]
  readonly page: number | null
  /** Code points in the document's text. */
  readonly start: number
  readonly end: number
  /** null: every group of the tenant; []: admins only. */
  readonly access: readonly string[] | null
  readonly metadata: Metadata
  /** Terms of title, headings and text, as `@aquifer/text/terms` makes them; repeated terms are repeated. */
  readonly terms: readonly string[]
  /** Unit length, of the collection's dimensions. */
  readonly vector: Float32Array
  /** Sign bits of the states of the passage's words (`@aquifer/models/embedder`, `WordStates`), opaque here. May be empty. */
  readonly wordBits: Uint8Array
}

export interface IndexQuery {
  readonly tenant: string
  /** Groups of the caller, or null for an admin, who sees all of the tenant. */
  readonly groups: readonly string[] | null
  /** Absent: no dense list. */
  readonly vector?: Float32Array
  /** Absent or empty: no lexical list. */
  readonly terms?: readonly string[]
  readonly limit: number
  readonly filter?: MetadataFilter
}

/** A point without its terms, and its raw score. The vector and the word bits come along: the fusion needs both. */
export interface IndexHit extends Omit<Point, 'terms'> {
  readonly score: number
}

export interface PointSelector {
  readonly tenant: string
  readonly documentId: string
  /** Bounds on the version, bytewise. */
  readonly version?: { readonly eq?: string; readonly lt?: string; readonly lte?: string }
  readonly build?: { readonly eq?: string; readonly ne?: string }
}

export interface DocumentPoints {
  readonly tenant: string
  readonly documentId: string
  readonly builds: readonly { version: string; build: string; points: number }[]
}
