import type { ApiCall, Broker, Message, Produced } from 'kafkajs/src/cluster/index.js'
import Encoder from 'kafkajs/src/protocol/encoder.js'
import encodeRecord from 'kafkajs/src/protocol/recordBatch/record/v0/index.js'
import { RecordBatch } from 'kafkajs/src/protocol/recordBatch/v0/index.js'
import protocol from 'kafkajs/src/protocol/requests/index.js'

export interface ProduceRequest {
  readonly producerId: string
  readonly producerEpoch: number
  readonly acks: number
  /** How long the leader waits for the replicas, ms. */
  readonly timeout: number
  /** A code of Kafka's, for every batch. */
  readonly compression: number
  readonly topic: string
  readonly batches: readonly Batch[]
}

interface Batch {
  readonly partition: number
  readonly firstSequence: number
  readonly messages: readonly Message[]
}

/**
 * One Produce request, version 7 (https://kafka.apache.org/protocol#The_Messages_Produce), a batch for each partition. kafkajs
 * packs the batches of a request one after another; here the threads that pack have all of them at once, which is most of
 * the time that a request takes. Rejects with the first error that the broker names.
 */
export async function produce(broker: Broker, request: ProduceRequest): Promise<Produced> {
  const { acks, timeout, topic, batches } = request
  const packed = await Promise.all(batches.map(async (batch) => await pack(batch, request)))
  const topicData = new Encoder().writeString(topic).writeArray(packed)
  const { request: plain, response } = protocol.requests.Produce.protocol({ version: 7 })({ topicData: [] })
  const call: ApiCall<Produced> = {
    request: {
      ...plain,
      encode: async () =>
        new Encoder().writeString(null).writeInt16(acks).writeInt32(timeout).writeArray([topicData]),
    },
    response,
  }
  return await broker.connectionPool.send(call)
}

async function pack({ partition, firstSequence, messages }: Batch, request: ProduceRequest) {
  const { producerId, producerEpoch, compression } = request
  // The broker puts its own time in their place.
  const [firstTimestamp, timestampDelta] = [Date.now(), 0]
  const batch = await RecordBatch({
    compression,
    records: messages.map((message, offsetDelta) =>
      encodeRecord({ ...message, offsetDelta, timestampDelta }),
    ),
    firstTimestamp,
    maxTimestamp: firstTimestamp,
    producerId,
    producerEpoch,
    firstSequence,
    lastOffsetDelta: messages.length - 1,
  })
  return new Encoder().writeInt32(partition).writeInt32(batch.size()).writeEncoder(batch)
}
