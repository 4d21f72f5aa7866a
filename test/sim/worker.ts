import { parentPort, workerData } from 'node:worker_threads'
import { errorMessage } from '@aquifer/runtime/errors'
import { PLANTED } from './planted.ts'
import { simulate } from './simulate.ts'
import type { Plant } from './world.ts'

export interface WorkerTask {
  readonly from: number
  readonly seeds: number
  /** Every so many-th seed from `from` on. */
  readonly stride: number
  readonly plant: string | null
}

export interface SeedReport {
  readonly seed: number
  readonly counts: Readonly<Record<string, number>>
  readonly violations: readonly string[]
  readonly fired: readonly (readonly [string, number])[]
}

// Failures are made by the thousand, and nobody reads where.
Error.stackTraceLimit = 0

const { from, seeds, stride, plant } = workerData as WorkerTask
const planted: Plant = plant === null ? {} : PLANTED[plant as keyof typeof PLANTED]

for (let seed = from; seed < from + seeds; seed += stride) {
  try {
    const { verdict, fired } = await simulate(seed, { plant: planted })
    report({ seed, counts: verdict.counts, violations: verdict.violations, fired: [...fired] })
  } catch (error) {
    // What never comes to rest has not brought its documents where they belong.
    report({ seed, counts: { lost: 1 }, violations: [`lost: ${errorMessage(error)}`], fired: [] })
  }
}

function report(done: SeedReport): void {
  parentPort!.postMessage(done)
}
