import type { Clock } from '@aquifer/runtime/clock'
import { AquiferError, errorMessage, unavailable } from '@aquifer/runtime/errors'
import type { Message } from 'kafkajs/src/cluster/index.js'
import compression from 'kafkajs/src/protocol/message/compression/index.js'
import { type KafkaClient, typeOf } from './kafka-client.ts'
import { produce as sendProduce } from './kafka-produce.ts'

/** A batch before it is packed; what does not pack grows a little, and must still fit `MAX_MESSAGE_BYTES`. */
export const MAX_BATCH_BYTES = 1_040_000
/** `max.message.bytes` of every topic: Kafka's own default. */
export const MAX_MESSAGE_BYTES = 1_048_588
const MAX_REQUEST_BYTES = 8 * 1024 * 1024
/** Appends that wait for those before them; further ones are refused until there is room. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024
/** Below this, packing gains nothing. */
const MIN_PACKED_BYTES = 512
const ALL_REPLICAS = -1
/** How long the leader waits for the other replicas. */
const REPLICAS_TIMEOUT_MS = 5_000
const SEQUENCES = 2 ** 31
/** The broker has lost track of the producer, or another one took its place: only a new one can go on. */
const PRODUCER_IS_LOST = new Set([
  'UNKNOWN_PRODUCER_ID',
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_PRODUCER_ID_MAPPING',
])
/** The broker's settings are against it, and remain so. */
const REFUSED = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD', 'POLICY_VIOLATION'])

export interface Outgoing {
  readonly partition: number
  readonly message: Message
  /** As it is encoded, before it is packed. */
  readonly sizeBytes: number
}

export interface Placed {
  readonly partition: number
  readonly offset: number
  readonly appendTimeMs: number
}

interface Waiting {
  readonly items: readonly Outgoing[]
  readonly placed: Placed[]
  /** Items from here on are still to be sent. */
  sent: number
  readonly untilMs: number
  readonly done: PromiseWithResolvers<Placed[]>
}

/** One batch for each partition, and whose records they are. */
interface Round {
  readonly batches: Map<number, Outgoing[]>
  readonly owners: {
    readonly waiting: Waiting
    readonly index: number
    readonly partition: number
    readonly nth: number
  }[]
}

/** Who the broker takes the batches for, and the number that the next record of each partition bears. */
interface Producer {
  readonly id: string
  readonly epoch: number
  readonly sequences: Map<number, number>
}

/**
 * Appends to one topic as an idempotent producer.
 *
 *  P1  One request is under way at a time; appends that wait meanwhile share the next one, in the order of their calls.
 *  P2  A batch is repeated with the same sequence numbers until the broker has told its offset, so that it lies there once.
 *  P3  After a request whose outcome is not known, no sequence number is used again: the broker takes a new batch under an
 *      old number for a repetition, acknowledges it and drops it. A new producer goes on.
 *
 * An append that spans several batches can fail after some of them were written.
 */
