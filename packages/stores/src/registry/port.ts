import type { Metadata } from '@aquifer/contracts/types'

/**
 * The registry: per document, what is visible, what is deleted, and how the latest attempt went.
 *
 *  R1  `flip` and `raiseFloor` only move upward: the higher version wins whatever the order of the calls.
 *  R2  A version at or below the floor never becomes visible; raising the floor hides what is at or below it, in
 *      one step.
 *  R3  `lookUp` answers for many documents in one round trip, from one consistent state.
 *  R4  A write that has resolved survives kill -9.
 *  R5  The latest attempt is that of the highest version; of one version, a settled state wins over `queued`, unless the version
 *      is tried again since (`replayedAt` is higher) and is not indexed.
 *  R6  `candidates` misses no visible document that is near, however many others there are, up to `MAX_PER_KEY` of one key; and
 *      has none that is not visible.
 */
export interface Registry {
  lookUp(tenant: string, documentIds: readonly string[]): Promise<Map<string, DocumentRecord>>
  /** Records how an attempt stands. A lower version than the latest changes nothing. */
  recordAttempt(tenant: string, documentId: string, attempt: Attempt): Promise<void>
  /**
   * Makes (version, build) visible if it is above the floor and not below what is visible, and settles its attempt as
   * `indexed`.
   */
  flip(tenant: string, documentId: string, visible: VisibleVersion): Promise<FlipResult>
  /** Deletes: everything at or below `version` is invisible from now on, for ever. Settles the attempt as `deleted`. */
  raiseFloor(tenant: string, documentId: string, version: string): Promise<void>
  /** By document id. */
  list(tenant: string, query: ListQuery): Promise<{ documents: DocumentRecord[]; cursor?: string }>
  /**
   * Visible documents that have one of `nearKeys` of a fingerprint among the `bandKeys` of their own, in no order; of each key at
   * most `MAX_PER_KEY`. Without a look through the tenant: among others there is one in about a thousand.
   */
  candidates(tenant: string, fingerprint: string): Promise<Candidate[]>
  counts(tenant: string): Promise<Record<DocumentStateName, number> & { chunks: number }>
  /** Publish → visible times of the newest flips (at most 1,000), milliseconds. */
  recentLags(tenant: string): Promise<number[]>
  /**
   * Documents of all tenants whose latest attempt is still queued and older than a version, oldest first; of the next page,
   * those newer than `after`, the last version of the page before.
   */
  queuedBefore(
    version: string,
    limit: number,
    after?: string,
  ): Promise<{ tenant: string; documentId: string; version: string }[]>
  ping(): Promise<void>
  close(): Promise<void>
}

export type DocumentStateName = 'queued' | 'indexed' | 'failed' | 'quarantined' | 'deleted'

export interface Attempt {
  readonly version: string
  readonly state: DocumentStateName
  readonly error?: { readonly code: string; readonly message: string }
  readonly title: string | null
  readonly contentType: string | null
  readonly access: readonly string[] | null
  readonly publishedAt: number
  /** Of a version that is tried again: higher each time. That of a replay is when it was put on its retry topic, milliseconds since the epoch. */
  readonly replayedAt?: number
}

export interface VisibleVersion {
  readonly version: string
  readonly build: string
  readonly chunks: number
  readonly title: string | null
  readonly contentType: string | null
  readonly access: readonly string[] | null
  readonly metadata: Metadata
  /** Verdicts of the first screen at the door, such as `injection` or `personal_data`. */
  readonly guard: readonly string[]
  /** BCP 47; null where it is not known. */
  readonly language: string | null
  /** See `@aquifer/text/fingerprint`; null where there is too little text. */
  readonly fingerprint: string | null
  readonly publishedAt: number
  readonly indexedAt: number
}

export interface DocumentRecord {
  readonly tenant: string
  readonly documentId: string
  readonly visible: VisibleVersion | null
  /** The version at or below which the document is deleted. */
  readonly floor: string | null
  readonly latest: Attempt | null
}

/** What may be near a fingerprint. */
export interface Candidate {
  readonly documentId: string
  readonly fingerprint: string
}
/** More documents that share 16 bits are mostly copies of one another: some of them will do. */
export const MAX_PER_KEY = 200

export type FlipResult =
  | { readonly flipped: true; readonly previous: { version: string; build: string } | null }
  /** `same`: this very (version, build) was visible already, as after a redelivery. */
  | {
      readonly flipped: false
      readonly reason: 'same' | 'superseded' | 'deleted'
      readonly winner: string
    }

export interface ListQuery {
  readonly state?: DocumentStateName
  readonly cursor?: string
  readonly limit: number
  /** Groups of the caller, or null for an admin. Restricted documents of other groups are not listed. */
  readonly groups: readonly string[] | null
}
