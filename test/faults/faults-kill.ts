import type { Fault, Stage } from './run-fault.ts'
import { within } from './wait.ts'

const DEATH_LIMIT_MS = 60_000

/** One embedder after the other dies at that moment; the other takes over, and it comes back. */
async function killEach({ world, load, recover, random }: Stage, arm: (name: string) => void): Promise<void> {
  for (const name of ['embedder-1', 'embedder-2']) {
    arm(name)
    await within(DEATH_LIMIT_MS, `${name} dies`, world.services.get(name)!.gone)
    const diedMs = performance.now()
    load.leaveRecent()
    if (random() < 0.5) {
      await recover(diedMs)
      await world.start(name)
    } else {
      await world.start(name)
      await recover(diedMs)
    }
  }
}

const killAfter =
  (write: string) =>
  async (stage: Stage): Promise<void> =>
    await killEach(stage, (name) => {
      stage.world.services.get(name)!.arm({ killAfter: write, count: 1 + Math.floor(stage.random() * 4) })
    })

export const kills: readonly Fault[] = [
  {
    name: 'kill-before-upsert',
    about: 'kill -9 of an embedder whose vectors are made and whose points are on their way',
    async run(stage) {
      const { world } = stage
      let victim: string | null = null
      world.indexGate.fate = ({ who, method, path }) => {
        if (who !== victim || method !== 'PUT' || !path.includes('/points')) return 'serve'
        victim = null
        void world.services.get(who)!.end('SIGKILL')
        return 'cut'
      }
      await killEach(stage, (name) => (victim = name))
      world.indexGate.fate = () => 'serve'
    },
  },
  {
    name: 'kill-between-upsert-and-commit',
    about: 'kill -9 of an embedder when points are in the index and nothing shows them',
    run: killAfter('points'),
  },
  {
    name: 'kill-between-flip-and-cleanup',
    about: 'kill -9 of an embedder when a version is visible and the older one still in the index',
    run: killAfter('flip'),
  },
]
