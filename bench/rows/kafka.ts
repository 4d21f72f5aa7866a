import { openKafkaEventLog } from '@aquifer/event-log/kafka'
import { startKafka } from '@aquifer/infra/kafka'
import { PartMissing } from '@aquifer/infra/part'
import { startTestPart } from '@aquifer/infra/test-part'
import { systemClock } from '@aquifer/runtime/clock'
import type { Bench, BenchOptions, Side, Sides } from '../comparison.ts'
import type { KafkaSetup, KafkaTask } from './kafka-thread.ts'
import { documentRecords, inRuns } from './log-records.ts'
import { startThread } from './log-thread.ts'

const PARTITIONS = 4
const BATCH_RECORDS = 500

/**
 * The Kafka adapter beside kafkajs's own producer and consumer, on one real broker, each in a thread of its own.
 *
 * Equal in produce: idempotent, acks from all replicas, gzip, batches of 500 records of about 1 KiB by key over four partitions, each
 * awaited before the next; so a record that was answered lies there once. Equal in consume: one member from the start of the topic,
 * 1 MiB a partition and request, all partitions at once, every batch committed and that awaited before the partition's next one.
 * Ours alone hands out records that keep no larger buffer alive, and leaves out what was aborted.
 */
export const kafkaBench: Bench = {
  rows: [
    {
      name: 'kafka-produce',
      title: 'Kafka adapter, produce in batches of 500',
      unit: 'records/s',
      better: 'more',
      goal: 0.95,
      limit:
        'gzip in two threads, and the broker; the batches of a request are packed at once, where kafkajs packs one after another',
    },
    {
      name: 'kafka-consume',
      title: 'Kafka adapter, consume and commit',
      unit: 'records/s',
      better: 'more',
      goal: 0.95,
      limit:
        'unpacking, and kafkajs’s own decoding of each record on one thread; what is handed out was fetched ahead',
    },
  ],
  open,
}

async function open({ smoke }: BenchOptions): Promise<Sides> {
  const produced = smoke ? 1_000 : 20_000
  const consumed = smoke ? 2_000 : 80_000
  const records = documentRecords(consumed)
  const kafka = await startTestPart('kafka', startKafka)
  if ('missing' in kafka) throw new PartMissing(kafka.missing)
  const { bootstrap } = kafka.part
  await prepare(bootstrap, records)
  const names = ['ours', 'kafkajs'] as const
  const threads = await Promise.all(
    names.map((side) =>
      startThread<KafkaTask>(new URL('./kafka-thread.ts', import.meta.url), {
        side,
        bootstrap,
        partitions: PARTITIONS,
        batchRecords: BATCH_RECORDS,
        records: produced,
      } satisfies KafkaSetup),
    ),
  )
  let groups = 0
  const sides = names.map((name, nth): Side => {
    const thread = threads[nth]!
    return {
      name: name === 'ours' ? 'the adapter' : name,
      run: async () => ({
        'kafka-produce': await thread.run({ kind: 'produce', topic: `produce.${name}` }),
        'kafka-consume': await thread.run({
          kind: 'consume',
          topic: 'consume',
          group: `group-${groups++}`,
          records: consumed,
        }),
      }),
    }
  })
  if (!smoke) for (const side of sides) await side.run(-1)
  return {
    ours: sides[0]!,
    peers: sides.slice(1),
    async close() {
      await Promise.all(threads.map((thread) => thread.close()))
      await kafka.stop()
    },
  }
}

/** The topics, and all that there is to consume. */
async function prepare(bootstrap: string, records: ReturnType<typeof documentRecords>): Promise<void> {
  const log = await openKafkaEventLog({ url: `kafka://${bootstrap}`, clock: systemClock })
  await log.ensureTopics(
    ['produce.ours', 'produce.kafkajs', 'consume'].map((name) => ({
      name,
      partitions: PARTITIONS,
      retentionMs: null,
      cleanup: 'delete',
    })),
  )
  for (const batch of inRuns(records, BATCH_RECORDS)) await log.append('consume', batch)
  await log.close()
}
