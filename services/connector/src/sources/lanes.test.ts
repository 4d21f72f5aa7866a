import type { Clock } from '@aquifer/runtime/clock'
import { expect, test } from 'vitest'
import { createLanes } from './lanes.ts'

test('lanes: beyond a burst documents count as a bulk load; edits and other tenants have allowances of their own, and they return', () => {
  let now = 0
  const clock: Clock = { now: () => now, sleep: async () => {} }
  const lanes = createLanes(clock)
  const taken = Array.from({ length: 40 }, () => lanes.choose('acme', false))
  const burst = taken.indexOf('bulk')
  expect(burst).toBeGreaterThan(4)
  expect(taken.slice(burst)).toEqual(taken.slice(burst).fill('bulk'))
  expect(lanes.choose('acme', true)).toBe('interactive')
  expect(lanes.choose('globex', false)).toBe('interactive')
  now += 2000
  expect(lanes.choose('acme', false)).toBe('interactive')
})
