import { describe, expect, test } from 'vitest'
import { createOracle, nonceOf } from './e2e/harness/consistency-oracle.ts'

/** One document, published twice, the first state confirmed visible. */
function published() {
  const oracle = createOracle(1)
  const first = oracle.publish(0)
  oracle.confirmed(0, first)
  return { oracle, first, second: oracle.publish(0) }
}

describe('the oracle of the consistency runs sees each planted fault', () => {
  test('K1 two nonces in one answer', () => {
    const { oracle, first, second } = published()
    oracle.check(oracle.begin(), 'answer', [nonceOf(0, first), nonceOf(0, second)])
    expect(oracle.counts).toMatchObject({ mixed: 1, deleted: 0, older: 0, absent: 0 })
  })

  test('K2 text of a deleted document, in a query begun after the deletion, not in one begun before', () => {
    const { oracle, second } = published()
    const before = oracle.begin()
    oracle.deleting(0)
    oracle.deleted(0)
    oracle.check(before, 'answer', [nonceOf(0, second)])
    expect(oracle.counts.deleted).toBe(0)
    oracle.check(oracle.begin(), 'answer', [nonceOf(0, second)])
    expect(oracle.counts.deleted).toBe(1)
  })

  test('K3 an older state after a newer one was confirmed', () => {
    const { oracle, first, second } = published()
    oracle.confirmed(0, second)
    oracle.check(oracle.begin(), 'answer', [nonceOf(0, first)])
    expect(oracle.counts.older).toBe(1)
  })

  test('K4 a document that exists all the while is missing; one that was deleted meanwhile may be', () => {
    const { oracle } = published()
    const start = oracle.begin()
    oracle.absent(start, 'answer', 0)
    expect(oracle.counts.absent).toBe(1)
    oracle.deleting(0)
    oracle.absent(start, 'answer', 0)
    expect(oracle.counts.absent).toBe(1)
  })
})
