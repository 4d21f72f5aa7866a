import { unavailable } from '@aquifer/runtime/errors'
import type { ApiCall, Broker } from 'kafkajs/src/cluster/index.js'
import Decoder from 'kafkajs/src/protocol/decoder.js'
import errors from 'kafkajs/src/protocol/error.js'
import decodeRecordBatch from 'kafkajs/src/protocol/recordBatch/v0/decoder.js'
import type { DecodedBatch } from 'kafkajs/src/protocol/recordBatch/v0/decoder.js'
import protocol from 'kafkajs/src/protocol/requests/index.js'
import type { Headers, LogRecord } from '../port.ts'

/** What a transaction has not committed is not read. */
const READ_COMMITTED = 1
const BATCH_MAGIC = 2
/** Up to the batch's length, and up to its magic byte. */
const BATCH_PREFIX_BYTES = 12
const BATCH_MAGIC_AT = 16

export interface Wanted {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** The first batch comes whole, whatever its size. */
  readonly maxBytes: number
}

export interface Fetched {
  readonly topic: string
  readonly partition: number
  /** From the wanted offset on. */
  readonly records: readonly LogRecord[]
  /** Where to go on: past what was compacted away and past control records too. */
  readonly nextOffset: number
  /** Up to here there may be records that can be read. */
  readonly endOffset: number
  /** What the broker, or the bytes, say against reading on: nothing is skipped. */
  readonly error: (Error & { readonly type?: string }) | null
}

/**
 * Fetches from a broker that leads the partitions. The response is read here, not by kafkajs's consumer: that one takes a
 * response without records for the end of the partition, and so skips what follows a stretch that compaction emptied.
 */
export async function fetchRecords(
  broker: Broker,
  wanted: readonly Wanted[],
  { maxWaitMs, maxBytes }: { maxWaitMs: number; maxBytes: number },
): Promise<Fetched[]> {
  const call = protocol.requests.Fetch.protocol({ version: 11 })({
    isolationLevel: READ_COMMITTED,
    maxWaitTime: maxWaitMs,
    minBytes: 1,
    maxBytes,
    topics: wanted.map(({ topic, partition, offset, maxBytes }) => ({
      topic,
      partitions: [{ partition, fetchOffset: String(offset), maxBytes }],
    })),
  })
  const { partitions } = await broker.connectionPool.send({ ...call, response: RESPONSE })
  return await Promise.all(
    partitions.map(async (raw) => {
      const want = wanted.find(({ topic, partition }) => topic === raw.topic && partition === raw.partition)!
      return await readPartition(want, raw)
    }),
  )
}

interface RawPartition {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  readonly lastStableOffset: number
  readonly aborted: { producerId: string; firstOffset: number }[]
  readonly bytes: Buffer
}
interface RawResponse {
  readonly errorCode: number
  readonly clientSideThrottleTime: number
  readonly partitions: readonly RawPartition[]
}

/** Fetch response, version 11 (https://kafka.apache.org/protocol#The_Messages_Fetch). */
const RESPONSE: ApiCall<RawResponse>['response'] = {
  async decode(data): Promise<RawResponse> {
    const decoder = new Decoder(data)
    const clientSideThrottleTime = decoder.readInt32()
    const errorCode = decoder.readInt16()
    decoder.readInt32()
    const topics = decoder.readArray(() => {
      const topic = decoder.readString()
      return decoder.readArray(() => decodePartition(decoder, topic))
    })
    return { errorCode, clientSideThrottleTime, partitions: topics.flat() }
  },
  async parse(decoded) {
    const response = decoded as RawResponse
    if (response.errorCode !== 0) throw errors.createErrorFromCode(response.errorCode)
    return response
  },
}

