import { availableParallelism } from 'node:os'
import { describe, expect, test } from 'vitest'
import { formatCounts } from '../oracle/facts.ts'
import { PLANTED } from './planted.ts'
import { runSeeds } from './run.ts'
import { simulate } from './simulate.ts'

const SEEDS = 2_000
/** Within so many seeds a planted fault has to be seen. */
const PLANT_SEEDS = 200
const threads = Math.min(availableParallelism(), 8)

/** What has to have come about in those seeds; else they would prove little. */
const PORTS = ['log', 'registry', 'index', 'embedder', 'parser']
const FAULTS = PORTS.flatMap((port) =>
  ['refused', 'lost', 'late', 'down'].map((way) => `${port} ${way}`),
).concat(
  ['blobs refused', 'blobs lost', 'blobs down', 'killed', 'zombie', 'frozen', 'rolling restart'],
  ['offsets rewound', 'compaction', 'chunks expired', 'slow call', 'foreign partitioner', 'published twice'],
  ['document dead-lettered', 'chunks dead-lettered', 'replayed', 'request sent again'],
)

describe('simulation', () => {
  test(`${SEEDS} seeds: nothing is lost, stale, orphaned, resurrected or shown to others; every fault came about`, async () => {
    const { seeds, counts, failing, fired } = await runSeeds({ seeds: SEEDS, from: 1, threads })
    const told = failing.flatMap(({ seed, violations }) => violations.map((each) => `seed ${seed}: ${each}`))
    expect(told).toEqual([])
    const none = { lost: 0, stale: 0, orphan: 0, resurrected: 0, 'wrong-tenant': 0 }
    expect(formatCounts(seeds, counts)).toBe(formatCounts(SEEDS, none))
    expect(FAULTS.filter((name) => !fired.has(name))).toEqual([])
  })

  test('the same seed is the same run, event by event', async () => {
    for (const seed of [1, 7, 20]) {
      const [first, second] = [await simulate(seed), await simulate(seed)]
      expect(second.hash).toBe(first.hash)
      expect(second.facts).toEqual(first.facts)
    }
    expect((await simulate(2)).hash).not.toBe((await simulate(3)).hash)
  })

  test.each(Object.keys(PLANTED))('planted: %s is seen', async (plant) => {
    const { failing } = await runSeeds({
      seeds: PLANT_SEEDS,
      from: 1,
      threads,
      plant,
      onSeed: ({ violations }) => violations.length > 0,
    })
    expect(failing.length).toBeGreaterThan(0)
  })
})
