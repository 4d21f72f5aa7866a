import { invalid } from '@aquifer/runtime/errors'
import type { StoredRecord } from './log-storage.ts'
import type { EventLog, NewRecord, TopicSpec } from './port.ts'

/** What Kafka takes with its default `message.max.bytes`, its own overhead left out. */
export const DEFAULT_LIMITS: EventLog['limits'] = { maxRecordBytes: 1_000_000, maxAppendRecords: 1_000 }

/** What a dead letter's headers, and a replay's, add to a record that was as large as it may be. */
const CAUSE_BYTES = 16 * 1024

/** The records as they are kept. Throws `append_too_large`, `record_too_large`, `key_required`. */
export function toStored(
  topic: Pick<TopicSpec, 'name' | 'cleanup'>,
  records: readonly NewRecord[],
  { maxRecordBytes, maxAppendRecords }: EventLog['limits'],
): StoredRecord[] {
  if (records.length > maxAppendRecords) {
    const message = `${records.length} records at once; the log takes ${maxAppendRecords}`
    throw invalid('append_too_large', message, 413)
  }
  const maxBytes = maxRecordBytes + (/\.(?:dlq|retry)$/.test(topic.name) ? CAUSE_BYTES : 0)
  return records.map((record) => storedOf(topic, record, maxBytes))
}

function storedOf(
  { name, cleanup }: Pick<TopicSpec, 'name' | 'cleanup'>,
  record: NewRecord,
  maxBytes: number,
): StoredRecord {
  const key = typeof record.key === 'string' ? Buffer.from(record.key) : record.key
  if (key === null && cleanup === 'compact')
    throw invalid('key_required', `topic ${name} keeps the newest record of every key: a record needs one`)
  const headers = record.headers ?? {}
  let sizeBytes = (key?.length ?? 0) + (record.value?.length ?? 0)
  for (const [header, value] of Object.entries(headers))
    sizeBytes += Buffer.byteLength(header) + Buffer.byteLength(value)
  if (sizeBytes > maxBytes) {
    throw invalid(
      'record_too_large',
      `a record of ${sizeBytes} bytes for ${name}; the log takes ${maxBytes}: put the content in the blob store`,
      413,
    )
  }
  return { key, value: record.value, headers, sizeBytes }
}
