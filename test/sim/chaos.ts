import { fire, PORTS } from './faults.ts'
import type { World } from './world.ts'

const HOUR = 60 * 60 * 1000
const DAY = 24 * HOUR
const PAUSE_MS = 4_000

/** What befalls the system as a whole, until `isOver`. Which of it, and how often, is the seed's. */
export async function disturb(world: World, isOver: () => boolean): Promise<void> {
  const { time, faults } = world
  const { random } = time
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  const disasters: (() => void | Promise<void>)[] = [
    () => world.crash(pick(world.consumers), random() * 8_000),
    () => world.crash(pick(world.consumers), 0),
    () => {
      const { kind } = pick(world.consumers)
      for (const replica of world.consumers)
        if (replica.kind === kind) world.crash(replica, random() * 20_000)
    },
    () => pick(world.consumers).process.freeze(1_000 + random() * 4_000),
    () => pick(world.consumers).process.freeze(7_000 + random() * 30_000),
    () => world.roll(pick(world.consumers)),
    () => world.crashEdge(),
    () => faults.breakDown(pick(PORTS), random() * 8_000),
    () => rewind(world),
    async () => {
      // As brokers do, which leave young records alone: not what nobody has read yet.
      if (!(await world.isIdle('connector'))) return
      fire(faults.fired, 'compaction')
      time.trace('compaction')
      await world.stores.log.maintain()
    },
  ]
  // Each seed has its own few kinds, so that each kind also comes often.
  const own = disasters.filter(() => random() < 0.5)
  // What failed hides, from the recovery, the version before it that still waited: its chunks would be lost with the week.
  if (!world.isFaulty && random() < 0.3) own.push(once(() => longOutage(world)))
  if (own.length === 0 || random() < 0.1) return
  while (!isOver()) {
    await time.clock.sleep(random() * 2 * PAUSE_MS)
    if (!isOver()) await pick(own)()
  }
}

/** No embedder for longer than chunks are kept. */
async function longOutage(world: World): Promise<void> {
  const { time, faults, stores, consumers } = world
  fire(faults.fired, 'chunks expired')
  time.trace('no embedder for a week')
  for (const replica of consumers) if (replica.kind === 'embedder') world.crash(replica, 8 * DAY)
  await time.clock.sleep(time.random() * 10_000)
  time.skip((6 + time.random()) * DAY)
  await time.clock.sleep(2 * HOUR)
  time.skip(DAY)
  if (await world.isIdle('connector')) await stores.log.maintain()
  time.skip(DAY)
}

function once(act: () => Promise<void>): () => Promise<void> {
  let done = false
  return async () => {
    if (done) return
    done = true
    await act()
  }
}

/** A group's commit is lost, as by an operator's hand, who has to stop its members for it: what was done comes again. */
function rewind(world: World): void {
  const { stores, time, faults, consumers } = world
  const commits = [...stores.disk.commits.keys()]
  if (commits.length === 0) return
  const key = commits[Math.floor(time.random() * commits.length)]!
  const before = stores.disk.commits.get(key)!
  const back = 1 + Math.floor(time.random() * 6)
  stores.disk.commits.set(key, Math.max(0, before - back))
  fire(faults.fired, 'offsets rewound')
  time.trace(`commit ${key} goes from ${before} back by ${back}`)
  for (const replica of consumers) if (key.includes(replica.kind)) world.crash(replica, 0)
}
