import type { Fact, Position } from './facts.ts'

type Of<K extends Fact['kind']> = Extract<Fact, { kind: K }>

/** What was published of all documents, in the order of the log, whenever it was learnt. */
export interface History {
  publication(nonce: number): Publication | undefined
  document(tenant: string, documentId: string): DocumentHistory
}

export interface Publication {
  readonly document: DocumentHistory
  readonly access: readonly string[] | null
  readonly fails: Of<'publishing'>['fails']
  /** Where the fact of its sending stands. */
  readonly sentAt: number
  /** Oldest first. Sent again, it has several. */
  readonly positions: readonly Position[]
}

export interface DocumentHistory {
  readonly tenant: string
  readonly key: string
  /** The newest accepted event that is not a publication dead-lettered for its own fault; null where there is none. */
  newest(): { readonly position: Position; readonly nonce: number | null } | null
  newestTombstone(): Position | null
  /** Could a deletion above `position` be in effect by the fact number `at`? */
  mayBeDeletedSince(position: Position, at: number): boolean
  /** Could something above `position` that is in effect by then hide the document from those groups? */
  mayBeHidden(position: Position, at: number, groups: readonly string[] | null): boolean
}

export function keyOf({ tenant, documentId }: { tenant: string; documentId: string }): string {
  return `${tenant}/${documentId}`
}

export function placeOf({ topic, partition, offset }: Position): string {
  return `${topic}/${partition}@${offset}`
}

/** Is `a` a later version than `b`? By append time, topic, partition, offset. */
export function isAfter(a: Position, b: Position): boolean {
  if (a.appendTimeMs !== b.appendTimeMs) return a.appendTimeMs > b.appendTimeMs
  if (a.topic !== b.topic) return Buffer.compare(Buffer.from(a.topic), Buffer.from(b.topic)) > 0
  return a.partition === b.partition ? a.offset > b.offset : a.partition > b.partition
}

const byPosition = (a: Position, b: Position): number => (isAfter(a, b) ? 1 : isAfter(b, a) ? -1 : 0)

export function mayRead(access: readonly string[] | null, groups: readonly string[] | null): boolean {
  return access === null || groups === null || access.some((group) => groups.includes(group))
}

export function createHistory(facts: readonly Fact[]): History {
  const publications = new Map<number, Publication & { readonly positions: Position[] }>()
  const documents = new Map<string, ReturnType<typeof createDocument>>()
  const deadLetters = new Map<string, number>()
  const document = (tenant: string, documentId: string) => {
    const key = keyOf({ tenant, documentId })
    const found =
      documents.get(key) ?? createDocument(tenant, key, (place) => (deadLetters.get(place) ?? 0) > 0)
    documents.set(key, found)
    return found
  }
  const countDeadLetter = (position: Position, change: number): void => {
    deadLetters.set(placeOf(position), (deadLetters.get(placeOf(position)) ?? 0) + change)
  }

  for (const [at, fact] of facts.entries()) {
    if (fact.kind === 'publishing') {
      const { access, fails, nonce } = fact
      const of = document(fact.tenant, fact.documentId)
      const publication = { document: of, access, fails, sentAt: at, positions: [] }
      publications.set(nonce, publication)
      of.publications.push(publication)
    } else if (fact.kind === 'deleting') document(fact.tenant, fact.documentId).deletions.push(at)
    else if (fact.kind === 'deadLetter') countDeadLetter(fact.position, 1)
    else if (fact.kind === 'replayed') countDeadLetter(fact.position, -1)
  }
  for (const fact of facts) {
    if (fact.kind !== 'accepted') continue
    const { nonce, position } = fact
    const publication = nonce === null ? null : publications.get(nonce)
    if (publication === undefined) throw new Error(`nonce ${nonce} was accepted, but never published`)
    publication?.positions.push(position)
    document(fact.tenant, fact.documentId).events.push({
      position,
      nonce,
      fails: publication?.fails ?? 'never',
    })
  }
  for (const { positions } of publications.values()) positions.sort(byPosition)
  for (const { events } of documents.values()) events.sort((a, b) => byPosition(a.position, b.position))
  return { publication: (nonce) => publications.get(nonce), document }
}

interface Event {
  readonly position: Position
  readonly nonce: number | null
  readonly fails: Publication['fails']
}

function createDocument(tenant: string, key: string, isDeadLettered: (place: string) => boolean) {
  const events: Event[] = []
  const publications: Publication[] = []
  const deletions: number[] = []
  const newestTombstone = (): Position | null =>
    events.findLast(({ nonce }) => nonce === null)?.position ?? null
  const mayBeDeletedSince = (position: Position, at: number): boolean => {
    const tombstone = newestTombstone()
    return tombstone !== null && isAfter(tombstone, position) && deletions.some((begun) => begun < at)
  }
  return {
    tenant,
    key,
    events,
    publications,
    deletions,
    newest: () =>
      events.findLast(({ fails, position }) => fails === 'never' || !isDeadLettered(placeOf(position))) ??
      null,
    newestTombstone,
    mayBeDeletedSince,
    mayBeHidden(position: Position, at: number, groups: readonly string[] | null): boolean {
      return (
        mayBeDeletedSince(position, at) ||
        publications.some(({ access, sentAt, positions }) => {
          const newest = positions.at(-1)
          return sentAt < at && !mayRead(access, groups) && (!newest || !isAfter(position, newest))
        })
      )
    },
  }
}
