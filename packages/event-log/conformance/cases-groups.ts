import { expect } from 'vitest'
import type { Batch, BatchHandler, Subscription } from '../src/port.ts'
import { type Case, collector, commitAll, numbered, record, textOf, untilAborted } from './context.ts'

/** Fails when two handlers hold one partition at once; keeps every value that was committed. */
function exclusive() {
  const busy = new Set<number>()
  const done = new Set<string>()
  const faults: string[] = []
  const handler: BatchHandler = async (batch) => {
    if (busy.has(batch.partition)) faults.push(`two owners of ${batch.partition}`)
    busy.add(batch.partition)
    try {
      await new Promise((resolve) => setImmediate(resolve))
      await commitAll(batch)
      for (const one of batch.records) done.add(textOf(one))
    } finally {
      busy.delete(batch.partition)
    }
  }
  return { done, faults, handler }
}

/** Who owns what, and how groups stand to each other. */
export const groupCases: Record<string, Case> = {
  'groups: each gets every record, and commits for itself': async (t) => {
    const topic = await t.topic({ partitions: 2 })
    const one = collector()
    const two = collector()
    await t.subscribe(topic, one.handler, { group: 'one' })
    await t.log().append(topic, [...numbered('a', 5), ...numbered('b', 5)])
    await t.until(() => one.records.length === 10, 'the first group')
    expect(await t.log().lag('one', topic)).toBe(0)
    expect(await t.log().lag('two', topic)).toBe(10)
    await t.subscribe(topic, two.handler, { group: 'two' })
    await t.until(() => two.records.length === 10, 'the second group')
  },
  'subscribe: several topics in one group': async (t) => {
    const topics = [await t.topic({ partitions: 2 }), await t.topic()]
    const { records, handler } = collector()
    const subscription = await t.log().subscribe({ group: 'group', topics }, handler)
    await t.until(() => subscription.assignment().length === 3, 'all partitions')
    for (const topic of topics) await t.log().append(topic, numbered('key', 2))
    await t.until(() => records.length === 4, 'both topics')
    expect(new Set(records.map(({ topic }) => topic))).toEqual(new Set(topics))
  },
  'lag: what is appended and not committed': async (t) => {
    const topic = await t.topic({ partitions: 3 })
    expect(await t.log().lag('group', topic)).toBe(0)
    await t.log().append(
      topic,
      Array.from({ length: 30 }, (_, n) => record(`key-${n}`, String(n))),
    )
    expect(await t.log().lag('group', topic)).toBe(30)
    const { handler } = collector()
    await t.subscribe(topic, handler)
    await t.until(async () => (await t.log().lag('group', topic)) === 0, 'no lag')
  },
  'rebalance: members share the partitions evenly, each partition having one owner': async (t) => {
    const topic = await t.topic({ partitions: 6 })
    const members: Subscription[] = []
    const shares = (): number[] => members.map((member) => member.assignment().length).sort((a, b) => a - b)
    const owned = (): Set<number> =>
      new Set(members.flatMap((member) => member.assignment().map(({ partition }) => partition)))
    for (const expected of [[6], [3, 3], [2, 2, 2]]) {
      members.push(await t.subscribe(topic, async () => {}))
      await t.until(() => String(shares()) === String(expected), `shares ${expected.join()}`)
      expect(owned().size).toBe(6)
    }
    await members.shift()!.stop()
    await t.until(() => String(shares()) === '3,3', 'shared after leaving')
    expect(owned().size).toBe(6)
  },
  'rebalance: nothing is lost and no partition has two owners while members come and go': async (t) => {
    const topic = await t.topic({ partitions: 6 })
    const { done, faults, handler } = exclusive()
    const join = (): Promise<Subscription> => t.subscribe(topic, handler, { maxBatchRecords: 5 })
    const members = [await join()]
    let appended = 0
    const appendSome = async (): Promise<void> => {
      const records = Array.from({ length: 60 }, (_, n) => record(`key-${n}`, String(appended + n)))
      await t.log().append(topic, records)
      appended += records.length
    }
    for (const step of ['join', 'join', 'leave', 'join', 'leave', 'leave', 'join']) {
      await appendSome()
      if (step === 'join') members.push(await join())
      else await members.shift()!.stop()
      await appendSome()
    }
    await t.until(() => done.size === appended, 'all done')
    expect(faults).toEqual([])
    await t.until(async () => (await t.log().lag('group', topic)) === 0, 'all committed')
  },
  'rebalance: a busy handler may finish and commit before its partition moves': async (t) => {
    const topic = await t.topic()
    await t.log().append(topic, numbered('key', 4))
    const gate = Promise.withResolvers<void>()
    let batch: Batch | undefined
    const leaving = await t.subscribe(topic, async (delivered) => {
      batch = delivered
      await gate.promise
      await commitAll(delivered)
    })
    await t.until(() => batch !== undefined, 'in the handler')
    const { records, handler } = collector()
    const staying = await t.subscribe(topic, handler)
    const stopped = leaving.stop()
    await t.until(() => batch!.signal.aborted, 'told to end')
    expect(records).toEqual([])
    gate.resolve()
    await stopped
    await t.until(() => staying.assignment().length === 1, 'moved')
    await t.log().append(topic, [record('key', 'next')])
    await t.until(() => records.length === 1, 'the next record')
    expect(records.map(textOf)).toEqual(['next'])
  },
  'rebalance: who joins while the last member is leaving waits for its handler': async (t) => {
    const topic = await t.topic()
    const other = await t.topic()
    await t.log().append(topic, numbered('key', 4))
    const gate = Promise.withResolvers<void>()
    let batch: Batch | undefined
    const leaving = await t.subscribe(topic, async (delivered) => {
      batch = delivered
      await gate.promise
      await commitAll(delivered)
    })
    await t.until(() => batch !== undefined, 'in the handler')
    const stopped = leaving.stop()
    const { records, handler } = collector()
    const beside = collector()
    const joined = t.subscribe(topic, handler)
    await t.subscribe(other, beside.handler, { group: 'other' })
    await t.log().append(other, numbered('key', 1))
    await t.until(() => beside.records.length === 1, 'another group goes on')
    expect(records).toEqual([])
    gate.resolve()
    await stopped
    await joined
    await t.log().append(topic, [record('key', 'next')])
    await t.until(() => records.length === 1, 'the next record')
    expect(records.map(textOf)).toEqual(['next'])
  },
  'rebalance: a batch that was handed over but not committed goes to the new owner': async (t) => {
    const topic = await t.topic({ partitions: 2 })
    const held: Batch[] = []
    let commits = false
    const first = await t.subscribe(topic, async (batch) => {
      held.push(batch)
      if (commits) await commitAll(batch)
    })
    await t.until(() => first.assignment().length === 2, 'assigned')
    await t.log().append(
      topic,
      Array.from({ length: 8 }, (_, n) => record(`key-${n}`, String(n))),
    )
    await t.until(() => held.flatMap(({ records }) => records).length === 8, 'delivered')
    const { records, handler } = collector()
    const second = await t.subscribe(topic, handler)
    await t.until(() => second.assignment().length === 1, 'shared')
    const [moved] = second.assignment()
    const lost = held.filter(({ partition }) => partition === moved!.partition)
    const count = lost.flatMap((batch) => batch.records).length
    await t.until(() => records.length === count, 'delivered again')
    expect(lost.every(({ signal }) => signal.aborted)).toBe(true)
    for (const batch of lost)
      await expect(commitAll(batch)).rejects.toMatchObject({ code: 'partition_lost', retryable: true })
    // A log may take all partitions back for a moment: then what the first member keeps comes to it again.
    commits = true
    const [kept] = first.assignment()
    for (const batch of held.filter(({ partition }) => partition === kept!.partition)) {
      await commitAll(batch).catch((error: unknown) =>
        expect(error).toMatchObject({ code: 'partition_lost' }),
      )
    }
    await t.until(async () => (await t.log().lag('group', topic)) === 0, 'all committed')
  },
  'commit: after the partition is lost it changes nothing': async (t) => {
    const topic = await t.topic()
    await t.log().append(topic, numbered('key', 4))
    let batch: Batch | undefined
    const first = await t.subscribe(topic, async (delivered) => {
      batch = delivered
    })
    await t.until(() => batch !== undefined, 'delivered')
    await first.stop()
    await expect(commitAll(batch!)).rejects.toMatchObject({ code: 'partition_lost', retryable: true })
    expect(await t.log().lag('group', topic)).toBe(4)
  },
  'rebalance: a handler that stops on its signal gives its partition up at once': async (t) => {
    const topic = await t.topic()
    await t.log().append(topic, numbered('key', 2))
    const errors: unknown[] = []
    let entered = false
    const first = await t.subscribe(
      topic,
      async (batch) => {
        entered = true
        await untilAborted(batch.signal)
      },
      { onError: (error) => errors.push(error) },
    )
    await t.until(() => entered, 'in the handler')
    const { records, handler } = collector()
    await t.subscribe(topic, handler)
    await first.stop()
    await t.until(() => records.length === 2, 'delivered to the other')
    expect(errors).toEqual([])
  },
}
