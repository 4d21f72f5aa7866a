import fc from 'fast-check'
import { expect } from 'vitest'
import type { Batch, Subscription } from '../src/port.ts'
import { type Case, commitAll, type Context, keyPerPartition, record, textOf } from './context.ts'

const PARTITIONS = 3

type Outcome = 'commit' | 'commit-half' | 'resolve' | 'throw'
type Action =
  | { readonly do: 'append'; readonly partitions: number[] }
  | { readonly do: 'deliver'; readonly outcome: Outcome }
  | { readonly do: 'restart' }

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      partitions: fc.array(fc.nat(PARTITIONS - 1), { minLength: 1, maxLength: 12 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('deliver' as const),
      outcome: fc.constantFrom<Outcome>('commit', 'commit-half', 'resolve', 'throw'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
)

/** What one group should see of one topic: per partition the values, the commit, and where the next batch begins. */
function createModel() {
  return Array.from({ length: PARTITIONS }, () => ({ values: [] as string[], committed: 0, position: 0 }))
}

/** Runs the actions against the log and the model side by side; handlers wait until an action lets one go on. */
async function compare(t: Context, actions: readonly Action[]): Promise<void> {
  const topic = await t.topic({ partitions: PARTITIONS })
  const keys = keyPerPartition(PARTITIONS)
  const model = createModel()
  const waiting = new Set<(outcome: Outcome) => Promise<void>>()
  let subscription: Subscription

  async function settle(batch: Batch, outcome: Outcome): Promise<void> {
    const of = model[batch.partition]!
    const end = of.position + batch.records.length
    expect(batch.records.map(textOf)).toEqual(of.values.slice(of.position, end))
    expect(batch.records[0]!.offset).toBe(of.position)
    if (outcome === 'commit') await commitAll(batch)
    if (outcome === 'commit') of.committed = end
    if (outcome === 'commit-half') {
      const half = batch.records[Math.floor((batch.records.length - 1) / 2)]!
      await batch.commit(half.offset)
      of.committed = half.offset + 1
    }
    of.position = outcome === 'throw' ? of.committed : end
  }

  async function handler(batch: Batch): Promise<void> {
    const chosen = Promise.withResolvers<Outcome>()
    const compared = Promise.withResolvers<void>()
    const choose = (outcome: Outcome): Promise<void> => {
      chosen.resolve(outcome)
      return compared.promise
    }
    waiting.add(choose)
    batch.signal.addEventListener('abort', () => chosen.reject(batch.signal.reason), { once: true })
    const outcome = await chosen.promise.finally(() => waiting.delete(choose))
    await settle(batch, outcome).then(compared.resolve, compared.reject)
    if (outcome === 'throw') throw new Error('as the model wants it')
  }

  async function deliver(outcome: Outcome): Promise<void> {
    if (model.every(({ position, values }) => position === values.length)) return
    await t.until(() => waiting.size > 0, 'a batch is delivered')
    const [choose] = waiting
    waiting.delete(choose!)
    await choose!(outcome)
  }

  const subscribe = (): Promise<Subscription> =>
    t.subscribe(topic, handler, { group: topic, maxBatchRecords: 4 })

  async function append(partitions: readonly number[]): Promise<void> {
    const records = partitions.map((partition, n) => {
      const value = `${model[partition]!.values.length}-${n}`
      model[partition]!.values.push(value)
      return record(keys[partition]!, value)
    })
    await t.log().append(topic, records)
  }

  subscription = await subscribe()
  for (const step of actions) {
    if (step.do === 'append') await append(step.partitions)
    if (step.do === 'deliver') await deliver(step.outcome)
    if (step.do === 'restart') {
      await t.reopen()
      for (const of of model) of.position = of.committed
      subscription = await subscribe()
    }
  }
  const outstanding = model.reduce((sum, { values, committed }) => sum + values.length - committed, 0)
  expect(await t.log().lag(topic, topic)).toBe(outstanding)
  while (model.some(({ position, values }) => position < values.length)) await deliver('commit')
  for (const [partition, { values }] of model.entries())
    expect((await t.log().read(topic, partition, 0, 1_000)).map(textOf)).toEqual(values)
  await subscription.stop()
}

export const modelCases: Record<string, Case> = {
  'model: any course of appends, outcomes and restarts delivers what the model says': async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 40 }), (actions) => compare(t, actions)),
      { numRuns: 25, endOnFailure: true },
    )
  },
}
