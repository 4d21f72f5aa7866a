import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Lane } from './embedder.ts'
import { laneQueue, type Waiting } from './lanes.ts'

interface Item extends Waiting {
  readonly name: string
}

function item(name: string, lane: Lane, tokens = 10, attempts = 0): Item {
  return { name, lane, tokens, attempts }
}

const lane = fc.constantFrom<Lane>('query', 'interactive', 'bulk')

describe('lane queue', () => {
  it('L1: hands out by lane, then in the order of coming', () => {
    const queue = laneQueue<Item>()
    for (const each of [
      item('b1', 'bulk'),
      item('i1', 'interactive'),
      item('b2', 'bulk'),
      item('q1', 'query'),
    ])
      queue.push(each)
    const order = [queue.take(10), queue.take(10), queue.take(10), queue.take(10)]
    expect(order.flat().map(({ name }) => name)).toEqual(['q1', 'i1', 'b1', 'b2'])
  })

  it('L2: bulk work is handed out within five turns of urgent work without end', () => {
    const queue = laneQueue<Item>()
    queue.push(item('bulk', 'bulk'))
    const taken: string[] = []
    for (let turn = 0; turn < 5; turn++) {
      queue.push(item(`query ${turn}`, 'query'))
      taken.push(...queue.take(10).map(({ name }) => name))
    }
    expect(taken).toContain('bulk')
  })

  it('L3: what failed once is handed out alone, before the others of its lane', () => {
    const queue = laneQueue<Item>()
    queue.push(item('a', 'bulk'))
    queue.push(item('b', 'bulk'))
    queue.putBack(item('failed', 'bulk', 10, 1))
    expect(queue.take(100).map(({ name }) => name)).toEqual(['failed'])
    expect(queue.take(100).map(({ name }) => name)).toEqual(['a', 'b'])
  })

  it('hands each item out once, in jobs of one lane within the budget', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(lane, fc.integer({ min: 1, max: 50 }))), (items) => {
        const queue = laneQueue<Item>()
        items.forEach(([each, tokens], index) => queue.push(item(String(index), each, tokens)))
        const jobs: Item[][] = []
        while (queue.size > 0) jobs.push(queue.take(40))
        for (const job of jobs) {
          expect(new Set(job.map((each) => each.lane)).size).toBe(1)
          if (job.length > 1) expect(job.reduce((sum, { tokens }) => sum + tokens, 0)).toBeLessThanOrEqual(40)
        }
        expect(
          jobs
            .flat()
            .map(({ name }) => Number(name))
            .sort((a, b) => a - b),
        ).toEqual(items.map((_, n) => n))
      }),
    )
  })

  it('takes out what is not wanted any more', () => {
    const queue = laneQueue<Item>()
    queue.push(item('a', 'bulk'))
    queue.push(item('b', 'query'))
    expect(queue.remove(({ name }) => name === 'a')).toHaveLength(1)
    expect(queue.size).toBe(1)
    expect(queue.take(10, ['bulk'])).toEqual([])
  })
})
