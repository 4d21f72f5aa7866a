/**
 * What happened to a system, as someone outside could write it down: what was sent, what the log holds, what was asked and
 * answered, and what is there in the end. Facts stand in the order in which they were seen; only `accepted` may come at any
 * place, since whoever sent a record may learn its position late, or by reading the log afterwards.
 *
 * Every text that is published is made by `textOf` of a nonce of its own. A publication that is sent again, because its answer
 * was lost, keeps its nonce and is accepted at several positions.
 */
export type Fact =
  /** A publication is about to be sent for the first time. */
  | {
      readonly kind: 'publishing'
      readonly nonce: number
      readonly tenant: string
      readonly documentId: string
      /** null: the whole tenant; []: admins only. */
      readonly access: readonly string[] | null
      /** `must`: it cannot be read; `may`: it may be refused or fail for a while. Such a version may be in the dead-letter queue. */
      readonly fails: 'never' | 'may' | 'must'
    }
  /** A deletion is about to be sent, by whichever way. */
  | { readonly kind: 'deleting'; readonly tenant: string; readonly documentId: string }
  /** The log has a record: of a publication (`nonce`), or a tombstone (null). */
  | {
      readonly kind: 'accepted'
      readonly tenant: string
      readonly documentId: string
      readonly nonce: number | null
      readonly position: Position
    }
  /** DELETE was answered with 202: its tombstone lies at `position`. */
  | {
      readonly kind: 'deleted'
      readonly tenant: string
      readonly documentId: string
      readonly position: Position
    }
  /** A query begins. `groups` null: an admin of the tenant. */
  | {
      readonly kind: 'asked'
      readonly query: number
      readonly tenant: string
      readonly groups: readonly string[] | null
    }
  /** It was answered. One that failed has no answer, and is not judged. */
  | {
      readonly kind: 'answered'
      readonly query: number
      readonly what: string
      readonly texts: readonly string[]
      /** It asked for all of this document, and for nothing else. */
      readonly whole?: string
      /** It presented receipts of these positions of the document `whole`, and was said to be fresh. */
      readonly reached?: readonly Position[]
    }
  /** A dead letter names the record at this position as its origin; one fact for each dead letter. */
  | { readonly kind: 'deadLetter'; readonly position: Position }
  /** An operator had a dead letter of this position replayed. */
  | { readonly kind: 'replayed'; readonly position: Position }
  /** All faults have ceased and nothing is under way any more: what an admin sees of each document (asked for all of it). */
  | {
      readonly kind: 'settled'
      readonly tenant: string
      readonly documentId: string
      readonly texts: readonly string[]
    }
  /** After that and the sweeps: each point of the index, each stored text, by its document. */
  | {
      readonly kind: 'kept'
      readonly where: 'index' | 'files'
      readonly tenant: string
      readonly documentId: string
      readonly text: string
    }

/** A record's place; (append time, topic, partition, offset) orders the versions of a document. */
export interface Position {
  readonly appendTimeMs: number
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/**
 *  lost           an accepted newest version is not shown, not whole, and not in the dead-letter queue for a fault of its own;
 *                 or a document that was there from a query's beginning to its end was not in the answer to it
 *  stale          something older than what had been shown or confirmed before the query began; or two versions at once
 *  orphan         points or stored texts that nothing shows, or a point twice
 *  resurrected    text from at or below a deletion that had been answered, or that is the document's newest event
 *  wrong-tenant   text shown to another tenant, or to a group that may not read it
 */
export const RULES = ['lost', 'stale', 'orphan', 'resurrected', 'wrong-tenant'] as const
export type Rule = (typeof RULES)[number]

export interface Verdict {
  readonly counts: Readonly<Record<Rule, number>>
  /** The first of them, in words. */
  readonly violations: readonly string[]
}

export function formatCounts(seeds: number, counts: Readonly<Record<Rule, number>>): string {
  return [`seeds ${seeds}`, ...RULES.map((rule) => `${rule} ${counts[rule]}`)].join(' ')
}
