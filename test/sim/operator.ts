import { deadLetterTopics, topics, VERSION_HEADER } from '@aquifer/contracts/topics'
import { formatVersion } from '@aquifer/contracts/version'
import { readCause, toReplay } from '@aquifer/event-log/dead-letter'
import { fire } from './faults.ts'
import type { World } from './world.ts'

/** Replays each dead letter of a document at most once: to the retry topic, as its origin's version. */
export function createOperator({ stores, time, plant, faults, facts, brokerLog }: World): {
  replay(): Promise<void>
} {
  const replayed = new Set<string>()
  return {
    async replay() {
      for (const { partition } of await stores.log.offsets(topics.documentsDlq.name)) {
        for (const dead of await stores.log.read(topics.documentsDlq.name, partition, 0, 1000)) {
          const { origin } = readCause(dead.headers)
          const place = `${partition}@${dead.offset}`
          if (!origin || replayed.has(place) || time.random() < 0.3) continue
          replayed.add(place)
          const record = toReplay(dead)
          const headers = { ...record.headers, [VERSION_HEADER]: formatVersion(origin) }
          const to = plant.replayTo?.(origin) ?? deadLetterTopics[0].retry
          time.trace(`replays ${place} to ${to}`)
          fire(faults.fired, 'replayed')
          facts.push({ kind: 'replayed', position: origin })
          // Past the ledger: a replay is no publication, wherever it goes.
          await brokerLog.append(to, [{ ...record, headers }])
        }
      }
    },
  }
}
