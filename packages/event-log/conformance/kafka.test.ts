import { afterAll, test } from 'vitest'
import { openKafkaEventLog } from '../src/adapters/kafka.ts'
import type { EventLog, TopicSpec } from '../src/port.ts'
import { hastyClock } from './embedded.ts'
import { applyCompaction, applyRetention, HASTY, startTestKafka } from './kafka-broker.ts'
import { eventLogConformance } from './suite.ts'

const kafka = await startTestKafka()
if ('missing' in kafka) test.skip(`event log: kafka (${kafka.missing})`)
else {
  const { part } = kafka
  afterAll(kafka.stop)
  eventLogConformance('kafka', async () => {
    const specs = new Map<string, TopicSpec>()
    let elapsedMs = 0
    const open = async (): Promise<EventLog> => {
      const log = await openKafkaEventLog({ url: part.url, clock: hastyClock(), timings: HASTY })
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
        await applyRetention(part, log, [...specs.values()], elapsedMs)
        await applyCompaction(part, log, [...specs.values()])
      },
      deadlineMs: 30_000,
      close: (log) => log.close(),
    }
  })
}
