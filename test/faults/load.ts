import { setTimeout as pause } from 'node:timers/promises'
import type { Fact } from '../oracle/facts.ts'
import { mark, textOf } from '../oracle/nonce.ts'
import { createForeignProducer } from './broker-records.ts'
import { ask, placeOf, wholeDocument } from './door.ts'
import type { Doc, Place } from './door.ts'
import { UNEMBEDDABLE } from './model-server.ts'
import { eventually } from './wait.ts'
import { GROUPS, keyFor, TENANTS } from './world.ts'
import type { World } from './world.ts'

const WRITERS = 4
const READERS = 3
const MAX_PAUSE_MS = 120
/** A producer tries again for so long, then gives the publication up. */
const GIVE_UP_MS = 90_000
/** Queues grow, and retries come. */
const MIN_OUTAGE_MS = 5000
const MORE_LIMIT_MS = 240_000
const RECEIPT_WAIT_MS = 20_000
const MAX_WAITING = 16
const RECENT_SHARE = 0.3
const ACCESS: readonly (readonly string[] | null)[] = [null, null, null, ['red'], ['blue'], ['red', 'blue']]

/** What was done and answered. */
export interface LoadCounts {
  publications: number
  deletions: number
  foreign: number
  poison: number
  /** Queries that were answered, and those that failed, by status. */
  answered: number
  readonly failed: Map<string, number>
}

/** Producers and readers, side by side until they are stopped. Everything that they do becomes a fact. */
export interface Load {
  readonly counts: LoadCounts
  readonly docs: readonly Doc[]
  /** Those that are still changed. */
  readonly changing: readonly Doc[]
  /**
   * The documents that were changed last are left alone from now on: what was on its way when something failed is then their last
   * state, and is not made good by a later one.
   */
  leaveRecent(): void
  readonly foreign: ReturnType<typeof createForeignProducer>
  /** Resolves when so many more changes have been accepted. */
  more(changes: number): Promise<void>
  /** As long as an outage lasts. */
  aWhile(): Promise<void>
  /** Publishes over the door until it is accepted. */
  publish(doc: Doc): Promise<Place | null>
  readWhole(doc: Doc, groups: readonly string[] | null, place?: Place): Promise<'fresh' | 'stale' | 'failed'>
  /** Ends when what is under way has ended. */
  stop(): Promise<void>
}

