import { afterAll, test } from 'vitest'
import { startTestKafka } from './kafka-broker.ts'
import { kafkaHarness } from './kafka-harness.ts'
import { eventLogConformance } from './suite.ts'

const kafka = await startTestKafka()
if ('missing' in kafka) test.skip(`event log: kafka (${kafka.missing})`)
else {
  const { part } = kafka
  afterAll(kafka.stop)
  eventLogConformance('kafka', async () => kafkaHarness(part))
}
