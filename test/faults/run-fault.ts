import { mkdir } from 'node:fs/promises'
import { RULES } from '../oracle/facts.ts'
import type { Fact, Rule, Verdict } from '../oracle/facts.ts'
import { judge } from '../oracle/judge.ts'
import { seeded } from '../e2e/harness/seeded.ts'
import { ask, wholeDocument } from './door.ts'
import { readKept, readLedger, withAppendTimes } from './evidence.ts'
import { startLoad } from './load.ts'
import type { Load, LoadCounts } from './load.ts'
import { eventually } from './wait.ts'
import { keyFor, startWorld, TENANTS } from './world.ts'
import type { World, WorldNeeds } from './world.ts'

export interface Fault {
  readonly name: string
  /** One sentence for the table. */
  readonly about: string
  readonly needs?: WorldNeeds
  /** Makes it and ends it. Throws where it did not come about. */
  run(stage: Stage): Promise<void>
}

/** What a fault plays on. */
export interface Stage {
  readonly world: World
  readonly load: Load
  readonly random: () => number
  /** Measures until fresh publications can be searched, from now or from a moment of `performance.now()`; the longest of a run is told. */
  readonly recover: (sinceMs?: number) => Promise<void>
}

export interface Outcome {
  readonly name: string
  readonly seed: number
  readonly verdict: Verdict
  /** From the fault's end until publications made then are searchable by their receipts, the slowest of them. */
  readonly recoveryMs: number
  /** Texts embedded, by the texts that there were. */
  readonly repeatedWork: number
  readonly counts: LoadCounts
  /** What the vector index was. */
  readonly index: string
}

export interface Size {
  readonly documents: number
  /** Changes before a fault at least, changes within which it comes, and changes after it. */
  readonly pace: number
}

const SIZE: Size = { documents: 80, pace: 60 }
const FRESH = 8
const RECOVERY_LIMIT_MS = 240_000
const SETTLE_LIMIT_MS = 120_000
const SWEEP_LIMIT_MS = 60_000

/** One fault on a system of its own, under a load that the seed decides, and what the oracle says. Throws `PartMissing`. */
export async function runFault(
  fault: Fault,
  seed: number,
  dir: string,
  { documents, pace }: Size = SIZE,
): Promise<Outcome> {
  await mkdir(dir, { recursive: true })
  const random = seeded(seed)
  const world = await startWorld(dir, fault.needs ?? {})
  const facts: Fact[] = []
  let load: Load | null = null
  try {
    load = startLoad(world, facts, random, documents)
    let recoveryMs = 0
    const stage: Stage = {
      world,
      load,
      random,
      recover: async (sinceMs = performance.now()) => {
        await untilFresh(load!, random)
        recoveryMs = Math.max(recoveryMs, performance.now() - sinceMs)
      },
    }
    await load.more(pace + Math.floor(random() * pace))
    await fault.run(stage)
    load.leaveRecent()
    await stage.recover()
    await load.more(pace)
    await load.stop()
    const unsettled = await settle(world, load, facts)
    const verdict = await judgeSwept(world, facts)
    // What never comes to its end is lost; where the oracle does not find it so, something is wrong here.
    if (unsettled && verdict.violations.length === 0) throw unsettled
    const texts = [...world.model.embedded.values()]
    const repeatedWork = texts.reduce((sum, times) => sum + times, 0) / texts.length
    const { counts } = load
    return { name: fault.name, seed, verdict, recoveryMs, repeatedWork, counts, index: world.qdrant.label }
  } finally {
    await load?.stop().catch(() => undefined)
    await world.close()
  }
}

/** What is published now can be searched. */
async function untilFresh(load: Load, random: () => number): Promise<void> {
  const docs = Array.from(
    { length: FRESH },
    () => load.changing[Math.floor(random() * load.changing.length)]!,
  )
  await Promise.all(
    docs.map(async (doc) => {
      const place = await load.publish(doc)
      if (!place) throw new Error('nothing could be published any more')
      await eventually(RECOVERY_LIMIT_MS, `${doc.id} is searchable again`, async () => {
        return (await load.readWhole(doc, null, place)) === 'fresh'
      })
    }),
  )
}

/** Nothing is under way any more, and an admin looks at each document. Returns what is wrong where something stays under way. */
async function settle(world: World, load: Load, facts: Fact[]): Promise<Error | null> {
  let quiet = 0
  const settled = eventually(SETTLE_LIMIT_MS, 'everything has settled', async () => {
    const idle = await Promise.all(TENANTS.map(async (tenant) => await isIdle(world, tenant)))
    quiet = idle.every(Boolean) ? quiet + 1 : 0
    return quiet === 3
  })
  const unsettled = await settled.then(
    () => null,
    (error: Error) => error,
  )
  for (const doc of load.docs) {
    const found = await eventually(SETTLE_LIMIT_MS, 'an answer in the end', async () => {
      const answer = await wholeDocument(world, doc, null)
      return typeof answer === 'string' ? null : answer
    })
    facts.push({ kind: 'settled', tenant: doc.tenant, documentId: doc.id, texts: found.texts })
  }
  return unsettled
}

async function isIdle(world: World, tenant: string): Promise<boolean> {
  const { status, body } = await ask(world, 'GET', '/v1/status', keyFor(tenant, null))
  if (status !== 200) return false
  const { documents, lag } = body as { documents: Record<string, number>; lag: Record<string, number> }
  return documents['queued'] === 0 && lag['connector'] === 0 && lag['embedder'] === 0
}

/** Sweeps come every 1.5 s in each process: what they are to take is given so long. */
async function judgeSwept(world: World, facts: readonly Fact[]): Promise<Verdict> {
  const ledger = await readLedger(world)
  const dated = [...withAppendTimes(facts, ledger), ...ledger]
  let verdict: Verdict | null = null
  const isClean = async (): Promise<boolean> => {
    verdict = judge([...dated, ...(await readKept(world, facts))])
    return verdict.counts.orphan === 0
  }
  await eventually(SWEEP_LIMIT_MS, 'the sweeps', isClean, 1000).catch((error: unknown) => {
    if (verdict === null) throw error
  })
  return verdict!
}

export function formatOutcome({ name, seed, verdict, recoveryMs, repeatedWork }: Outcome): string {
  const counts = RULES.map((rule: Rule) => `${rule} ${verdict.counts[rule]}`).join(' ')
  const figures = `recovery ${(recoveryMs / 1000).toFixed(1)} s  repeated-work ${repeatedWork.toFixed(2)}`
  return `${name}  ${counts}  ${figures}  seed ${seed}`
}
