import fc from 'fast-check'
import { invalid } from '@aquifer/runtime/errors'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createMemoryEventLog } from './adapters/memory.ts'
import { deadLetter, toReplay } from './dead-letter.ts'
import { listDeadLetters } from './dead-letters.ts'
import type { DeadLetter, DeadLetterQuery } from './dead-letters.ts'
import type { EventLog, LogRecord } from './port.ts'

const DLQS = ['a.dlq', 'b.dlq']
let log: EventLog
let now: number

beforeEach(async () => {
  now = 1_000
  log = createMemoryEventLog({
    clock: { now: () => now, sleep: async () => {} },
    maintainEveryMs: null,
  })
  for (const name of ['a', ...DLQS, 'a.retry'])
    await log.ensureTopics([{ name, partitions: 3, retentionMs: null, cleanup: 'delete' }])
})
afterEach(async () => await log.close())

const list = async (query: Partial<DeadLetterQuery> = {}) =>
  await listDeadLetters(log, { topics: DLQS, limit: 100, matches: () => true, ...query })
const nameOf = ({ topic, partition, offset }: DeadLetter) => `${topic}/${partition}/${offset}`

async function pages(limit: number, query: Partial<DeadLetterQuery> = {}): Promise<DeadLetter[]> {
  const all: DeadLetter[] = []
  let cursor: string | undefined
  do {
    const page = await list({ ...query, limit, ...(cursor === undefined ? {} : { cursor }) })
    expect(page.deadLetters.length).toBeLessThanOrEqual(limit)
    all.push(...page.deadLetters)
    cursor = page.cursor
  } while (cursor !== undefined)
  return all
}

async function onlyRecord(topic: string): Promise<LogRecord> {
  const partitions = await log.offsets(topic)
  const all = await Promise.all(partitions.map(({ partition }) => log.read(topic, partition, 0, 100)))
  const records = all.flat()
  expect(records).toHaveLength(1)
  return records[0]!
}

describe('dead letters: the list', () => {
  test('its pages hold each record once, newest first, whatever the size of a page', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom(...DLQS), fc.nat(20), fc.boolean()), { maxLength: 40 }),
        fc.integer({ min: 1, max: 7 }),
        async (writes, limit) => {
          const before = new Set((await pages(100)).map(nameOf))
          const from = now
          for (const [topic, key, later] of writes) {
            if (later) now++
            await log.append(topic, [{ key: String(key), value: Buffer.from('x'), headers: {} }])
          }
          const all = await pages(limit)
          expect(new Set(all.map(nameOf)).size).toBe(all.length)
          expect(all).toHaveLength(before.size + writes.length)
          const times = all.map(({ appendTimeMs }) => appendTimeMs)
          expect(times).toEqual(times.toSorted((a, b) => b - a))
          const window = await pages(limit, { fromMs: from, toMs: now })
          expect(window.map(nameOf)).toEqual(
            all.filter(({ appendTimeMs: at }) => at >= from && at < now).map(nameOf),
          )
        },
      ),
      { numRuns: 40 },
    )
  })

  test('more records than are read at once come in their order', async () => {
    await log.append(
      'a.dlq',
      Array.from({ length: 200 }, (_, n) => ({ key: 'k', value: Buffer.from(String(n)), headers: {} })),
    )
    const offsets = (await pages(30)).map(({ offset }) => offset)
    expect(offsets).toEqual(Array.from({ length: 200 }, (_, n) => 199 - n))
    expect((await list({ matches: ({ offset }) => offset === 3 })).deadLetters).toHaveLength(1)
  })

  test('a cursor that is none of ours is refused', async () => {
    await expect(list({ cursor: 'nonsense' })).rejects.toMatchObject({ code: 'invalid_cursor' })
  })
})

describe('dead letters: what they say', () => {
  test('place, cause and attempts; of a replay that fails again, the first place and all attempts', async () => {
    const [place] = await log.append('a', [
      { key: 'k', value: Buffer.from('v'), headers: { own: 'kept', 'aquifer-attempts': '70' } },
    ])
    const source = await onlyRecord('a')
    await deadLetter(log, 'a.dlq', source, invalid('too_large', 'too long'), 2)
    const first = await onlyRecord('a.dlq')
    const replay = toReplay(first)
    expect(replay.value).toEqual(source.value)
    expect(Object.keys(replay.headers!).filter((name) => name.includes('exception'))).toEqual([])
    await log.append('a.retry', [replay])
    await deadLetter(log, 'b.dlq', await onlyRecord('a.retry'), invalid('timeout', 'too slow'))
    const [second] = (await list({ topics: ['b.dlq'] })).deadLetters
    expect(second).toMatchObject({
      origin: { topic: 'a', partition: place!.partition, offset: place!.offset, appendTimeMs: 1_000 },
      cause: 'timeout',
      message: 'too slow',
      attempts: 3,
      sizeBytes: 1,
      headers: { own: 'kept' },
    })
  })

  test('what others wrote there has no origin', async () => {
    for (const headers of [
      {},
      {
        '__connect.errors.topic': 'a',
        '__connect.errors.partition': 'one',
        '__connect.errors.offset': '1',
        'aquifer-append-time': '1',
      },
      {
        '__connect.errors.topic': 'a',
        '__connect.errors.partition': '1',
        '__connect.errors.offset': '99999999999999999999',
        'aquifer-append-time': '1',
      },
    ])
      await log.append('a.dlq', [{ key: null, value: null, headers }])
    const found = (await list()).deadLetters
    expect(found).toHaveLength(3)
    for (const each of found) expect(each).toMatchObject({ origin: null, attempts: null, sizeBytes: null })
  })
})
