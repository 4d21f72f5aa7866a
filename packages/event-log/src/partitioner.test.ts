import { expect, test } from 'vitest'
import { murmur2, partitionOf } from './partitioner.ts'

// The vectors of Kafka's own UtilsTest.testMurmur2.
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('murmur2: %s hashes as Kafka has it', (key, hash) => {
  expect(murmur2(Buffer.from(key))).toBe(hash)
})

test('partitionOf: a negative hash still gives a partition', () => {
  expect(partitionOf(Buffer.from('21'), 12)).toBe((-973932308 & 0x7fffffff) % 12)
  expect(partitionOf(Buffer.alloc(0), 7)).toBeGreaterThanOrEqual(0)
})