function decodePartition(decoder: Decoder, topic: string): RawPartition {
  const partition = decoder.readInt32()
  const errorCode = decoder.readInt16()
  // The high watermark is past what may be read of open transactions.
  decoder.readInt64()
  const lastStableOffset = Number(decoder.readInt64())
  decoder.readInt64()
  const aborted = decoder.readArray(() => ({
    producerId: String(decoder.readInt64()),
    firstOffset: Number(decoder.readInt64()),
  }))
  decoder.readInt32()
  return {
    topic,
    partition,
    errorCode,
    lastStableOffset,
    aborted,
    bytes: decoder.readBytes() ?? Buffer.alloc(0),
  }
}

async function readPartition(want: Wanted, raw: RawPartition): Promise<Fetched> {
  const { topic, partition } = want
  const records: LogRecord[] = []
  let nextOffset = want.offset
  let error: Fetched['error'] = raw.errorCode === 0 ? null : errors.createErrorFromCode(raw.errorCode)
  try {
    if (!error) {
      for await (const batch of batches(raw)) {
        for (const record of batch.records)
          if (Number(record.offset) >= want.offset) records.push(toRecord(topic, partition, record))
        nextOffset = Math.max(nextOffset, Number(batch.firstOffset) + batch.lastOffsetDelta + 1)
      }
    }
  } catch (cause) {
    // What comes before it is handed on first; then it is met again.
    if (nextOffset === want.offset)
      error = unavailable(
        'log_unavailable',
        `the batch at ${topic}/${partition} offset ${nextOffset} cannot be read, and is not skipped`,
        cause,
      )
  }
  return { topic, partition, records, nextOffset, endOffset: Math.max(0, raw.lastStableOffset), error }
}

/** The whole batches, without the records of control batches and of transactions that were aborted. */
async function* batches(raw: RawPartition): AsyncGenerator<DecodedBatch> {
  const { bytes } = raw
  const pending = raw.aborted.toSorted((a, b) => a.firstOffset - b.firstOffset)
  const aborted = new Set<string>()
  for (let at = 0; at + BATCH_PREFIX_BYTES <= bytes.length;) {
    const end = at + BATCH_PREFIX_BYTES + bytes.readInt32BE(at + 8)
    // The last one may be cut off.
    if (end > bytes.length) return
    const magic = bytes[at + BATCH_MAGIC_AT]
    if (magic !== BATCH_MAGIC)
      throw new Error(`it is in message format ${magic}, of a Kafka older than 0.11: convert the topic`)
    const batch = await decodeRecordBatch(new Decoder(bytes.subarray(at, end)))
    at = end
    const lastOffset = Number(batch.firstOffset) + batch.lastOffsetDelta
    while (pending[0] && pending[0].firstOffset <= lastOffset) aborted.add(pending.shift()!.producerId)
    if (batch.isControlBatch && isAbort(batch)) aborted.delete(batch.producerId)
    const hidden = batch.isControlBatch || (batch.inTransaction && aborted.has(batch.producerId))
    yield hidden ? { ...batch, records: [] } : batch
  }
}

/** A control record's key is its version and its kind, two bytes each; kind 0 ends a transaction by aborting it. */
function isAbort({ records }: DecodedBatch): boolean {
  const key = records[0]?.key
  return key !== null && key !== undefined && key.length >= 4 && key.readInt16BE(2) === 0
}

function toRecord(topic: string, partition: number, record: DecodedBatch['records'][number]): LogRecord {
  const { key, value } = record
  return {
    topic,
    partition,
    offset: Number(record.offset),
    // -1 where a producer gave none.
    appendTimeMs: Math.max(0, Number(record.timestamp)),
    // They are views of the whole response, which a consumer that keeps one record would keep in memory.
    key: key && Buffer.from(key),
    value: value && Buffer.from(value),
    headers: toHeaders(record.headers),
  }
}

/** The last one of a name counts. Bytes that are no UTF-8 become replacement characters, for headers here are text. */
function toHeaders(headers: Readonly<Record<string, unknown>>): Headers {
  return Object.fromEntries(
    Object.entries(headers).map(([name, given]) => {
      const value: unknown = Array.isArray(given) ? given.at(-1) : given
      return [name, Buffer.isBuffer(value) ? value.toString('utf8') : '']
    }),
  )
}
