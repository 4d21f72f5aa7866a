import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type KafkaPart, startKafka } from '@aquifer/infra/kafka'
import { startTestPart } from '@aquifer/infra/test-part'
import { systemClock } from '@aquifer/runtime/clock'
import { ConfigResourceTypes, ConfigSource, Kafka, logLevel } from 'kafkajs'
import type { Broker } from 'kafkajs/src/cluster/index.js'
import protocol from 'kafkajs/src/protocol/requests/index.js'
import { vi } from 'vitest'
import { createClient, typeOf } from '../src/adapters/kafka-client.ts'
import { produce } from '../src/adapters/kafka-produce.ts'
import { parseKafkaUrl } from '../src/adapters/kafka-url.ts'
import type { KafkaTimings } from '../src/adapters/kafka-client.ts'
import type { EventLog, TopicSpec } from '../src/port.ts'

/** Retention and compaction run all the time, and at once. */
export const EAGER = {
  'log.retention.check.interval.ms': '100',
  'log.initial.task.delay.ms': '100',
  'log.cleaner.backoff.ms': '100',
}
/** For a clock that shortens what is below 20 s. */
export const HASTY: KafkaTimings = {
  callTimeoutMs: 60_000,
  metadataMaxAgeMs: 500,
  heartbeatMs: 500,
  sessionTimeoutMs: 10_000,
  fetchWaitMs: 20,
}
/** A broker, wherever it runs, and its data as this process can read it. */
export type KafkaPlace = Pick<KafkaPart, 'url' | 'bootstrap' | 'dataDir'>
const WAIT = { timeout: 30_000, interval: 20 }

export const startTestKafka = async (login?: { user: string; password: string }) =>
  await startTestPart('kafka', async (options) =>
    startKafka({ ...options, properties: EAGER, ...(login && { login }) }),
  )

export function adminOf({ bootstrap }: Pick<KafkaPlace, 'bootstrap'>) {
  return new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING }).admin()
}

type Admin = ReturnType<typeof adminOf>

/** Sets those of the topic's settings, and keeps the others. */
export async function configure(admin: Admin, topic: string, change: Record<string, string>): Promise<void> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
  })
  const own = resources[0]!.configEntries.filter(
    ({ configSource }) => configSource === ConfigSource.TOPIC_CONFIG,
  )
  const settings = new Map(own.map(({ configName, configValue }) => [configName, configValue]))
  for (const [name, value] of Object.entries(change)) settings.set(name, value)
  await admin.alterConfigs({
    validateOnly: false,
    resources: [
      {
        type: ConfigResourceTypes.TOPIC,
        name: topic,
        configEntries: [...settings].map(([name, value]) => ({ name, value })),
      },
    ],
  })
}

/**
 * Makes the broker apply retention to `specs` as if `elapsedMs` had passed since the appends: what may be kept is shortened
 * by that, and put back afterwards. A canary that is dropped three times shows that a whole pass has gone by.
 */
export async function applyRetention(
  broker: KafkaPlace,
  log: EventLog,
  specs: readonly TopicSpec[],
  elapsedMs: number,
): Promise<void> {
  const admin = adminOf(broker)
  const limited = specs.filter(({ cleanup, retentionMs }) => cleanup === 'delete' && retentionMs !== null)
  for (const { name, retentionMs } of limited)
    await configure(admin, name, { 'retention.ms': String(Math.max(1, retentionMs! - elapsedMs)) })
  const canary = `canary.${randomUUID()}`
  await log.ensureTopics([{ name: canary, partitions: 1, retentionMs: 1, cleanup: 'delete' }])
  for (let pass = 0; pass < 3; pass++) {
    await log.append(canary, [{ key: 'canary', value: null }])
    await vi.waitFor(async () => {
      const offsets = await admin.fetchTopicOffsets(canary)
      if (offsets.some(({ low, high }) => low !== high)) throw new Error('the canary is still there')
    }, WAIT)
  }
  for (const { name, retentionMs } of limited)
    await configure(admin, name, { 'retention.ms': String(retentionMs) })
  await admin.disconnect()
}

/** Makes the broker compact all that the topics hold, and waits until its cleaner says that it has. */
export async function applyCompaction(
  broker: KafkaPlace,
  log: EventLog,
  specs: readonly TopicSpec[],
): Promise<void> {
  const admin = adminOf(broker)
  for (const { name } of specs.filter(({ cleanup }) => cleanup === 'compact')) {
    await configure(admin, name, { 'segment.ms': '1', 'min.cleanable.dirty.ratio': '0' })
    for (const { partition, next } of await log.offsets(name)) {
      if (next === 0) continue
      await rollSegment(broker, name, partition)
      await vi.waitFor(async () => {
        const checkpoint = await readFile(join(broker.dataDir, 'cleaner-offset-checkpoint'), 'utf8')
        if (!checkpoint.includes(`${name} ${partition} ${next}\n`)) throw new Error('not compacted yet')
      }, WAIT)
    }
  }
  await admin.disconnect()
}

/**
 * Kafka never compacts the segment that it appends to, and begins another one only when something is appended. So it is
 * given a batch that it begins a segment for and then refuses: one that leaves out sequence numbers of the last producer.
 */
async function rollSegment(broker: KafkaPlace, topic: string, partition: number): Promise<void> {
  const client = createClient({
    address: parseKafkaUrl(broker.url),
    clock: systemClock,
    logger: null,
    timings: HASTY,
  })
  try {
    const node = await client.broker((await client.leaders(topic))[partition]!)
    const { producerId, producerEpoch, firstSequence, lastOffsetDelta } = await lastBatch(
      node,
      topic,
      partition,
    )
    const refused = await produce(node, {
      producerId,
      producerEpoch,
      acks: -1,
      timeout: 5_000,
      compression: 0,
      topic,
      batches: [
        {
          partition,
          firstSequence: firstSequence + lastOffsetDelta + 100,
          messages: [{ key: Buffer.from('refused'), value: null, headers: {} }],
        },
      ],
    }).then(
      () => null,
      (error: unknown) => typeOf(error),
    )
    if (refused !== 'OUT_OF_ORDER_SEQUENCE_NUMBER')
      throw new Error(`the broker should have refused it: ${refused}`)
  } finally {
    await client.close()
  }
}

interface BatchPlace {
  readonly producerId: string
  readonly producerEpoch: number
  readonly firstSequence: number
  readonly lastOffsetDelta: number
}

async function lastBatch(broker: Broker, topic: string, partition: number): Promise<BatchPlace> {
  const partitions = [{ partition, fetchOffset: '0', maxBytes: 10_000_000 }]
  const request = { isolationLevel: 0, maxWaitTime: 100, minBytes: 1, maxBytes: 10_000_000 }
  const fetch = protocol.requests.Fetch.protocol({ version: 11 })
  const { responses } = (await broker.connectionPool.send(
    fetch({ ...request, topics: [{ topic, partitions }] }),
  )) as { responses: { partitions: { messages: { batchContext: BatchPlace }[] }[] }[] }
  return responses[0]!.partitions[0]!.messages.at(-1)!.batchContext
}