export function createProducer(topic: string, client: KafkaClient, clock: Clock, timeoutMs: number) {
  const queue: Waiting[] = []
  let waitingBytes = 0
  let pumping = false
  let producer: Producer | null = null

  async function append(items: readonly Outgoing[]): Promise<Placed[]> {
    const bytes = items.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    if (waitingBytes > 0 && waitingBytes + bytes > MAX_WAITING_BYTES)
      throw unavailable('log_unavailable', `${waitingBytes} bytes wait to be appended to ${topic} already`)
    waitingBytes += bytes
    const done = Promise.withResolvers<Placed[]>()
    queue.push({ items, placed: [], sent: 0, untilMs: clock.now() + timeoutMs, done })
    if (!pumping) void pump()
    return await done.promise.finally(() => (waitingBytes -= bytes))
  }

  async function pump(): Promise<void> {
    pumping = true
    while (queue.length > 0) {
      const round = nextRound()
      try {
        settle(round, await send(round.batches))
      } catch (error) {
        producer = null
        fail(round, error)
      }
    }
    pumping = false
  }

  function nextRound(): Round {
    const round: Round = { batches: new Map(), owners: [] }
    const batchBytes = new Map<number, number>()
    let requestBytes = 0
    for (const waiting of queue) {
      for (; waiting.sent < waiting.items.length; waiting.sent++) {
        const item = waiting.items[waiting.sent]!
        const { partition, sizeBytes } = item
        const bytes = (batchBytes.get(partition) ?? 0) + sizeBytes
        requestBytes += sizeBytes
        // The order is kept: nothing overtakes what does not fit.
        if (round.owners.length > 0 && (bytes > MAX_BATCH_BYTES || requestBytes > MAX_REQUEST_BYTES))
          return round
        batchBytes.set(partition, bytes)
        const batch = round.batches.get(partition) ?? []
        round.batches.set(partition, batch)
        round.owners.push({ waiting, index: waiting.sent, partition, nth: batch.length })
        batch.push(item)
      }
    }
    return round
  }

  function settle({ owners }: Round, placed: ReadonlyMap<number, Placed>): void {
    for (const { waiting, index, partition, nth } of owners) {
      const first = placed.get(partition)!
      waiting.placed[index] = { ...first, offset: first.offset + nth }
    }
    for (const waiting of new Set(owners.map((owner) => owner.waiting))) {
      if (waiting.sent < waiting.items.length) continue
      remove(waiting)
      waiting.done.resolve(waiting.placed)
    }
  }

  function fail({ owners }: Round, error: unknown): void {
    const failed = new Set(owners.map((owner) => owner.waiting))
    // Who waited as long as this took has waited enough.
    for (const waiting of queue) if (clock.now() > waiting.untilMs) failed.add(waiting)
    for (const waiting of failed) {
      remove(waiting)
      waiting.done.reject(error)
    }
  }

  function remove(waiting: Waiting): void {
    queue.splice(queue.indexOf(waiting), 1)
  }

  /** Returns where each batch begins. */
  async function send(batches: ReadonlyMap<number, readonly Outgoing[]>): Promise<Map<number, Placed>> {
    const placed = new Map<number, Placed>()
    const left = new Map(batches)
    let over = false
    const attempt = async (): Promise<void> => {
      const mine = (producer ??= await newProducer())
      const leaders = await client.leaders(topic)
      // An attempt that was given up must not come late.
      if (over) return
      const perLeader = Map.groupBy(left.keys(), (partition) => leaders[partition] ?? -1)
      const outcomes = await Promise.allSettled(
        [...perLeader].map(async ([node, partitions]) => {
          for (const one of await produce(mine, node, partitions, batches)) {
            placed.set(one.partition, one)
            left.delete(one.partition)
            const count = batches.get(one.partition)!.length
            mine.sequences.set(one.partition, ((mine.sequences.get(one.partition) ?? 0) + count) % SEQUENCES)
          }
        }),
      )
      const failed = outcomes.find((outcome) => outcome.status === 'rejected')
      if (failed) throw refusal(failed.reason)
    }
    try {
      await client.call(`append to ${topic}`, attempt)
    } finally {
      over = true
    }
    return placed
  }

  function refusal(error: unknown): unknown {
    const type = typeOf(error)
    if (PRODUCER_IS_LOST.has(type)) producer = null
    if (!REFUSED.has(type)) return error
    return unavailable('log_unavailable', `topic ${topic} refuses the records: ${errorMessage(error)}`, error)
  }

  async function newProducer(): Promise<Producer> {
    const broker = await client.anyBroker()
    const { producerId, producerEpoch } = await broker.initProducerId({
      transactionalId: null,
      transactionTimeout: 0,
    })
    return { id: producerId, epoch: producerEpoch, sequences: new Map() }
  }

  async function produce(
    { id, epoch, sequences }: Producer,
    node: number,
    partitions: readonly number[],
    batches: ReadonlyMap<number, readonly Outgoing[]>,
  ): Promise<Placed[]> {
    if (node < 0) throw new Error(`partitions ${partitions.join()} of ${topic} have no leader`)
    const broker = await client.broker(node)
    const sizeBytes = partitions
      .flatMap((one) => batches.get(one)!)
      .reduce((sum, one) => sum + one.sizeBytes, 0)
    const { topics } = await sendProduce(broker, {
      producerId: id,
      producerEpoch: epoch,
      acks: ALL_REPLICAS,
      timeout: REPLICAS_TIMEOUT_MS,
      compression: sizeBytes < MIN_PACKED_BYTES ? compression.Types.None : compression.Types.GZIP,
      topic,
      batches: partitions.map((partition) => ({
        partition,
        firstSequence: sequences.get(partition) ?? 0,
        messages: batches.get(partition)!.map(({ message }) => message),
      })),
    })
    return topics.flatMap((one) =>
      one.partitions.map(({ partition, baseOffset, logAppendTime }) => {
        if (Number(logAppendTime) < 0) throw timeIsMissing(topic)
        return { partition, offset: Number(baseOffset), appendTimeMs: Number(logAppendTime) }
      }),
    )
  }

  return { append }
}

function timeIsMissing(topic: string): AquiferError {
  return unavailable(
    'log_unavailable',
    `topic ${topic} does not have the broker's time on its records: set message.timestamp.type=LogAppendTime`,
  )
}
