import { crc32 } from 'node:zlib'
import {
  Admin,
  Consumer,
  fetchV15,
  Producer,
  compatibilityPartitioner,
  stringSerializer,
} from '@platformatic/kafka'

/** A record as the broker holds it. */
export interface BrokerRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly appendTimeMs: number
  readonly key: string
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, string>>
}

const LOG_APPEND_TIME = 8
const FETCH_BYTES = 4 * 1024 * 1024
const CLIENT = { clientId: 'foreign', timeout: 5000, connectTimeout: 5000 }

/** Everything that a topic holds, read past the client of the system. None where there is no such topic. */
export async function readTopic(bootstrap: string, topic: string): Promise<BrokerRecord[]> {
  const consumer = new Consumer({ ...CLIENT, bootstrapBrokers: [bootstrap], groupId: 'nobody' })
  try {
    const metadata = await consumer.metadata({ topics: [topic], forceUpdate: true })
    const { id: topicId, partitionsCount } = metadata.topics.get(topic)!
    const connections = await consumer.connectToBrokers()
    const [connection] = connections.values()
    const ends = (await consumer.listOffsets({ topics: [topic], timestamp: -1n })).get(topic)!
    const records: BrokerRecord[] = []
    for (let partition = 0; partition < partitionsCount; partition++) {
      for (let fetchOffset = 0n; fetchOffset < ends[partition]!;) {
        const wanted = {
          partition,
          currentLeaderEpoch: -1,
          fetchOffset,
          lastFetchedEpoch: -1,
          partitionMaxBytes: FETCH_BYTES,
        }
        const topics = [{ topicId, partitions: [wanted] }]
        const { responses } = await fetchV15.api.async(
          connection!,
          500,
          1,
          FETCH_BYTES,
          0,
          0,
          -1,
          topics,
          [],
          '',
        )
        for (const batch of responses[0]?.partitions[0]?.records ?? []) {
          for (const { offsetDelta, timestampDelta, key, value, headers } of batch.records) {
            const offset = batch.firstOffset + BigInt(offsetDelta)
            if (offset < fetchOffset) continue
            const isAppendTime = (batch.attributes & LOG_APPEND_TIME) !== 0
            records.push({
              topic,
              partition,
              offset: Number(offset),
              appendTimeMs: Number(isAppendTime ? batch.maxTimestamp : batch.firstTimestamp + timestampDelta),
              key: key?.toString() ?? '',
              value: value ?? null,
              headers: Object.fromEntries(
                [...headers].map(([name, text]) => [name?.toString() ?? '', text?.toString() ?? '']),
              ),
            })
          }
          fetchOffset = batch.firstOffset + BigInt(batch.lastOffsetDelta) + 1n
        }
      }
    }
    return records
  } finally {
    await consumer.close(true)
  }
}

/** A producer that nobody here wrote. `foreignHash`: it spreads keys by CRC32, as librdkafka's clients do. */
export function createForeignProducer(bootstrap: string) {
  let foreignHash = false
  const create = () =>
    new Producer<string, Buffer, string, string>({
      ...CLIENT,
      bootstrapBrokers: [bootstrap],
      metadataMaxAge: 1000,
      retries: 0,
      serializers: { key: stringSerializer, headerKey: stringSerializer, headerValue: stringSerializer },
      partitioner: (_, key) => (foreignHash ? crc32(key!) : compatibilityPartitioner(_, key)),
    })
  let producer = create()
  return {
    hashByCrc32: () => void (foreignHash = true),
    /** Where the record lies, when every replica has it. */
    async send(
      topic: string,
      key: string,
      value: Buffer | null,
    ): Promise<{ partition: number; offset: number }> {
      try {
        const message = { topic, key, ...(value && { value }) }
        const { offsets } = await producer.send({ messages: [message], acks: -1 })
        const { partition, offset } = offsets![0]!
        return { partition, offset: Number(offset) }
      } catch (error) {
        const broken = producer
        producer = create()
        await broken.close(true).catch(() => undefined)
        throw error
      }
    },
    close: async () => await producer.close(true),
  }
}

/** On the one broker that there is, whose id is 1. */
export async function addPartitions(
  bootstrap: string,
  topics: readonly string[],
  from: number,
  to: number,
): Promise<void> {
  const admin = new Admin({ ...CLIENT, bootstrapBrokers: [bootstrap] })
  const assignments = Array.from({ length: to - from }, () => ({ brokerIds: [1] }))
  try {
    await admin.createPartitions({ topics: topics.map((name) => ({ name, count: to, assignments })) })
  } finally {
    await admin.close()
  }
}
