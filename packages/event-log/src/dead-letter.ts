import { AquiferError, errorMessage } from '@aquifer/runtime/errors'
import type { EventLog, LogRecord } from './port.ts'

/**
 * Puts a record's untouched bytes on its dead-letter topic with the cause and the place it came from, under the headers
 * that Kafka Connect uses.
 */
export async function deadLetter(
  log: EventLog,
  topic: string,
  record: LogRecord,
  cause: unknown,
  attempts = 1,
): Promise<void> {
  const headers = {
    ...record.headers,
    '__connect.errors.topic': record.topic,
    '__connect.errors.partition': String(record.partition),
    '__connect.errors.offset': String(record.offset),
    '__connect.errors.exception.class.name': cause instanceof AquiferError ? cause.code : 'internal',
    '__connect.errors.exception.message': errorMessage(cause).slice(0, 2000),
    'aquifer-attempts': String(attempts),
    'aquifer-append-time': String(record.appendTimeMs),
  }
  await log.append(topic, [{ key: record.key, value: record.value, headers }])
}