export function startLoad(world: World, facts: Fact[], random: () => number, documents: number): Load {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  const docs = TENANTS.flatMap((tenant) =>
    Array.from({ length: documents / TENANTS.length }, (_, i) => ({ tenant, id: `plant/${i}` })),
  )
  const foreign = createForeignProducer(world.kafka.bootstrap)
  const counts: LoadCounts = {
    publications: 0,
    deletions: 0,
    foreign: 0,
    poison: 0,
    answered: 0,
    failed: new Map(),
  }
  const waiting = new Set<Promise<unknown>>()
  /** The one that was changed last stands last. */
  let changing = docs
  let nonces = 0
  let queries = 0
  let changes = 0
  const stopping = new AbortController()

  function fail(what: string): void {
    counts.failed.set(what, (counts.failed.get(what) ?? 0) + 1)
  }

  /** Null where it was given up. */
  async function insist<T>(attempt: () => Promise<T | null>): Promise<T | null> {
    const until = performance.now() + GIVE_UP_MS
    do {
      const done = await attempt().catch(() => null)
      if (done !== null) {
        changes++
        return done
      }
      await pause(50 + random() * 200)
    } while (performance.now() < until)
    return null
  }

  function plan(doc: Doc, poison: boolean) {
    const nonce = ++nonces
    const access = pick(ACCESS)
    facts.push({
      kind: 'publishing',
      nonce,
      tenant: doc.tenant,
      documentId: doc.id,
      access,
      fails: poison ? 'must' : 'never',
    })
    const parts = random() < 0.3 ? 40 + Math.floor(random() * 80) : 1 + Math.floor(random() * 8)
    const metadata = { document: doc.id, note: mark({ nonce, part: 0, parts }) }
    counts.publications++
    if (poison) counts.poison++
    return {
      nonce,
      access,
      metadata,
      text: textOf(nonce, parts, poison ? `The ${UNEMBEDDABLE} valve` : undefined),
    }
  }

  async function overTheDoor(doc: Doc, poison = false): Promise<Place | null> {
    const { access, metadata, text } = plan(doc, poison)
    const isUnreadable = poison && random() < 0.5
    const headers = {
      'Content-Type': isUnreadable ? 'application/pdf' : 'text/plain',
      'Aquifer-Access': access === null ? '*' : access.join(','),
      'Aquifer-Metadata': JSON.stringify(metadata),
    }
    return await insist(async () => {
      const path = `/v1/documents/${encodeURIComponent(doc.id)}`
      const { status, body } = await ask(world, 'PUT', path, keyFor(doc.tenant, null), text, headers)
      if (status !== 202) fail(`PUT ${status}`)
      return status === 202 ? placeOf((body as { receipt: string }).receipt) : null
    })
  }

  async function throughTheLog(doc: Doc, poison: boolean): Promise<Place | null> {
    const { access, metadata, text } = plan(doc, poison)
    const isBroken = poison && random() < 0.5
    const json = JSON.stringify({ content: text, contentType: 'text/plain', metadata, access })
    counts.foreign++
    return await insist(async () => await send(doc, Buffer.from(isBroken ? json.slice(0, -2) : json)))
  }

  async function send(doc: Doc, value: Buffer | null): Promise<Place> {
    const topic = 'aquifer.documents'
    const { partition, offset } = await foreign.send(topic, `${doc.tenant}/${doc.id}`, value)
    const receipt = `${doc.id}@${partition}:${offset}`
    return { appendTimeMs: Number.NaN, topic, partition, offset, receipt }
  }

  async function remove(doc: Doc): Promise<void> {
    facts.push({ kind: 'deleting', tenant: doc.tenant, documentId: doc.id })
    counts.deletions++
    if (random() < 0.3) return void (await insist(async () => await send(doc, null)))
    const path = `/v1/documents/${encodeURIComponent(doc.id)}`
    await insist(async () => {
      const { status, body } = await ask(world, 'DELETE', path, keyFor(doc.tenant, null))
      if (status !== 202) fail(`DELETE ${status}`)
      if (status !== 202) return null
      const position = placeOf((body as { receipt: string }).receipt)
      facts.push({ kind: 'deleted', tenant: doc.tenant, documentId: doc.id, position })
      return position
    })
  }

  async function readWhole(doc: Doc, groups: readonly string[] | null, place?: Place) {
    const query = ++queries
    facts.push({ kind: 'asked', query, tenant: doc.tenant, groups })
    const found = await wholeDocument(world, doc, groups, place && { place, timeoutMs: RECEIPT_WAIT_MS })
    if (typeof found === 'string') {
      fail(`search ${found}`)
      return 'failed'
    }
    counts.answered++
    const { texts, fresh } = found
    const reached = place && fresh ? { reached: [place] } : {}
    facts.push({ kind: 'answered', query, what: `search ${query}`, texts, whole: doc.id, ...reached })
    return fresh ? 'fresh' : 'stale'
  }

  /** Everything that the caller may read, or one document's text, or an answer with its quotes. */
  async function readOtherwise(doc: Doc, groups: readonly string[] | null): Promise<void> {
    const query = ++queries
    facts.push({ kind: 'asked', query, tenant: doc.tenant, groups })
    const key = keyFor(doc.tenant, groups)
    const kind = pick(['search', 'text', 'chat'] as const)
    const question = JSON.stringify(
      kind === 'search'
        ? { query: 'valve in the hall', limit: 20 }
        : { messages: [{ role: 'user', content: 'Where was the valve seen?' }] },
    )
    const path = `/v1/documents/${encodeURIComponent(doc.id)}/text`
    const json = { 'Content-Type': 'application/json' }
    const { status, body } =
      kind === 'text'
        ? await ask(world, 'GET', path, key)
        : await ask(
            world,
            'POST',
            kind === 'search' ? '/v1/search' : '/v1/chat/completions',
            key,
            question,
            json,
          )
    if (status !== 200) return status === 404 || status === 410 ? undefined : fail(`${kind} ${status}`)
    counts.answered++
    facts.push({ kind: 'answered', query, what: `${kind} ${query}`, texts: [JSON.stringify(body)] })
  }

  /** Side by side with whoever called, a few at a time. */
  function aside(work: Promise<unknown>): void {
    const ended = work.catch((error: unknown) => fail(String(error))).finally(() => waiting.delete(ended))
    waiting.add(ended)
  }

  async function write(): Promise<void> {
    while (!stopping.signal.aborted) {
      const doc = pick(changing)
      changing = [...changing.filter((each) => each !== doc), doc]
      if (random() < 0.15) await remove(doc)
      else {
        const poison = random() < 0.04
        const place = await (random() < 0.6 ? overTheDoor(doc, poison) : throughTheLog(doc, poison))
        if (place && !poison && random() < 0.4) {
          // Whoever waits for what it wrote writes no faster than the system reads.
          while (waiting.size >= MAX_WAITING) await Promise.race(waiting)
          aside(readWhole(doc, null, place))
        }
      }
      await pause(random() * MAX_PAUSE_MS)
    }
  }

  async function read(): Promise<void> {
    while (!stopping.signal.aborted) {
      const [doc, groups] = [pick(docs), pick(GROUPS)]
      await (random() < 0.7 ? readWhole(doc, groups) : readOtherwise(doc, groups)).catch((error: unknown) =>
        fail(String(error)),
      )
      await pause(random() * MAX_PAUSE_MS)
    }
  }

  const running = [...Array.from({ length: WRITERS }, write), ...Array.from({ length: READERS }, read)]
  return {
    counts,
    docs,
    get changing() {
      return changing
    },
    leaveRecent() {
      changing = changing.slice(0, -Math.floor(docs.length * RECENT_SHARE))
    },
    foreign,
    async more(wanted) {
      const until = changes + wanted
      await eventually(MORE_LIMIT_MS, `${wanted} more changes`, async () => changes >= until)
    },
    aWhile: async () => await pause(MIN_OUTAGE_MS + random() * 3000),
    publish: async (doc) => await overTheDoor(doc),
    readWhole,
    async stop() {
      stopping.abort()
      await Promise.all(running)
      await Promise.all(waiting)
      await foreign.close()
    },
  }
}
