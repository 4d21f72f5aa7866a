import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PartMissing } from '@aquifer/infra/part'
import { expect, test } from 'vitest'
import { faults } from '../faults/faults.ts'
import { runFault } from '../faults/run-fault.ts'
import type { Fault } from '../faults/run-fault.ts'

const SEED = Number(process.env['FAULTS_SEED'] ?? 1)
const NAMES = ['replica-killed-mid-batch', 'index-5xx', 'redis-gone-and-back']
/** Those that the others need; the index has a stand-in. */
const REQUIRED = ['kafka', 'redis']

/** On one system, one after another; `pnpm faults` gives each its own. */
const several: Fault = {
  name: NAMES.join(', '),
  about: '',
  async run(stage) {
    for (const name of NAMES) {
      await faults.find((fault) => fault.name === name)!.run(stage)
      await stage.recover()
    }
  },
}

/** About a minute where the machine is its own. */
const LIMIT_MS = 600_000

test(
  `${several.name} on Kafka, Redis and Qdrant: nothing is lost, stale, left over, resurrected or shown to others (seed ${SEED})`,
  { timeout: LIMIT_MS },
  async (context) => {
    const dir = await mkdtemp(join(tmpdir(), 'aquifer-faults-'))
    try {
      const { verdict, counts } = await runFault(several, SEED, dir, { documents: 20, pace: 15 })
      expect(verdict.violations).toEqual([])
      expect(counts.answered).toBeGreaterThan(50)
    } catch (error) {
      const required = process.env['AQUIFER_REQUIRE']?.split(',') ?? []
      if (error instanceof PartMissing && !REQUIRED.some((name) => required.includes(name)))
        return context.skip(error.message)
      throw error
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  },
)
