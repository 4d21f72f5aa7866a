import { AquiferError, errorMessage } from '@aquifer/runtime/errors'
import type { EventLog, Headers, LogRecord, NewRecord } from './port.ts'

const TOPIC = '__connect.errors.topic'
const PARTITION = '__connect.errors.partition'
const OFFSET = '__connect.errors.offset'
const CAUSE = '__connect.errors.exception.class.name'
const MESSAGE = '__connect.errors.exception.message'
const ATTEMPTS = 'aquifer-attempts'
const APPEND_TIME = 'aquifer-append-time'
const MAX_MESSAGE = 2000
/** What a version has room for. */
const MAX_PARTITION = 99_999
const MAX_TIME_MS = 2 ** 48 - 1

/** The place where a record lay when it was first read. */
export interface Origin {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly appendTimeMs: number
}

/** What the headers of a dead letter say. Null is what they do not say, or not so that it can be read: others may write there too. */
export interface DeadLetterCause {
  readonly origin: Origin | null
  readonly cause: string | null
  readonly message: string | null
  readonly attempts: number | null
}

/** `*.retry` topics are written by Aquifer alone; elsewhere headers of these names are whoever's. */
export function isReplay({ topic }: Pick<LogRecord, 'topic'>): boolean {
  return topic.endsWith('.retry')
}

/**
 * Puts a record's untouched bytes on its dead-letter topic with the cause and the place it came from, under the headers
 * that Kafka Connect uses. `attempts` says how often it was tried this time; of a replay, the place is the first one, and the
 * attempts are those of all times.
 */
export async function deadLetter(
  log: EventLog,
  topic: string,
  record: LogRecord,
  cause: unknown,
  attempts = 1,
): Promise<void> {
  const before = isReplay(record) ? readCause(record.headers) : null
  const origin = before?.origin ?? record
  const headers = {
    ...record.headers,
    [TOPIC]: origin.topic,
    [PARTITION]: String(origin.partition),
    [OFFSET]: String(origin.offset),
    [CAUSE]: cause instanceof AquiferError ? cause.code : 'internal',
    [MESSAGE]: errorMessage(cause).slice(0, MAX_MESSAGE),
    [ATTEMPTS]: String((before?.attempts ?? 0) + attempts),
    [APPEND_TIME]: String(origin.appendTimeMs),
  }
  await log.append(topic, [{ key: record.key, value: record.value, headers }])
}

export function readCause(headers: Headers): DeadLetterCause {
  const topic = headers[TOPIC] ?? ''
  const partition = wholeNumber(headers[PARTITION], MAX_PARTITION)
  const offset = wholeNumber(headers[OFFSET])
  const appendTimeMs = wholeNumber(headers[APPEND_TIME], MAX_TIME_MS)
  const known = topic !== '' && partition !== null && offset !== null && appendTimeMs !== null
  return {
    origin: known ? { topic, partition, offset, appendTimeMs } : null,
    cause: headers[CAUSE] ?? null,
    message: headers[MESSAGE] ?? null,
    attempts: wholeNumber(headers[ATTEMPTS]),
  }
}

/**
 * A dead letter as it goes on its retry topic: the same bytes and headers but for the cause. The place and the attempts stay, so that
 * one that fails again is still known by them.
 */
export function toReplay(record: LogRecord): NewRecord {
  const { [CAUSE]: _cause, [MESSAGE]: _message, ...headers } = record.headers
  return { key: record.key, value: record.value, headers }
}

/** The headers of a replay that takes the place of a dead letter: `source` lies at `origin` and is read again on its account. */
export function replayHeaders(source: LogRecord, attempts: number): Headers {
  return {
    ...source.headers,
    [TOPIC]: source.topic,
    [PARTITION]: String(source.partition),
    [OFFSET]: String(source.offset),
    [APPEND_TIME]: String(source.appendTimeMs),
    [ATTEMPTS]: String(attempts),
  }
}

function wholeNumber(text: string | undefined, max = Number.MAX_SAFE_INTEGER): number | null {
  return /^\d{1,16}$/.test(text ?? '') && Number(text) <= max ? Number(text) : null
}
