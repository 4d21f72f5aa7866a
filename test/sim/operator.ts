import { topics } from '@aquifer/contracts/topics'
import { readCause, toReplay } from '@aquifer/event-log/dead-letter'
import { fire } from './faults.ts'
import { adminOf } from './producers.ts'
import type { World } from './world.ts'

const TIMEOUT_MS = 30_000

/** Has dead letters replayed now and then, over the door, as `aquifer dlq replay` does. */
export function createOperator(world: World, tenants: readonly string[]): { replay(): Promise<void> } {
  const { time, plant } = world
  const replayed = new Set<string>()

  async function overTheDoor(tenant: string): Promise<void> {
    const body = JSON.stringify({ selection: {}, limit: 100 })
    const headers = { 'Content-Type': 'application/json' }
    time.trace(`replays what is dead of ${tenant}`)
    await Promise.race([
      world.edge().request('POST', '/v1/dead-letters/replay', adminOf(tenant), body, headers),
      time.clock.sleep(TIMEOUT_MS),
    ])
  }

  /** As a tool of one's own would, that knows no better. Past the ledger: a replay is no publication, wherever it goes. */
  async function byHand(to: (origin: { topic: string }) => string): Promise<void> {
    const dlq = topics.documentsDlq.name
    for (const { partition } of await world.brokerLog.offsets(dlq)) {
      for (const dead of await world.brokerLog.read(dlq, partition, 0, 1000)) {
        const { origin } = readCause(dead.headers)
        const place = `${partition}@${dead.offset}`
        if (!origin || replayed.has(place)) continue
        replayed.add(place)
        fire(world.faults.fired, 'replayed')
        world.facts.push({ kind: 'replayed', position: origin })
        await world.brokerLog.append(to(origin), [toReplay(dead)])
      }
    }
  }

  return {
    async replay() {
      if (plant.replayTo) return await byHand(plant.replayTo)
      for (const tenant of tenants) if (time.random() < 0.7) await overTheDoor(tenant)
    },
  }
}
