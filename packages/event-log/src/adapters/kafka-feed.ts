import type { Clock } from '@aquifer/runtime/clock'
import { errorMessage } from '@aquifer/runtime/errors'
import type { Logger } from '@aquifer/runtime/logger'
import type { LogRecord } from '../port.ts'
import { type KafkaClient, typeOf } from './kafka-client.ts'
import { type Fetched, fetchRecords } from './kafka-fetch.ts'

const PARTITION_BYTES = 1024 * 1024
const RESPONSE_BYTES = 16 * 1024 * 1024
/** Where less than this is at hand, more is fetched. */
const LOW_BYTES = 512 * 1024
const PAUSE_MS = 100
/** Errors that another look at the leaders mends. */
const MOVED = new Set([
  'NOT_LEADER_FOR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'REPLICA_NOT_AVAILABLE',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'KAFKA_STORAGE_ERROR',
  'OFFSET_NOT_AVAILABLE',
])

/** The records of one partition, as they are asked for. */
export interface PartitionFeed {
  /**
   * From `position` on, as many as fit both bounds, the first one always; waits until there is one. Nothing once it is
   * closed. Throws where the partition cannot be read on.
   */
  read(position: number, limit: number, maxBytes: number): Promise<LogRecord[]>
  close(): void
}

export interface Feed {
  open(topic: string, partition: number): PartitionFeed
  /** Looks again: the subscription was resumed. */
  wake(): void
  close(): void
}

/** What is at hand of a partition: `records` are all there are from `start` to `end`. */
interface Stretch {
  readonly topic: string
  readonly partition: number
  start: number
  end: number
  records: LogRecord[]
  bytes: number
  error: Error | null
  fetching: boolean
  /** After a failure, until its pause is over. */
  resting: boolean
  notify: (() => void) | null
}

export const sizeOf = ({ key, value, headers }: LogRecord): number =>
  (key?.length ?? 0) +
  (value?.length ?? 0) +
  Object.entries(headers).reduce(
    (sum, [name, text]) => sum + Buffer.byteLength(name) + Buffer.byteLength(text),
    0,
  )

/**
 * Fetches ahead for the partitions of one subscription.
 *
 *  F1  One request is under way to a broker at a time, for all partitions that want records.
 *  F2  A partition with `LOW_BYTES` at hand, or one whose subscription is paused, is not fetched.
 *  F3  What a reader has seen stays at hand until it asks from further on; who goes back is fetched for again.
 *  F4  A broker that is away is asked again without end.
 */
