import { expect } from 'vitest'
import type { Batch, LogRecord } from '../src/port.ts'
import {
  type Case,
  collector,
  commitAll,
  keyPerPartition,
  numbered,
  offsetsOf,
  record,
  textOf,
  untilAborted,
} from './context.ts'

/** What one member of a group is handed, and when. */
export const deliveryCases: Record<string, Case> = {
  'order: records of one key come from one partition in the order of their appends': async (t) => {
    const topic = await t.topic({ partitions: 4 })
    const { records, handler } = collector()
    await t.subscribe(topic, handler, { maxBatchRecords: 7 })
    for (let n = 0; n < 40; n++) {
      await t.log().append(
        topic,
        Array.from({ length: 10 }, (_, key) => record(`key-${key}`, String(n))),
      )
    }
    await t.until(() => records.length === 400, 'all delivered')
    for (const [, ofKey] of Map.groupBy(records, ({ key }) => String(key))) {
      expect(new Set(ofKey.map(({ partition }) => partition)).size).toBe(1)
      expect(ofKey.map(textOf)).toEqual(Array.from({ length: 40 }, (_, n) => String(n)))
    }
  },
  'idle: a record that is appended to a waiting group is delivered': async (t) => {
    const topic = await t.topic({ partitions: 2 })
    const { records, handler } = collector()
    const subscription = await t.subscribe(topic, handler)
    await t.until(() => subscription.assignment().length === 2, 'assigned')
    for (let n = 0; n < 20; n++) {
      await t.log().append(topic, [record(`key-${n}`, String(n))])
      await t.until(() => records.length === n + 1, `record ${n}`)
    }
  },
  'redelivery: what was delivered but not committed comes again after a restart': async (t) => {
    const topic = await t.topic()
    await t.log().append(topic, numbered('key', 10))
    let seen = 0
    await t.subscribe(topic, async (batch) => {
      seen += batch.records.length
    })
    await t.until(() => seen === 10, 'first delivery')
    await t.reopen()
    const { records, handler } = collector()
    await t.subscribe(topic, handler)
    await t.until(() => records.length === 10, 'second delivery')
    expect(offsetsOf(records)).toEqual(offsetsOf(records).keys().toArray())
  },
  'restart: a group goes on after its last commit': async (t) => {
    const topic = await t.topic()
    await t.log().append(topic, numbered('key', 10))
    let committed = false
    await t.subscribe(topic, async (batch) => {
      await batch.commit(6)
      // A commit never moves backwards.
      await batch.commit(2)
      committed = true
    })
    await t.until(() => committed, 'committed')
    await t.reopen()
    const { records, handler } = collector()
    await t.subscribe(topic, handler)
    await t.until(() => records.length === 3, 'the rest')
    expect(offsetsOf(records)).toEqual([7, 8, 9])
  },
  'slow handler: the other partitions go on': async (t) => {
    const topic = await t.topic({ partitions: 3 })
    const keys = keyPerPartition(3)
    const { records, handler } = collector()
    const gate = Promise.withResolvers<void>()
    await t.subscribe(topic, async (batch) => {
      if (batch.partition === 1) await gate.promise
      await handler(batch)
    })
    await t.log().append(
      topic,
      keys.map((key) => record(key, 'first')),
    )
    await t.until(() => records.length === 2, 'two partitions')
    await t.log().append(
      topic,
      keys.map((key) => record(key, 'second')),
    )
    await t.until(() => records.length === 4, 'two partitions again')
    expect(records.some(({ partition }) => partition === 1)).toBe(false)
    gate.resolve()
    await t.until(() => records.length === 6, 'the slow one')
  },
  'poison: a record that always fails is delivered again and again and blocks its partition alone': async (
    t,
  ) => {
    const topic = await t.topic({ partitions: 2 })
    const [good, bad] = keyPerPartition(2) as [string, string]
    const { records, handler } = collector()
    const attempts: number[] = []
    await t.subscribe(
      topic,
      async (batch) => {
        const poison = batch.records.find((one) => textOf(one) === 'poison')
        if (poison) {
          if (poison.offset > batch.records[0]!.offset) await batch.commit(poison.offset - 1)
          throw new Error('poison')
        }
        await handler(batch)
      },
      { onError: (_, { attempt, partition }) => attempts.push(partition === 1 ? attempt : -1) },
    )
    await t
      .log()
      .append(topic, [record(bad, 'before'), record(bad, 'poison'), record(bad, 'after'), record(good, '0')])
    await t.until(() => attempts.length >= 4, 'four attempts')
    await t.log().append(topic, [record(good, '1')])
    await t.until(() => records.length === 2, 'the other partition')
    expect(attempts.slice(0, 4)).toEqual([1, 2, 3, 4])
    expect(records.map(textOf)).toEqual(['0', '1'])
    expect(await t.log().lag('group', topic)).toBe(2)
  },
  'poison: attempts count on while uncommitted records before it are repeated': async (t) => {
    const topic = await t.topic()
    await t.log().append(topic, [...numbered('key', 2), record('key', 'poison')])
    const attempts: number[] = []
    await t.subscribe(
      topic,
      async (batch) => {
        if (textOf(batch.records[0]!) === 'poison') throw new Error('poison')
      },
      { maxBatchRecords: 1, onError: (_, { attempt }) => attempts.push(attempt) },
    )
    await t.until(() => attempts.length >= 4, 'four attempts')
    expect(attempts.slice(0, 4)).toEqual([1, 2, 3, 4])
  },
  'dependency down: a handler that fails for long gets everything, in order, when it works again': async (
    t,
  ) => {
    const topic = await t.topic({ partitions: 2 })
    const { records, handler } = collector()
    let failures = 0
    await t.subscribe(topic, async (batch) => {
      if (failures < 10) {
        failures++
        throw new Error('the index is down')
      }
      await handler(batch)
    })
    for (let n = 0; n < 20; n++) await t.log().append(topic, [record(`key-${n % 4}`, String(n))])
    await t.until(() => records.length === 20, 'all delivered')
    for (const [, ofKey] of Map.groupBy(records, ({ key }) => String(key)))
      expect(ofKey.map((one) => Number(textOf(one)))).toEqual(
        ofKey.map((one) => Number(textOf(one))).toSorted((a, b) => a - b),
      )
  },
  'throw: what the handler had committed before it threw is not delivered again': async (t) => {
    const topic = await t.topic()
    const firsts: number[] = []
    const { records, handler } = collector()
    await t.log().append(topic, numbered('key', 10))
    await t.subscribe(topic, async (batch) => {
      firsts.push(batch.records[0]!.offset)
      if (firsts.length === 1) {
        await batch.commit(3)
        throw new Error('half way')
      }
      await handler(batch)
    })
    await t.until(() => records.length === 6, 'the rest')
    expect(firsts).toEqual([0, 4])
  },
  'pipeline: the next batch follows the last, and commits may come later': async (t) => {
    const topic = await t.topic()
    await t.log().append(topic, numbered('key', 12))
    const batches: Batch[] = []
    await t.subscribe(topic, async (batch) => void batches.push(batch), { maxBatchRecords: 4 })
    await t.until(() => batches.length === 3, 'three batches')
    expect(batches.map(({ records }) => offsetsOf(records))).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9, 10, 11],
    ])
    expect(await t.log().lag('group', topic)).toBe(12)
    await commitAll(batches[0]!)
    await commitAll(batches[1]!)
    expect(await t.log().lag('group', topic)).toBe(4)
    await expect(batches[1]!.commit(8)).rejects.toMatchObject({ code: 'commit_out_of_range' })
    await t.reopen()
    const { records, handler } = collector()
    await t.subscribe(topic, handler)
    await t.until(() => records.length === 4, 'the uncommitted batch')
    expect(offsetsOf(records)).toEqual([8, 9, 10, 11])
  },
  'pipeline: a throw takes back every uncommitted batch of the partition': async (t) => {
    const topic = await t.topic()
    await t.log().append(topic, numbered('key', 12))
    const batches: Batch[] = []
    await t.subscribe(
      topic,
      async (batch) => {
        batches.push(batch)
        if (batches.length === 1) await commitAll(batch)
        if (batches.length === 3) throw new Error('the pipeline broke')
      },
      { maxBatchRecords: 4 },
    )
    await t.until(() => batches.length === 5, 'both come again')
    expect(batches.slice(3).map(({ records }) => records[0]!.offset)).toEqual([4, 8])
    expect(batches[1]!.signal.aborted).toBe(true)
    expect(batches[3]!.signal.aborted).toBe(false)
    await expect(commitAll(batches[1]!)).rejects.toMatchObject({ code: 'partition_lost', retryable: true })
    await commitAll(batches[3]!)
    await commitAll(batches[4]!)
    expect(await t.log().lag('group', topic)).toBe(0)
  },
  'back-pressure: a batch has at most maxBatchRecords, and one is in the handler at a time': async (t) => {
    const topic = await t.topic()
    const sizes: number[] = []
    let running = 0
    await t.log().append(topic, numbered('key', 100))
    await t.subscribe(
      topic,
      async (batch) => {
        expect(++running).toBe(1)
        await t.log().ping()
        sizes.push(batch.records.length)
        await commitAll(batch)
        running--
      },
      { maxBatchRecords: 7 },
    )
    await t.until(async () => (await t.log().lag('group', topic)) === 0, 'all done')
    expect(Math.max(...sizes)).toBeLessThanOrEqual(7)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(100)
  },
  'back-pressure: a batch has at most maxBatchBytes, and a larger record comes alone': async (t) => {
    const topic = await t.topic()
    const sizes = [100, 100, 100, 5_000, 100, 990, 100]
    await t.log().append(
      topic,
      sizes.map((size) => ({ key: 'k', value: Buffer.alloc(size - 1) })),
    )
    const batches: number[][] = []
    await t.subscribe(
      topic,
      async (batch) => {
        batches.push(batch.records.map(({ value }) => value!.length + 1))
        await commitAll(batch)
      },
      { maxBatchBytes: 1_000 },
    )
    await t.until(() => batches.flat().length === sizes.length, 'all delivered')
    expect(batches.flat()).toEqual(sizes)
    for (const batch of batches)
      expect(batch.length === 1 || batch.reduce((sum, size) => sum + size, 0) <= 1_000).toBe(true)
  },
  'pause: nothing is delivered until resume, and a batch in the handler may commit': async (t) => {
    const topic = await t.topic()
    const { records, handler } = collector()
    const other = collector()
    const gate = Promise.withResolvers<void>()
    let entered = false
    const subscription = await t.subscribe(topic, async (batch) => {
      entered = true
      await gate.promise
      await handler(batch)
    })
    await t.log().append(topic, numbered('key', 1))
    await t.until(() => entered, 'in the handler')
    subscription.pause()
    gate.resolve()
    await t.until(() => records.length === 1, 'committed while paused')
    await t.log().append(topic, numbered('key', 5, 1))
    await t.subscribe(topic, other.handler, { group: 'other' })
    await t.until(() => other.records.length === 6, 'another group has them')
    expect(records).toHaveLength(1)
    subscription.resume()
    await t.until(() => records.length === 6, 'delivered after resume')
    await t.log().append(topic, [record('key', 'on its way when paused')])
    subscription.pause()
    const before = records.length
    await t.until(() => other.records.length === 7, 'another group has it')
    expect(records).toHaveLength(before)
    subscription.resume()
    await t.until(() => records.length === 7, 'delivered after the second resume')
  },
  'stop: a handler under way is waited for and may commit': async (t) => {
    const topic = await t.topic()
    await t.log().append(topic, numbered('key', 3))
    const gate = Promise.withResolvers<void>()
    let batch: Batch | undefined
    const { records, handler } = collector()
    const subscription = await t.subscribe(topic, async (delivered) => {
      batch = delivered
      await gate.promise
      await handler(delivered)
    })
    await t.until(() => batch !== undefined, 'in the handler')
    const stopped = subscription.stop()
    await t.until(() => batch!.signal.aborted, 'told to end')
    gate.resolve()
    await stopped
    expect(records).toHaveLength(3)
    expect(subscription.assignment()).toEqual([])
    expect(await t.log().lag('group', topic)).toBe(0)
    await t.log().append(topic, numbered('key', 1))
    expect(records).toHaveLength(3)
  },
  'stop: a handler that does not end is left after the deadline, and can commit no more': async (t) => {
    const topic = await t.topic()
    await t.log().append(topic, numbered('key', 3))
    const gate = Promise.withResolvers<void>()
    let batch: Batch | undefined
    const subscription = await t.subscribe(topic, async (delivered) => {
      batch = delivered
      await gate.promise
    })
    await t.until(() => batch !== undefined, 'in the handler')
    await subscription.stop({ deadlineMs: 20 })
    await expect(commitAll(batch!)).rejects.toMatchObject({ code: 'partition_lost' })
    gate.resolve()
    const { records, handler } = collector()
    await t.subscribe(topic, handler)
    await t.until(() => records.length === 3, 'delivered again')
  },
  'close: ends the subscriptions first': async (t) => {
    const topic = await t.topic()
    await t.log().append(topic, numbered('key', 3))
    const seen: LogRecord[] = []
    await t.subscribe(topic, async (batch) => {
      seen.push(...batch.records)
      await untilAborted(batch.signal).catch(() => {})
      await commitAll(batch)
    })
    await t.until(() => seen.length === 3, 'in the handler')
    await t.reopen()
    expect(await t.log().lag('group', topic)).toBe(0)
  },
}
