import { RULES } from './facts.ts'
import type { Fact, Position, Rule, Verdict } from './facts.ts'
import { createHistory, isAfter, keyOf, mayRead, placeOf } from './history.ts'
import type { DocumentHistory, History } from './history.ts'
import { mark, marksIn } from './nonce.ts'
import type { Mark } from './nonce.ts'

type Of<K extends Fact['kind']> = Extract<Fact, { kind: K }>
type Tell = (rule: Rule, what: string) => void

const MAX_TOLD = 20

/** What an observer knows of a document. */
interface Known {
  /** It was shown, or a receipt of it was confirmed: nothing older may be shown to who asks from now on. */
  readonly reached: Position | null
  /** The newest tombstone whose DELETE was answered. */
  readonly deletedTo: Position | null
  /** The publication that was shown last; null where none was, or where a deletion has begun since. */
  readonly shown: number | null
}
const NOTHING: Known = { reached: null, deletedTo: null, shown: null }

interface Asked extends Of<'asked'> {
  /** As it was known when the query began. */
  readonly known: ReadonlyMap<string, Known>
}

/**
 * Judges what a system did by what was published to it. Shares no code with it: versions are ordered by the positions that were
 * written down, documents are told by their texts.
 *
 *  K1  One answer holds one publication of a document at most.
 *  K2  A query begun after a DELETE was answered shows nothing from below its tombstone.
 *  K3  A query begun after a version was shown, or its receipt confirmed, shows nothing older.
 *  K4  A document that is known to be there from a query's beginning to its end is in the answer to a query for all of it, and
 *      what that shows is a whole version.
 *  K5  Text is shown to its own tenant alone, and only to groups on its access list.
 *  K6  When all has settled, each document shows its newest accepted version that is not dead-lettered for its own fault, or
 *      nothing where a deletion is newer; the whole version.
 *  K7  When all is swept, the index holds what is shown, once, and nothing else; no older text is stored.
 */
export function judge(facts: readonly Fact[]): Verdict {
  const history = createHistory(facts)
  const counts = Object.fromEntries(RULES.map((rule) => [rule, 0])) as Record<Rule, number>
  const violations: string[] = []
  const tell: Tell = (rule, what) => {
    counts[rule]++
    if (violations.length < MAX_TOLD) violations.push(`${rule}: ${what}`)
  }
  const known = new Map<string, Known>()
  const knownOf = (key: string): Known => known.get(key) ?? NOTHING
  const asked = new Map<number, Asked>()
  const settled = new Map<string, ReadonlySet<number>>()
  const kept = new Set<string>()

  for (const [at, fact] of facts.entries()) {
    if (fact.kind === 'deleting') known.set(keyOf(fact), { ...knownOf(keyOf(fact)), shown: null })
    else if (fact.kind === 'deleted') {
      const before = knownOf(keyOf(fact))
      known.set(keyOf(fact), { ...before, deletedTo: later(before.deletedTo, fact.position) })
    } else if (fact.kind === 'asked') asked.set(fact.query, { ...fact, known: new Map(known) })
    else if (fact.kind === 'answered') {
      const query = asked.get(fact.query)
      if (!query) throw new Error(`query ${fact.query} was answered, but not asked before`)
      asked.delete(fact.query)
      judgeAnswer(fact, query, { history, tell, at, known })
    } else if (fact.kind === 'settled')
      settled.set(keyOf(fact), judgeSettled(fact, history, knownOf(keyOf(fact)), tell))
    else if (fact.kind === 'kept') judgeKept(fact, history, settled.get(keyOf(fact)), kept, tell)
  }
  return { counts, violations }
}

function later(a: Position | null, b: Position): Position {
  return a && isAfter(a, b) ? a : b
}

interface Context {
  readonly history: History
  readonly tell: Tell
  /** The place of the answer among the facts. */
  readonly at: number
  readonly known: Map<string, Known>
}

function judgeAnswer(fact: Of<'answered'>, query: Asked, context: Context): void {
  const { history, tell, known, at } = context
  const whole = fact.whole === undefined ? null : history.document(query.tenant, fact.whole)
  const shown = Map.groupBy(marksIn(fact.texts), ({ nonce }) => history.publication(nonce)?.document)
  for (const [document, marks] of shown) {
    const what = `${fact.what} of ${query.tenant} ${JSON.stringify(query.groups)} shows ${marks.map(mark).join(' ')}`
    const allowed = (nonce: number): boolean => mayRead(history.publication(nonce)!.access, query.groups)
    if (document?.tenant !== query.tenant || !marks.every(({ nonce }) => allowed(nonce)))
      tell('wrong-tenant', `${what} of ${document?.key ?? 'nobody'}`)
    else
      judgeVersion(
        what,
        { document, marks, isWhole: document === whole, reached: fact.reached },
        query,
        context,
      )
  }
  if (!whole) return
  const before = query.known.get(whole.key) ?? NOTHING
  const least = (fact.reached ?? []).reduce(later, before.shown === null ? null : before.reached)
  if (!shown.has(whole) && least && !whole.mayBeHidden(least, at, query.groups))
    tell('lost', `${fact.what} shows nothing of ${whole.key}, which had reached ${placeOf(least)}`)
  for (const position of fact.reached ?? []) {
    const now = known.get(whole.key) ?? NOTHING
    known.set(whole.key, { ...now, reached: later(now.reached, position) })
  }
}

