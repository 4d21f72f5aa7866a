import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock, type Clock } from '@aquifer/runtime/clock'
import { expect, test, vi } from 'vitest'
import { createMemoryDisk, createMemoryEventLog } from './adapters/memory.ts'
import { createSqliteEventLog } from './adapters/sqlite.ts'
import type { Batch, EventLog, TopicSpec } from './port.ts'

const spec = (given: Partial<TopicSpec> = {}): TopicSpec => ({
  name: 'topic',
  partitions: 1,
  retentionMs: null,
  cleanup: 'delete',
  ...given,
})
const one = [{ key: 'key', value: Buffer.from('value') }]

/** Time stands still, and a sleep ends only when `wake` ends it. */
function stillClock() {
  const sleepers: { ms: number; wake: () => void }[] = []
  const clock: Clock = {
    now: () => 1_000,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        sleepers.push({ ms, wake: resolve })
        signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      }),
  }
  return { clock, sleepers }
}

async function receivesOne(log: EventLog): Promise<void> {
  const idle = Promise.withResolvers<void>()
  const received = Promise.withResolvers<void>()
  await log.ensureTopics([spec()])
  await log.append('topic', one)
  await log.subscribe({ group: 'group', topics: ['topic'] }, async (batch) => {
    await batch.commit(batch.records.at(-1)!.offset)
    if (batch.records[0]!.offset === 0) idle.resolve()
    else received.resolve()
  })
  await idle.promise
  await log.append('topic', one)
  await received.promise
  await log.close()
}

test('delivery: an append wakes an idle group without any timer (memory)', async () => {
  await receivesOne(createMemoryEventLog({ clock: stillClock().clock }))
})

test('delivery: an append wakes an idle group without any timer (sqlite)', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'event-log-'))
  await receivesOne(createSqliteEventLog({ path: join(directory, 'log.db'), clock: stillClock().clock }))
  rmSync(directory, { recursive: true })
})

test('retry: pauses double up to the ceiling, and start again after a success', async () => {
  const { clock, sleepers } = stillClock()
  const log = createMemoryEventLog({ clock, random: () => 1, maintainEveryMs: null })
  await log.ensureTopics([spec()])
  await log.append('topic', [...one, ...one])
  let fail = true
  const attempts: number[] = []
  await log.subscribe(
    {
      group: 'group',
      topics: ['topic'],
      maxBatchRecords: 1,
      onError: (_, { attempt }) => {
        attempts.push(attempt)
        // Reporting is no part of delivery.
        throw new Error('the reporter failed')
      },
    },
    async () => {
      if (fail) throw new Error('down')
    },
  )
  const pause = async (nth: number): Promise<number> => {
    await vi.waitFor(() => expect(sleepers.length).toBe(nth), { interval: 1 })
    const { ms, wake } = sleepers.at(-1)!
    wake()
    return ms
  }
  for (const [nth, ms] of [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 15_000].entries())
    expect(await pause(nth + 1)).toBe(ms)
  await vi.waitFor(() => expect(sleepers.length).toBe(10), { interval: 1 })
  fail = false
  sleepers[9]!.wake()
  await vi.waitFor(async () => expect(await log.lag('group', 'topic')).toBe(2), { interval: 1 })
  fail = true
  await log.append('topic', one)
  expect(await pause(11)).toBe(100)
  expect(attempts).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1])
  await log.close()
})

test('rebalance: a handler that never ends loses its partition at the deadline', async () => {
  const { clock, sleepers } = stillClock()
  const log = createMemoryEventLog({ clock, maintainEveryMs: null })
  await log.ensureTopics([spec({ partitions: 2 })])
  await log.append('topic', [
    { key: null, value: null },
    { key: null, value: null },
  ])
  const stuck: Batch[] = []
  const options = { group: 'group', topics: ['topic'] }
  await log.subscribe(options, async (batch) => {
    stuck.push(batch)
    await new Promise(() => {})
  })
  await vi.waitFor(() => expect(stuck).toHaveLength(2), { interval: 1 })
  const moved = Promise.withResolvers<Batch>()
  const second = await log.subscribe(options, async (batch) => moved.resolve(batch))
  expect(second.assignment()).toEqual([])
  expect(sleepers.map(({ ms }) => ms)).toEqual([60_000])
  sleepers[0]!.wake()
  const { partition } = await moved.promise
  const [lost, kept] = [0, 1].map((of) => stuck.find((batch) => (batch.partition === partition) === !of))
  await expect(lost!.commit(0)).rejects.toMatchObject({ code: 'partition_lost' })
  await kept!.commit(0)
  const closing = log.close()
  for (const { wake } of sleepers) wake()
  await closing
})

test('append: times do not decrease when the clock does', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'event-log-'))
  let now = 5_000
  const clock: Clock = { now: () => now, sleep: (ms, signal) => systemClock.sleep(ms, signal) }
  const path = join(directory, 'log.db')
  for (const open of [
    () => createSqliteEventLog({ path, clock, maintainEveryMs: null }),
    () => createMemoryEventLog({ clock, maintainEveryMs: null }),
  ]) {
    const log = open()
    await log.ensureTopics([spec()])
    const times: number[] = []
    for (now of [5_000, 3_000, 6_000, 5_999]) times.push((await log.append('topic', one))[0]!.appendTimeMs)
    expect(times).toEqual([5_000, 5_000, 6_000, 6_000])
    expect((await log.read('topic', 0, 0, 9)).map(({ appendTimeMs }) => appendTimeMs)).toEqual(times)
    await log.close()
  }
  rmSync(directory, { recursive: true })
})

test('maintenance: runs by itself', async () => {
  const { clock, sleepers } = stillClock()
  const log = createMemoryEventLog({ clock, maintainEveryMs: 700 })
  await log.ensureTopics([spec({ cleanup: 'compact' })])
  await log.append('topic', [...one, ...one])
  expect(sleepers.map(({ ms }) => ms)).toEqual([700])
  sleepers[0]!.wake()
  await vi.waitFor(
    async () => expect(await log.offsets('topic')).toEqual([{ partition: 0, earliest: 1, next: 2 }]),
    { interval: 1 },
  )
  await log.close()
})

test('memory disk: a log opened on it continues, and the one before is as good as dead', async () => {
  const { clock } = stillClock()
  const disk = createMemoryDisk()
  const dead = createMemoryEventLog({ clock, disk })
  await dead.ensureTopics([spec()])
  await dead.append('topic', one)
  const log = createMemoryEventLog({ clock, disk })
  await expect(dead.append('topic', one)).rejects.toMatchObject({ code: 'log_unavailable' })
  expect((await log.append('topic', one))[0]!.offset).toBe(1)
  await Promise.all([dead.close(), log.close()])
})
