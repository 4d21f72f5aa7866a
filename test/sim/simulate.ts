import { judge } from '../oracle/judge.ts'
import type { Fact, Verdict } from '../oracle/facts.ts'
import { marksIn } from '../oracle/nonce.ts'
import { disturb } from './chaos.ts'
import type { Fired } from './faults.ts'
import { createOperator } from './operator.ts'
import { adminOf, createProducers } from './producers.ts'
import type { Doc } from './producers.ts'
import { createReaders } from './readers.ts'
import type { Readers } from './readers.ts'
import { createWorld } from './world.ts'
import type { Plant, World } from './world.ts'

export interface Outcome {
  readonly seed: number
  readonly verdict: Verdict
  readonly fired: Fired
  /** Of all that happened, in its order. */
  readonly hash: string
  readonly facts: readonly Fact[]
}

const DAY = 24 * 60 * 60 * 1000
const MINUTE = 60 * 1000
const TENANTS = ['acme', 'globex', 'initech']
const GROUPS: readonly (readonly string[] | null)[] = [null, null, ['red'], ['blue'], ['red', 'blue'], []]
/** Retries pause for 15 s at most, a receipt's query for 20 s, what is late comes within 40 s. */
const SETTLE_LIMIT_MS = 2 * 60 * MINUTE
const LATE_MS = 60_000

/** One run of the whole system under the faults of a seed, and what the oracle says of it. */
export async function simulate(
  seed: number,
  { plant = {}, print = null }: { plant?: Plant; print?: ((line: string) => void) | null } = {},
): Promise<Outcome> {
  const world = await createWorld(seed, plant, print)
  const { time, faults, facts } = world
  const docs = documentsOf(world)
  const readers = createReaders(world)
  await waitFor(world, 'the run', live(world, docs, readers), 30 * DAY)
  faults.cease()
  await waitFor(world, 'settling', settle(world, docs, readers), SETTLE_LIMIT_MS)
  await waitFor(world, 'sweeping', sweep(world, docs, readers), 400 * DAY)
  return { seed, verdict: judge(facts), fired: faults.fired, hash: time.hash(), facts }
}

async function waitFor({ time }: World, what: string, work: Promise<void>, limitMs: number): Promise<void> {
  let ended = false
  let failed: unknown
  work.then(
    () => (ended = true),
    (error: unknown) => {
      ended = true
      failed = error
    },
  )
  await time.runUntil(what, () => ended, limitMs)
  if (failed !== undefined) throw failed
}

function documentsOf({ time: { random } }: World): Doc[] {
  const tenants = TENANTS.slice(0, 1 + Math.floor(random() * TENANTS.length))
  const each = 1 + Math.floor(random() * 3)
  return tenants.flatMap((tenant) => Array.from({ length: each }, (_, i) => ({ tenant, id: `d${i}` })))
}

/** Producers, readers, an operator and disasters, side by side. */
async function live(world: World, docs: readonly Doc[], readers: Readers): Promise<void> {
  const { time } = world
  const { random } = time
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  const producers = createProducers(world)
  const operator = createOperator(world, [...new Set(docs.map(({ tenant }) => tenant))])
  const writes = 6 + Math.floor(random() * 16)
  const deletesShare = pick([0, 0.15, 0.4])
  const pauseMs = pick([50, 1_000, 4_000])
  const open = { writers: 3, queries: 0 }

  async function write(): Promise<void> {
    for (let i = 0; i < writes / 3; i++) {
      await time.clock.sleep(1 + random() * 2 * pauseMs)
      const doc = pick(docs)
      if (random() < deletesShare) await producers.remove(doc)
      else {
        const position = await producers.publish(doc)
        if (position && random() < 0.4) ask(readers.readWhole(doc, adminOf(doc.tenant), position))
      }
    }
    open.writers--
  }
  function ask(work: Promise<unknown>): void {
    open.queries++
    const end = (): void => void open.queries--
    void Promise.race([work, time.clock.sleep(60_000)]).then(end)
  }
  async function read(): Promise<void> {
    while (open.writers > 0) {
      await time.clock.sleep(100 + random() * 4 * pauseMs)
      const doc = pick(docs)
      const identity = { tenant: doc.tenant, groups: pick(GROUPS), canWrite: true }
      const kind = random()
      if (kind < 0.6) ask(readers.readWhole(doc, identity))
      else if (kind < 0.75) ask(readers.search(identity))
      else if (kind < 0.9) ask(readers.chat(identity, random() < 0.5 ? doc : null))
      else ask(readers.readText(doc, identity))
    }
  }
  async function operate(): Promise<void> {
    while (open.writers > 0) {
      await time.clock.sleep(random() * 20_000)
      await operator.replay()
    }
  }

  await Promise.all([write(), write(), write(), read(), operate(), disturb(world, () => open.writers === 0)])
  while (open.queries > 0) await time.clock.sleep(1_000)
  await operator.replay()
}

/** Everything works again: what was accepted comes to its end, and an admin looks at each document. */
async function settle(world: World, docs: readonly Doc[], readers: Readers): Promise<void> {
  const { time } = world
  await time.clock.sleep(LATE_MS)
  for (let idle = 0; idle < 2;) {
    await time.clock.sleep(5_000)
    idle = (await world.isIdle()) ? idle + 1 : 0
  }
  await look(world, docs, readers)
}

/** What an admin sees of each document when nothing is under way. */
async function look({ facts }: World, docs: readonly Doc[], readers: Readers): Promise<void> {
  for (const { tenant, id } of docs) {
    const texts = await readers.readWhole({ tenant, id }, adminOf(tenant))
    if (!texts) throw new Error(`nobody answers for ${tenant}/${id} in the end`)
    facts.push({ kind: 'settled', tenant, documentId: id, texts })
  }
}

/** Time passes until nothing that is not shown has a reason to be kept, and what is kept is listed. */
async function sweep(world: World, docs: readonly Doc[], readers: Readers): Promise<void> {
  const { time, stores, facts } = world
  for (let week = 0; week < 5; week++) {
    time.skip(8 * DAY)
    await stores.log.maintain()
    await time.clock.sleep(25 * MINUTE)
  }
  // What was made again because it had waited for a week is visible by now.
  await look(world, docs, readers)
  for (const { tenant, id } of docs) {
    const record = (await stores.registry.lookUp(tenant, [id])).get(id)
    time.trace(`in the end ${JSON.stringify(record)}`)
    for (const { text } of await stores.index.fetch({ tenant, documentId: id }, 1000))
      facts.push({ kind: 'kept', where: 'index', tenant, documentId: id, text })
  }
  const byNonce = new Map(facts.flatMap((fact) => (fact.kind === 'publishing' ? [[fact.nonce, fact]] : [])))
  for (const prefix of ['documents/', 'uploads/']) {
    for (const key of await stores.blobs.list(prefix)) {
      const text = String(await stores.blobs.get(key))
      const [first] = marksIn([key, text])
      const of = first && byNonce.get(first.nonce)
      if (of)
        facts.push({
          kind: 'kept',
          where: 'files',
          tenant: of.tenant,
          documentId: of.documentId,
          text: `${key} ${text}`,
        })
    }
  }
}
