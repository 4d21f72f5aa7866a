import { workerData } from 'node:worker_threads'
import { openKafkaEventLog } from '@aquifer/event-log/kafka'
import { systemClock } from '@aquifer/runtime/clock'
import { CompressionTypes, Kafka, logLevel, Partitioners } from 'kafkajs'
import { documentRecords, inRuns } from './log-records.ts'
import { serve, type ServedSide } from './log-thread.ts'
import { timed, touch } from './log-work.ts'

/** One side of the Kafka comparison, in a thread of its own: see kafka.ts. */
export interface KafkaSetup {
  readonly side: 'ours' | 'kafkajs'
  readonly bootstrap: string
  readonly partitions: number
  /** Of one append, and so of one request. */
  readonly batchRecords: number
  /** How many records an append task writes. */
  readonly records: number
}

export type KafkaTask =
  | { readonly kind: 'produce'; readonly topic: string }
  /** Reads `records` from the start of the topic in a new group; the first tenth is left out of the time. */
  | { readonly kind: 'consume'; readonly topic: string; readonly group: string; readonly records: number }

/** Resolves to the rate of what came after the first tenth, when all is committed. */
interface Meter {
  count(records: number): void
  /** Everything has been counted; then what is under way may commit. */
  readonly full: Promise<void>
  rate(): number
}

const WARM_SHARE = 0.1

function meter(expected: number): Meter {
  const full = Promise.withResolvers<void>()
  let seen = 0
  let warm: { seen: number; at: number } | null = null
  return {
    count(records) {
      seen += records
      if (warm === null && seen >= expected * WARM_SHARE) warm = { seen, at: performance.now() }
      if (seen === expected) full.resolve()
      if (seen > expected) full.reject(new Error(`${seen} records came of ${expected}`))
    },
    full: full.promise,
    rate: () => ((expected - warm!.seen) / (performance.now() - warm!.at)) * 1000,
  }
}

async function openOurs(setup: KafkaSetup): Promise<ServedSide<KafkaTask>> {
  const log = await openKafkaEventLog({ url: `kafka://${setup.bootstrap}`, clock: systemClock })
  const batches = inRuns(documentRecords(setup.records), setup.batchRecords)

  async function consume(topic: string, group: string, records: number): Promise<number> {
    const seen = meter(records)
    const subscription = await log.subscribe(
      { group, topics: [topic], maxBatchRecords: records, maxBatchBytes: 4 * 1024 * 1024 },
      async (batch) => {
        const count = touch(batch.records)
        await batch.commit(batch.records.at(-1)!.offset)
        seen.count(count)
      },
    )
    await seen.full
    const rate = seen.rate()
    await subscription.stop()
    return rate
  }

  return {
    run: async (task) =>
      task.kind === 'consume'
        ? await consume(task.topic, task.group, task.records)
        : await timed(setup.records, async () => {
            for (const batch of batches) await log.append(task.topic, batch)
          }),
    close: () => log.close(),
  }
}

async function openKafkajs(setup: KafkaSetup): Promise<ServedSide<KafkaTask>> {
  const kafka = new Kafka({ brokers: [setup.bootstrap], logLevel: logLevel.NOTHING })
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    createPartitioner: Partitioners.DefaultPartitioner,
  })
  await producer.connect()
  const batches = inRuns(documentRecords(setup.records), setup.batchRecords)

  async function consume(topic: string, groupId: string, records: number): Promise<number> {
    const seen = meter(records)
    const consumer = kafka.consumer({ groupId, heartbeatInterval: 1_000, sessionTimeout: 10_000 })
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      partitionsConsumedConcurrently: setup.partitions,
      async eachBatch({ batch }) {
        const count = touch(batch.messages)
        const offset = String(Number(batch.lastOffset()) + 1)
        await consumer.commitOffsets([{ topic, partition: batch.partition, offset }])
        seen.count(count)
      },
    })
    await seen.full
    const rate = seen.rate()
    await consumer.disconnect()
    return rate
  }

  return {
    run: async (task) =>
      task.kind === 'consume'
        ? await consume(task.topic, task.group, task.records)
        : await timed(setup.records, async () => {
            for (const messages of batches)
              await producer.send({
                topic: task.topic,
                messages,
                acks: -1,
                compression: CompressionTypes.GZIP,
              })
          }),
    close: () => producer.disconnect(),
  }
}

const setup = workerData as KafkaSetup
serve(setup.side === 'ours' ? openOurs(setup) : openKafkajs(setup))
