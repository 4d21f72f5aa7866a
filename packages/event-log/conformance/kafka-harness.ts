import { openKafkaEventLog } from '../src/adapters/kafka.ts'
import type { EventLog, TopicSpec } from '../src/port.ts'
import type { EventLogHarness } from './context.ts'
import { hastyClock } from './embedded.ts'
import { applyCompaction, applyRetention, HASTY } from './kafka-broker.ts'
import type { KafkaPlace } from './kafka-broker.ts'

/** The event log on a broker that runs with `EAGER`. */
export function kafkaHarness(broker: KafkaPlace): EventLogHarness {
  const specs = new Map<string, TopicSpec>()
  let elapsedMs = 0
  const open = async (): Promise<EventLog> => {
    const log = await openKafkaEventLog({ url: broker.url, clock: hastyClock(), timings: HASTY })
    return {
      ...log,
      async ensureTopics(some) {
        await log.ensureTopics(some)
        for (const spec of some) specs.set(spec.name, spec)
      },
    }
  }
  return {
    open,
    async reopen(log) {
      await log.close()
      return await open()
    },
    async clean(log, afterMs) {
      elapsedMs += afterMs
      await applyRetention(broker, log, [...specs.values()], elapsedMs)
      await applyCompaction(broker, log, [...specs.values()])
    },
    deadlineMs: 30_000,
    close: (log) => log.close(),
  }
}
