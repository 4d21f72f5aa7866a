/**
 * What may be seen of documents that change, told by their texts alone: every sentence of every publication of document d carries
 * the nonce `zq<d>v<n>z`, where n counts that document's publications. Versions and ids of answers are not looked at.
 *
 *  K1  One answer, or one hit list, holds one nonce of a document at most.
 *  K2  A query that began after a DELETE was answered shows no nonce published before that DELETE.
 *  K3  A query that began after a nonce was confirmed visible, or was seen, shows no older one.
 *  K4  A document that existed from a query's beginning to its end is in the answer to a query for it.
 */
export interface Oracle {
  /** The nonce of the next publication. */
  publish(document: number): number
  deleting(document: number): void
  deleted(document: number): void
  /** A receipt's query said `fresh`. */
  confirmed(document: number, nonce: number): void
  begin(): QueryStart
  /** The texts that a query was answered with. */
  check(start: QueryStart, what: string, shown: readonly string[]): void
  /** A query for one document was answered without it. */
  absent(start: QueryStart, what: string, document: number): void
  violation(rule: Rule, what: string): void
  readonly violations: readonly string[]
  readonly counts: Readonly<Record<Rule, number>>
}

export type Rule = 'mixed' | 'deleted' | 'older' | 'absent' | 'error'

interface State {
  published: number
  /** Nonces up to this one were deleted, and that was answered. */
  deletedTo: number
  /** The newest nonce that is known to have been visible. */
  seen: number
  /** Counts the deletions begun, so that a query can tell whether one fell into it. */
  deletions: number
  exists: boolean
}
export type QueryStart = readonly Readonly<State>[]

const MAX_TOLD = 20

export function nonceOf(document: number, nonce: number): string {
  return `zq${document}v${nonce}z`
}

export function createOracle(documents: number): Oracle {
  const states = Array.from({ length: documents }, (): State => ({
    published: 0,
    deletedTo: 0,
    seen: 0,
    deletions: 0,
    exists: false,
  }))
  const violations: string[] = []
  const counts: Record<Rule, number> = { mixed: 0, deleted: 0, older: 0, absent: 0, error: 0 }

  function violation(rule: Rule, what: string): void {
    counts[rule]++
    if (violations.length < MAX_TOLD) violations.push(`${rule}: ${what}`)
  }

  return {
    violations,
    counts,
    violation,
    publish: (document) => ++states[document]!.published,
    deleting(document) {
      const state = states[document]!
      state.deletions++
      state.exists = false
    },
    deleted(document) {
      const state = states[document]!
      state.deletedTo = state.published
    },
    confirmed(document, nonce) {
      const state = states[document]!
      state.seen = Math.max(state.seen, nonce)
      state.exists = true
    },
    begin: () => states.map((state) => ({ ...state })),
    check(start, what, shown) {
      for (const [document, nonces] of noncesIn(shown)) {
        const before = start[document]!
        const oldest = Math.min(...nonces)
        const told = `${what} shows ${[...nonces].map((nonce) => nonceOf(document, nonce)).join(', ')}`
        if (nonces.size > 1) violation('mixed', told)
        if (oldest <= before.deletedTo) violation('deleted', `${told}; deleted up to ${before.deletedTo}`)
        else if (oldest < before.seen) violation('older', `${told}; ${before.seen} had been visible`)
        const state = states[document]!
        state.seen = Math.max(state.seen, ...nonces)
      }
    },
    absent(start, what, document) {
      const before = start[document]!
      if (before.exists && states[document]!.deletions === before.deletions)
        violation('absent', `${what} shows nothing of ${document}, of which ${before.seen} had been visible`)
    },
  }
}

function noncesIn(texts: readonly string[]): Map<number, Set<number>> {
  const found = new Map<number, Set<number>>()
  for (const text of texts) {
    for (const [, document, nonce] of text.matchAll(/zq(\d+)v(\d+)z/g)) {
      const nonces = found.get(Number(document)) ?? new Set()
      found.set(Number(document), nonces.add(Number(nonce)))
    }
  }
  return found
}
