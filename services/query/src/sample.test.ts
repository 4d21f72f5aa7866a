import { expect, test } from 'vitest'
import { isSampled } from './sample.ts'

test('sampling: by hash of the answer id: every replica decides the same, and the share is what was asked', () => {
  const ids = Array.from({ length: 4000 }, (_, i) => `answer-${i}`)
  expect(ids.filter((id) => isSampled(id, 0))).toEqual([])
  expect(ids.filter((id) => isSampled(id, 1))).toEqual(ids)
  const tenth = ids.filter((id) => isSampled(id, 0.1))
  expect(tenth.length / ids.length).toBeCloseTo(0.1, 1)
  const third = new Set(ids.filter((id) => isSampled(id, 0.3)))
  expect(tenth.every((id) => third.has(id))).toBe(true)
})
