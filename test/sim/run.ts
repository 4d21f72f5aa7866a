import { Worker } from 'node:worker_threads'
import { RULES } from '../oracle/facts.ts'
import type { Rule } from '../oracle/facts.ts'
import { fire } from './faults.ts'
import type { Fired } from './faults.ts'
import type { SeedReport, WorkerTask } from './worker.ts'

export interface RunOptions {
  readonly seeds: number
  readonly from: number
  readonly threads: number
  /** A name of `PLANTED`. */
  readonly plant?: string | null
  /** Told of each seed as it ends, in no order. Returning true ends the run. */
  readonly onSeed?: (report: SeedReport) => boolean
}

export interface RunResult {
  readonly seeds: number
  readonly counts: Readonly<Record<Rule, number>>
  readonly failing: readonly SeedReport[]
  readonly fired: Fired
}

/** Simulates seeds on several threads: each thread its own share, so that a seed's outcome depends on nothing but itself. */
export async function runSeeds({
  seeds,
  from,
  threads,
  plant = null,
  onSeed,
}: RunOptions): Promise<RunResult> {
  const counts = Object.fromEntries(RULES.map((rule) => [rule, 0])) as Record<Rule, number>
  const failing: SeedReport[] = []
  const fired: Fired = new Map()
  let done = 0
  const workers: Worker[] = []
  const end = async (): Promise<void> => {
    await Promise.all(workers.map(async (worker) => await worker.terminate()))
  }

  function take(report: SeedReport): void {
    done++
    for (const rule of RULES) counts[rule] += report.counts[rule] ?? 0
    for (const [name, times] of report.fired) fire(fired, name, times)
    if (report.violations.length > 0) failing.push(report)
    if (onSeed?.(report)) void end()
  }

  const shares = Array.from({ length: Math.min(threads, seeds) }, (_, share): Promise<void> => {
    const workerData: WorkerTask = { from: from + share, seeds: seeds - share, stride: threads, plant }
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData })
    workers.push(worker)
    return new Promise((resolve, reject) => {
      worker.on('message', take)
      worker.once('error', reject)
      worker.once('exit', () => resolve())
    })
  })
  await Promise.all(shares)
  return { seeds: done, counts, failing: failing.sort((a, b) => a.seed - b.seed), fired }
}
