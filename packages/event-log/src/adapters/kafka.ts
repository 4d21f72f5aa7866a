import type { Clock } from '@aquifer/runtime/clock'
import { invalid, unavailable } from '@aquifer/runtime/errors'
import type { Logger } from '@aquifer/runtime/logger'
import { DEFAULT_LIMITS, toStored } from '../limits.ts'
import type { StoredRecord } from '../log-storage.ts'
import { partitionOf } from '../partitioner.ts'
import type { EventLog, NewRecord, Position, Subscription } from '../port.ts'
import { createClient, type KafkaClient, type KafkaTimings } from './kafka-client.ts'
import { joinGroup } from './kafka-member.ts'
import { createProducer, MAX_BATCH_BYTES, type Outgoing } from './kafka-producer.ts'
import { createReads } from './kafka-reads.ts'
import { createTopics } from './kafka-topics.ts'
import { parseKafkaUrl } from './kafka-url.ts'

const TIMINGS: KafkaTimings = {
  callTimeoutMs: 10_000,
  metadataMaxAgeMs: 10_000,
  heartbeatMs: 1_000,
  sessionTimeoutMs: 10_000,
  fetchWaitMs: 250,
}
/** Of a record as Kafka encodes it, at most: lengths, deltas, the number of headers. A header adds its own two lengths. */
const RECORD_OVERHEAD_BYTES = 36
const HEADER_OVERHEAD_BYTES = 10

export interface KafkaOptions {
  /** `kafka://host:9092,…` or `kafka+ssl://user:password@host:9092,…`; `parseKafkaUrl` tells the options. */
  readonly url: string
  readonly clock: Clock
  readonly random?: () => number
  /** Told of outages; kafkajs's own words come below them. */
  readonly logger?: Logger
  readonly timings?: Partial<KafkaTimings>
}

/**
 * The production log, on Kafka 2.3 or newer. Resolves without a broker: every call says `log_unavailable` until there is
 * one. Throws `invalid_url`. SPEC.md says how it holds the invariants, and what it asks of the brokers.
 */
export async function openKafkaEventLog(options: KafkaOptions): Promise<EventLog> {
  const { clock, random = Math.random, logger = null } = options
  const timings = { ...TIMINGS, ...options.timings }
  const address = parseKafkaUrl(options.url)
  const connect = (): KafkaClient => createClient({ address, clock, logger, timings })
  // An append waits on the broker for all replicas, and would hold up commits on the same connection.
  const [control, appending] = [connect(), connect()]
  const reads = createReads(control)
  const topics = createTopics(control, address, clock)
  const producers = new Map<string, ReturnType<typeof createProducer>>()
  const subscriptions = new Set<Subscription>()
  let turn = Math.floor(random() * 1_000)
  let closed: Promise<void> | null = null

  function opened(): void {
    if (closed) throw unavailable('log_unavailable', 'the log is closed')
  }

  async function append(topic: string, records: readonly NewRecord[]): Promise<Position[]> {
    opened()
    if (records.length === 0) return []
    const { length } = await appending.call(`append to ${topic}`, () => appending.leaders(topic))
    const keyless = records.some(({ key }) => key === null)
    const cleanup = keyless ? await topics.cleanup(topic) : 'delete'
    const outgoing = toStored({ name: topic, cleanup }, records, DEFAULT_LIMITS).map((record) =>
      toOutgoing(topic, record, record.key ? partitionOf(record.key, length) : turn++ % length),
    )
    let producer = producers.get(topic)
    if (!producer)
      producers.set(topic, (producer = createProducer(topic, appending, clock, timings.callTimeoutMs)))
    return await producer.append(outgoing)
  }

  async function shut(): Promise<void> {
    await Promise.all([...subscriptions].map((subscription) => subscription.stop()))
    await Promise.all([control.close(), appending.close()])
  }

  return {
    ...reads,
    limits: DEFAULT_LIMITS,
    ensureTopics: async (specs) => await topics.ensure(specs),
    append,
    async subscribe(subscription, handler) {
      opened()
      for (const topic of subscription.topics)
        await control.call(`subscribe to ${topic}`, () => control.leaders(topic))
      opened()
      const member = joinGroup({
        client: connect(),
        control,
        clock,
        random,
        logger,
        timings,
        subscription,
        handler,
        earliest: async (topic, partition) => await reads.earliest(topic, partition),
      })
      subscriptions.add(member)
      return {
        ...member,
        async stop(stopOptions) {
          await member.stop(stopOptions)
          subscriptions.delete(member)
        },
      }
    },
    async ping() {
      await Promise.all([control, appending].map((client) => client.call('ping', () => client.check())))
    },
    close: () => (closed ??= shut()),
  }
}

function toOutgoing(
  topic: string,
  { key, value, headers, sizeBytes }: StoredRecord,
  partition: number,
): Outgoing {
  const names = Object.keys(headers)
  const encodedBytes = sizeBytes + RECORD_OVERHEAD_BYTES + names.length * HEADER_OVERHEAD_BYTES
  if (encodedBytes > MAX_BATCH_BYTES)
    throw invalid(
      'record_too_large',
      `a record for ${topic} has ${names.length} headers, too many to be encoded`,
      413,
    )
  const encoded = Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)])
  return {
    partition,
    message: { key, value, headers: Object.fromEntries(encoded) as Record<string, Buffer> },
    sizeBytes: encodedBytes,
  }
}
