import { workerData } from 'node:worker_threads'
import { partitionOf } from '@aquifer/event-log/partitioner'
import { Redis } from 'ioredis'
import { documentRecords, inRuns, type SampleRecord } from './log-records.ts'
import { serve } from './log-thread.ts'
import {
  BATCH_PUBLISHERS,
  BATCH_RECORDS,
  CONSUME_RECORDS,
  fromCallers,
  measured,
  PARTITIONS,
  PUBLISHERS,
  TOPIC,
  touch,
  type LogSetup,
  type LogSide,
} from './log-work.ts'

/** What XREADGROUP answers of one stream: ids, and names and values in turn. */
type Answer = [stream: Buffer, entries: [id: Buffer, fields: Buffer[]][]][]

/** Redis streams, one for each partition, with a consumer group; ioredis sends what waits in one piece (`enableAutoPipelining`). */
async function open({ place, consumed }: LogSetup): Promise<LogSide> {
  const redis = new Redis(place, { enableAutoPipelining: true })
  const readers = Array.from({ length: PARTITIONS }, () => new Redis(place))
  const entryOf = (topic: string, { key, value, headers }: SampleRecord) =>
    [
      `${topic}.${partitionOf(Buffer.from(key), PARTITIONS)}`,
      '*',
      'key',
      key,
      'headers',
      JSON.stringify(headers),
      'value',
      value,
    ] as const
  async function addAll(topic: string, records: readonly SampleRecord[]): Promise<void> {
    const pipeline = redis.pipeline()
    for (const record of records) pipeline.xadd(...entryOf(topic, record))
    await pipeline.exec()
  }
  for (const batch of inRuns(documentRecords(consumed), BATCH_RECORDS)) await addAll('consume', batch)

  async function consumePartition(reader: Redis, stream: string, group: string): Promise<number> {
    await reader.xgroup('CREATE', stream, group, '0', 'MKSTREAM')
    for (let seen = 0; ;) {
      const answer = (await reader.xreadgroupBuffer(
        'GROUP',
        group,
        'one',
        'COUNT',
        CONSUME_RECORDS,
        'STREAMS',
        stream,
        '>',
      )) as Answer | null
      const entries = answer?.[0]?.[1]
      if (!entries) return seen
      seen += touch(entries.map(([, fields]) => ({ value: fields[5]! })))
      await reader.xack(stream, group, ...entries.map(([id]) => id))
    }
  }

  return {
    append: (records) => fromCallers(PUBLISHERS, records, (record) => redis.xadd(...entryOf(TOPIC, record))),
    appendBatches: (batches) => fromCallers(BATCH_PUBLISHERS, batches, (batch) => addAll(TOPIC, batch)),
    async consume(group) {
      const seen = await Promise.all(
        readers.map((reader, partition) => consumePartition(reader, `consume.${partition}`, group)),
      )
      const total = seen.reduce((sum, count) => sum + count, 0)
      if (total !== consumed) throw new Error(`${total} records came of ${consumed}`)
    },
    async close() {
      await Promise.all([redis, ...readers].map((client) => client.quit()))
    },
  }
}

const setup = workerData as LogSetup
serve(open(setup).then((side) => measured(side, setup)))
