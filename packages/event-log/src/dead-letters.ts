import { invalid } from '@aquifer/runtime/errors'
import { readCause } from './dead-letter.ts'
import type { DeadLetterCause } from './dead-letter.ts'
import type { EventLog, Headers, LogRecord } from './port.ts'

/** A record of a dead-letter topic, without its value: that may be as large as the log takes. */
export interface DeadLetter extends DeadLetterCause {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** When it was dead-lettered. */
  readonly appendTimeMs: number
  readonly key: Buffer | null
  readonly headers: Headers
  /** Null of a tombstone. */
  readonly sizeBytes: number | null
}

export interface DeadLetterQuery {
  readonly topics: readonly string[]
  /** Dead-lettered at or after. */
  readonly fromMs?: number | undefined
  /** Dead-lettered before. */
  readonly toMs?: number | undefined
  readonly limit: number
  /** Of the page before. */
  readonly cursor?: string | undefined
  readonly matches: (deadLetter: DeadLetter) => boolean
}

export interface DeadLetterPage {
  readonly deadLetters: DeadLetter[]
  /** There while there is more to look at; a page may be empty and still have one. */
  readonly cursor?: string
}

/** Records read at once, and looked at for one page. */
const STEP = 64
const MAX_LOOKED_AT = 10_000

export function toDeadLetter(record: LogRecord): DeadLetter {
  const { value, ...rest } = record
  return { ...rest, ...readCause(record.headers), sizeBytes: value?.length ?? null }
}

/** A page of dead letters, newest first, read without a group. Throws `invalid_cursor`. */
export async function listDeadLetters(log: EventLog, query: DeadLetterQuery): Promise<DeadLetterPage> {
  const after = query.cursor === undefined ? null : parseCursor(query.cursor)
  const tails = (
    await Promise.all(query.topics.map(async (topic) => await openTails(log, topic, query, after)))
  ).flat()
  const deadLetters: DeadLetter[] = []
  let last: DeadLetter | null = null
  for (let lookedAt = 0; ; lookedAt++) {
    for (const tail of tails) await fill(log, tail)
    const newest = tails.filter(({ held }) => held.length > 0).sort(byNewest)[0]
    if (!newest) return { deadLetters }
    if (last && (deadLetters.length === query.limit || lookedAt === MAX_LOOKED_AT))
      return { deadLetters, cursor: formatCursor(last) }
    last = newest.held.pop()!
    if (query.matches(last)) deadLetters.push(last)
  }
}

/** A partition, read from its end: what is held of it is older than what was taken, and newer than offset `end`. */
interface Tail {
  readonly topic: string
  readonly partition: number
  readonly start: number
  end: number
  held: DeadLetter[]
}

type Place = readonly [appendTimeMs: number, topic: string, partition: number, offset: number]

async function openTails(
  log: EventLog,
  topic: string,
  { fromMs, toMs }: DeadLetterQuery,
  after: Place | null,
): Promise<Tail[]> {
  const offsetsAt = async (timeMs: number | undefined) =>
    timeMs === undefined
      ? null
      : new Map((await log.offsetsAt(topic, timeMs)).map(({ partition, offset }) => [partition, offset]))
  const [partitions, starts, ends, sameTime, laterTime] = await Promise.all([
    log.offsets(topic),
    offsetsAt(fromMs),
    offsetsAt(toMs),
    offsetsAt(after?.[0]),
    offsetsAt(after ? after[0] + 1 : undefined),
  ])
  return partitions.map(({ partition, earliest, next }) => {
    const start = Math.max(earliest, starts?.get(partition) ?? earliest)
    // Of one time, the partitions come in their order, the last one first.
    const order = after ? compare([topic, partition], [after[1], after[2]]) : 0
    const left = !after ? next : order === 0 ? after[3] : (order < 0 ? laterTime : sameTime)?.get(partition)
    const end = Math.min(left ?? next, ends?.get(partition) ?? next)
    return { topic, partition, start, end, held: [] }
  })
}

/** Reads what comes before, where nothing is held. */
async function fill(log: EventLog, tail: Tail): Promise<void> {
  while (tail.held.length === 0 && tail.end > tail.start) {
    const from = Math.max(tail.start, tail.end - STEP)
    for (let at = from; at < tail.end;) {
      const records = await log.read(tail.topic, tail.partition, at, tail.end - at)
      const last = records.at(-1)
      if (!last) break
      for (const record of records) if (record.offset < tail.end) tail.held.push(toDeadLetter(record))
      at = last.offset + 1
    }
    tail.end = from
  }
}

function byNewest(a: Tail, b: Tail): number {
  return compare(placeOf(b.held.at(-1)!), placeOf(a.held.at(-1)!))
}

function placeOf({ appendTimeMs, topic, partition, offset }: DeadLetter): Place {
  return [appendTimeMs, topic, partition, offset]
}

function compare<T extends readonly (string | number)[]>(a: T, b: T): number {
  const at = a.findIndex((value, index) => value !== b[index])
  return at < 0 ? 0 : a[at]! < b[at]! ? -1 : 1
}

function formatCursor(deadLetter: DeadLetter): string {
  return Buffer.from(JSON.stringify(placeOf(deadLetter))).toString('base64url')
}

function parseCursor(cursor: string): Place {
  try {
    const place: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (
      Array.isArray(place) &&
      place.length === 4 &&
      [0, 2, 3].every((at) => Number.isSafeInteger(place[at])) &&
      typeof place[1] === 'string'
    )
      return place as unknown as Place
  } catch {
    // Falls through: whatever was wrong with it, it is not a cursor of ours.
  }
  throw invalid('invalid_cursor', 'the cursor is not one that a list answered with')
}
