import { invalid, unavailable } from '@aquifer/runtime/errors'
import type { Broker } from 'kafkajs/src/cluster/index.js'
import type { EventLog, LogRecord } from '../port.ts'
import { sizeOf } from './kafka-feed.ts'
import { type Fetched, fetchRecords } from './kafka-fetch.ts'
import { type KafkaClient } from './kafka-client.ts'

const READ_MAX_BYTES = 16 * 1024 * 1024
/** What a record is taken for when it is not known how many bytes will hold `limit` of them. */
const RECORD_BYTES = 64 * 1024
/** `timestamp` of a ListOffsets request that asks for the ends. */
const EARLIEST = -2
const NEXT = -1
const READ_UNCOMMITTED = 0
const CONSUMER = -1

export interface KafkaReads extends Pick<EventLog, 'read' | 'offsets' | 'offsetsAt' | 'lag'> {
  /** The first offset that the broker still holds, whether or not there is a record at it. */
  earliest(topic: string, partition: number): Promise<number>
}

/** What of the port needs no group. */
export function createReads(client: KafkaClient): KafkaReads {
  async function leadersOf(topic: string): Promise<readonly number[]> {
    return await client.call(`look up ${topic}`, () => client.leaders(topic))
  }

  /** As it is now, with partitions that were added a moment ago. */
  async function lookAgain(topic: string): Promise<readonly number[]> {
    return await client.call(`look up ${topic}`, () => client.leaders(topic, undefined, 0))
  }

  async function leader(topic: string, partition: number): Promise<Broker> {
    const node = (await client.leaders(topic))[partition] ?? -1
    if (node < 0) throw new Error(`${topic}/${partition} has no leader`)
    return await client.broker(node)
  }

  /** By partition: the first offset whose time is at or after `timestamp`, or an end; -1 where there is none. */
  async function listOffsets(topic: string, timestamp: number): Promise<number[]> {
    return await client.call(`read the offsets of ${topic}`, async () => {
      const leaders = await client.leaders(topic)
      const found: number[] = []
      for (const [node, partitions] of Map.groupBy(leaders.keys(), (partition) => leaders[partition]!)) {
        if (node < 0) throw new Error(`${topic}/${partitions.join()} has no leader`)
        const broker = await client.broker(node)
        const wanted = [{ topic, partitions: partitions.map((partition) => ({ partition, timestamp })) }]
        const request = { replicaId: CONSUMER, isolationLevel: READ_UNCOMMITTED, topics: wanted }
        for (const { partitions } of (await broker.listOffsets(request)).responses)
          for (const { partition, offset } of partitions) found[partition] = Number(offset)
      }
      return found
    })
  }

  async function fetch(topic: string, partition: number, offset: number, maxBytes: number): Promise<Fetched> {
    return await client.call(`read ${topic}/${partition}`, async () => {
      const broker = await leader(topic, partition)
      const [got] = await fetchRecords(broker, [{ topic, partition, offset, maxBytes }], {
        maxWaitMs: 0,
        maxBytes,
      })
      if (got!.error && got!.error.type !== 'OFFSET_OUT_OF_RANGE') throw got!.error
      return got!
    })
  }

  /** Records from `fromOffset` on: none only where there are none up to the end. */
  async function readFrom(
    topic: string,
    partition: number,
    fromOffset: number,
    limit: number,
  ): Promise<LogRecord[]> {
    const records: LogRecord[] = []
    let offset = fromOffset
    for (let leftBytes = READ_MAX_BYTES; leftBytes > 0 && records.length < limit;) {
      const got = await fetch(
        topic,
        partition,
        offset,
        Math.min(leftBytes, (limit - records.length) * RECORD_BYTES),
      )
      if (got.error) {
        const earliest = (await listOffsets(topic, EARLIEST))[partition]!
        if (offset >= earliest) break
        offset = earliest
        continue
      }
      records.push(...got.records)
      leftBytes -= got.records.reduce((sum, record) => sum + sizeOf(record), 0)
      if (got.nextOffset >= got.endOffset) break
      if (got.nextOffset === offset)
        throw unavailable(
          'log_unavailable',
          `the broker sends nothing of ${topic}/${partition} from ${offset} on`,
        )
      offset = got.nextOffset
    }
    return records.slice(0, limit)
  }

  /** The first record at or past each offset; `next` where there is none, for markers of transactions take offsets too. */
  async function firstRecords(
    topic: string,
    from: readonly number[],
    next: readonly number[],
  ): Promise<number[]> {
    return await Promise.all(
      from.map(async (offset, partition) => {
        if (offset >= next[partition]!) return next[partition]!
        return (await readFrom(topic, partition, offset, 1))[0]?.offset ?? next[partition]!
      }),
    )
  }

  async function ends(topic: string): Promise<{ earliest: number[]; next: number[] }> {
    const [earliest, next] = await Promise.all([listOffsets(topic, EARLIEST), listOffsets(topic, NEXT)])
    return { earliest, next }
  }

  async function commits(group: string, topic: string, count: number): Promise<number[]> {
    return await client.call(`read the commits of ${group}`, async () => {
      const broker = await client.coordinator(group)
      const partitions = Array.from({ length: count }, (_, partition) => ({ partition }))
      const { responses } = await broker.offsetFetch({ groupId: group, topics: [{ topic, partitions }] })
      const found: number[] = []
      for (const { partition, offset } of responses[0]!.partitions) found[partition] = Number(offset)
      return found
    })
  }

  return {
    async earliest(topic, partition) {
      return (await listOffsets(topic, EARLIEST))[partition] ?? 0
    },
    async read(topic, partition, fromOffset, limit) {
      const known = await leadersOf(topic)
      const { length } = partition < known.length ? known : await lookAgain(topic)
      if (!(partition >= 0 && partition < length))
        throw invalid('unknown_partition', `topic ${topic} has ${length} partitions, no ${partition}`, 404)
      return await readFrom(topic, partition, Math.max(0, fromOffset), limit)
    },
    async offsets(topic) {
      await lookAgain(topic)
      const { earliest, next } = await ends(topic)
      const first = await firstRecords(topic, earliest, next)
      return first.map((earliest, partition) => ({ partition, earliest, next: next[partition]! }))
    },
    async offsetsAt(topic, timeMs) {
      const [found, next] = await Promise.all([
        listOffsets(topic, Math.max(0, Math.ceil(timeMs))),
        listOffsets(topic, NEXT),
      ])
      return found.map((offset, partition) => ({ partition, offset: offset < 0 ? next[partition]! : offset }))
    },
    async lag(group, topic) {
      const { earliest, next } = await ends(topic)
      const committed = await commits(group, topic, next.length)
      const from = earliest.map((offset, partition) => Math.max(offset, committed[partition] ?? 0))
      const first = await firstRecords(topic, from, next)
      return first.reduce((sum, offset, partition) => sum + next[partition]! - offset, 0)
    },
  }
}