export function createFeed(
  client: KafkaClient,
  deps: {
    clock: Clock
    logger: Logger | null
    fetchWaitMs: number
    paused: () => boolean
    earliest: (topic: string, partition: number) => Promise<number>
  },
): Feed {
  const { clock, logger } = deps
  const stretches = new Set<Stretch>()
  const busy = new Set<number>()
  const closing = new AbortController()
  let wake = (): void => {}
  let awake = false

  function kick(): void {
    awake = true
    wake()
  }

  async function sleepUntilKicked(): Promise<void> {
    if (!awake) await new Promise<void>((resolve) => (wake = resolve))
    awake = false
  }

  const isWanted = (one: Stretch): boolean =>
    !one.fetching && !one.resting && one.error === null && one.bytes < LOW_BYTES

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      await sleepUntilKicked()
      const wanted = deps.paused() ? [] : [...stretches].filter(isWanted)
      for (const [node, some] of await perLeader(wanted)) {
        if (busy.has(node) || closing.signal.aborted) continue
        busy.add(node)
        void fetchFrom(node, some.filter(isWanted)).finally(() => {
          busy.delete(node)
          kick()
        })
      }
    }
  }

  async function perLeader(wanted: readonly Stretch[]): Promise<Map<number, Stretch[]>> {
    const found = new Map<number, Stretch[]>()
    for (const [topic, some] of Map.groupBy(wanted, (one) => one.topic)) {
      try {
        const leaders = await client.once(() => client.leaders(topic))
        for (const one of some) {
          const leader = leaders[one.partition] ?? -1
          if (leader < 0) trouble([one], new Error('it has no leader'))
          else found.set(leader, [...(found.get(leader) ?? []), one])
        }
      } catch (error) {
        trouble(some, error)
      }
    }
    return found
  }

  async function fetchFrom(node: number, wanted: readonly Stretch[]): Promise<void> {
    if (wanted.length === 0) return
    for (const one of wanted) one.fetching = true
    const asked = wanted.map(({ topic, partition, end }) => ({
      topic,
      partition,
      offset: end,
      maxBytes: PARTITION_BYTES,
    }))
    try {
      const fetched = await client.once(async () =>
        fetchRecords(await client.broker(node), asked, {
          maxWaitMs: deps.fetchWaitMs,
          maxBytes: RESPONSE_BYTES,
        }),
      )
      for (const [index, one] of wanted.entries()) {
        const { topic, partition, offset } = asked[index]!
        const got = fetched.find((answer) => answer.topic === topic && answer.partition === partition)
        const earliest =
          got?.error?.type === 'OFFSET_OUT_OF_RANGE' ? await deps.earliest(topic, partition) : 0
        // Who went back meanwhile wants something else.
        if (got && one.end === offset) take(one, got, earliest)
      }
    } catch (error) {
      trouble(wanted, error)
    } finally {
      for (const one of wanted) one.fetching = false
    }
  }

  function take(one: Stretch, { records, nextOffset, error }: Fetched, earliest: number): void {
    const { topic, partition } = one
    if (error === null) {
      one.records.push(...records)
      one.bytes += records.reduce((sum, record) => sum + sizeOf(record), 0)
      one.end = nextOffset
    } else if (error.type === 'OFFSET_OUT_OF_RANGE') {
      // What it wanted is no longer held, or was lost with a leader: nothing that is there is skipped.
      if (one.end > 0)
        logger?.warn({ topic, partition, from: one.end, to: earliest }, 'the offset is not held')
      seek(one, earliest)
    } else if (MOVED.has(error.type ?? '')) {
      trouble([one], error)
    } else {
      one.error = error
    }
    one.notify?.()
  }

  function trouble(some: readonly Stretch[], error: unknown): void {
    if (closing.signal.aborted) return
    client.forget()
    const { topic, partition } = some[0]!
    logger?.debug(
      { topic, partition, type: typeOf(error) },
      `records cannot be fetched: ${errorMessage(error)}`,
    )
    for (const one of some) one.resting = true
    void clock.sleep(PAUSE_MS).then(() => {
      for (const one of some) one.resting = false
      kick()
    })
  }

  function seek(one: Stretch, position: number): void {
    Object.assign(one, { start: position, end: position, records: [], bytes: 0, error: null })
  }

  function advance(one: Stretch, position: number): void {
    let count = 0
    while (count < one.records.length && one.records[count]!.offset < position)
      one.bytes -= sizeOf(one.records[count++]!)
    one.records.splice(0, count)
    one.start = position
  }

  async function read(one: Stretch, position: number, limit: number, maxBytes: number): Promise<LogRecord[]> {
    if (position < one.start || position > one.end) seek(one, position)
    else advance(one, position)
    for (;;) {
      kick()
      if (!stretches.has(one)) return []
      if (one.records.length > 0) return slice(one.records, limit, maxBytes)
      const { error } = one
      one.error = null
      if (error) throw error
      await new Promise<void>((resolve) => (one.notify = resolve))
    }
  }

  void run()
  return {
    open(topic, partition) {
      const one: Stretch = {
        topic,
        partition,
        start: 0,
        end: 0,
        records: [],
        bytes: 0,
        error: null,
        fetching: false,
        resting: false,
        notify: null,
      }
      stretches.add(one)
      return {
        read: async (position, limit, maxBytes) => await read(one, position, limit, maxBytes),
        close() {
          stretches.delete(one)
          one.notify?.()
        },
      }
    },
    wake: kick,
    close() {
      closing.abort()
      kick()
    },
  }
}

function slice(records: readonly LogRecord[], limit: number, maxBytes: number): LogRecord[] {
  const some: LogRecord[] = []
  let bytes = 0
  for (const record of records) {
    bytes += sizeOf(record)
    if (some.length > 0 && (some.length >= limit || bytes > maxBytes)) break
    some.push(record)
  }
  return some
}
