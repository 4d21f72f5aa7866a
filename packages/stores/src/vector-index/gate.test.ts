import { expect, test } from 'vitest'
import { gate } from './gate.ts'

test('gate: so many at once and no more, failures free their place, too many waiting are refused', async () => {
  const pass = gate(2, 3)
  const ends: (() => void)[] = []
  let [running, most] = [0, 0]
  const calls = Array.from({ length: 5 }, (_, i) =>
    pass(async () => {
      most = Math.max(most, ++running)
      await new Promise<void>((resolve) => ends.push(resolve))
      running--
      if (i % 2) throw new Error(`task ${i}`)
      return i
    }),
  )
  await expect(pass(async () => 9)).rejects.toMatchObject({ code: 'index_busy', retryable: true })
  const settled = Promise.allSettled(calls)
  for (let ended = 0; ended < 5; ended++) {
    while (ends.length === ended) await Promise.resolve()
    ends[ended]!()
  }
  expect((await settled).map(({ status }) => status)).toEqual([
    'fulfilled',
    'rejected',
    'fulfilled',
    'rejected',
    'fulfilled',
  ])
  expect(most).toBe(2)
  expect(await pass(async () => 'free')).toBe('free')
})