interface Shown {
  readonly document: DocumentHistory
  readonly marks: readonly Mark[]
  readonly isWhole: boolean
  readonly reached: readonly Position[] | undefined
}

/** One document in one answer. */
function judgeVersion(
  what: string,
  { document, marks, isWhole, reached }: Shown,
  query: Asked,
  { history, tell, at, known }: Context,
): void {
  const before = query.known.get(document.key) ?? NOTHING
  const nonces = new Set(marks.map(({ nonce }) => nonce))
  if (nonces.size > 1) return tell('stale', `${what}: two versions of ${document.key} at once`)
  const [{ nonce }] = marks as unknown as [Mark]
  const { positions } = history.publication(nonce)!
  const newest = positions.at(-1)
  if (!newest) return tell('stale', `${what}, which the log never held`)
  if (before.deletedTo && !isAfter(newest, before.deletedTo))
    return tell('resurrected', `${what} of ${document.key}, deleted at ${placeOf(before.deletedTo)}`)
  const least = (isWhole ? (reached ?? []) : []).reduce(later, before.reached)
  if (least && isAfter(least, newest))
    return tell('stale', `${what} of ${document.key}, which had reached ${placeOf(least)}`)
  if (isWhole && !isComplete(marks)) tell('lost', `${what}: not all of ${document.key}`)
  const now = known.get(document.key) ?? NOTHING
  const shownAt = positions.find((position) => !now.reached || !isAfter(now.reached, position))
  if (!shownAt) return
  const isGoing = document.mayBeDeletedSince(shownAt, at)
  known.set(document.key, { ...now, reached: shownAt, shown: isGoing ? null : nonce })
}

function isComplete(marks: readonly Mark[]): boolean {
  return marks.length === marks[0]!.parts
}

/** Returns the publications that the document shows. */
function judgeSettled(
  fact: Of<'settled'>,
  history: History,
  { reached }: Known,
  tell: Tell,
): ReadonlySet<number> {
  const document = history.document(fact.tenant, fact.documentId)
  const marks = marksIn(fact.texts)
  const foreign = marks.filter(({ nonce }) => history.publication(nonce)?.document !== document)
  if (foreign.length > 0)
    tell('wrong-tenant', `${document.key} shows ${foreign.map(mark).join(' ')} in the end`)
  const own = marks.filter((each) => !foreign.includes(each))
  const nonces = new Set(own.map(({ nonce }) => nonce))
  const expected = document.newest()
  const [nonce] = nonces
  const what = `${document.key} shows ${own.map(mark).join(' ') || 'nothing'} in the end`
  if (nonces.size > 1) tell('stale', `${what}: two versions at once`)
  else if (nonce === undefined) {
    if (expected?.nonce != null)
      tell('lost', `${what}, not ${expected.nonce} at ${placeOf(expected.position)}`)
  } else {
    const newest = history.publication(nonce)!.positions.at(-1)
    const tombstone = document.newestTombstone()
    if (!newest) tell('stale', `${what}, which the log never held`)
    else if (tombstone && isAfter(tombstone, newest))
      tell('resurrected', `${what}, deleted at ${placeOf(tombstone)}`)
    else if (expected && isAfter(expected.position, newest)) {
      const wasReached = reached !== null && !isAfter(expected.position, reached)
      tell(wasReached ? 'stale' : 'lost', `${what}, not ${expected.nonce} at ${placeOf(expected.position)}`)
    } else if (!isComplete(own)) tell('lost', `${what}: not all of it`)
  }
  return nonces
}

function judgeKept(
  { where, tenant, documentId, text }: Of<'kept'>,
  history: History,
  shown: ReadonlySet<number> = new Set(),
  kept: Set<string>,
  tell: Tell,
): void {
  const document = history.document(tenant, documentId)
  const nonces = new Set(marksIn([text]).map(({ nonce }) => nonce))
  const what = `${where}: ${JSON.stringify(text.slice(0, 80))} of ${document.key}`
  if (where === 'index') {
    const name = JSON.stringify([document.key, text])
    if (kept.has(name)) tell('orphan', `${what} is there twice`)
    kept.add(name)
    if (shown.size === 0 || ![...nonces].every((nonce) => shown.has(nonce)))
      tell('orphan', `${what} is there, and nothing shows it`)
    return
  }
  const [visible] = shown
  // Accepted more than once, it may be the first that is visible: what lies between was not taken over yet.
  const visibleAt = visible === undefined ? null : (history.publication(visible)?.positions[0] ?? null)
  const bounds = [visibleAt, document.newestTombstone()].filter((bound) => bound !== null)
  const isGone = (nonce: number): boolean => {
    const newest = history.publication(nonce)?.positions.at(-1)
    // What the log never took in is its producer's.
    return newest !== undefined && bounds.some((bound) => isAfter(bound, newest))
  }
  if ([...nonces].some(isGone)) tell('orphan', `${what} is stored, and a later version took its place`)
}
