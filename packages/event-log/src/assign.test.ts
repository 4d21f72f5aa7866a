import fc from 'fast-check'
import { expect, test } from 'vitest'
import { assign } from './assign.ts'

const all = (): boolean => true
const range = (count: number): number[] => Array.from({ length: count }, (_, n) => n)

function sizes(owners: ReadonlyMap<number, number>, members: number): number[] {
  return range(members).map((member) => [...owners.values()].filter((owner) => owner === member).length)
}

test('assign: every partition has an owner and no member has two more than another', () => {
  fc.assert(
    fc.property(fc.nat(40), fc.integer({ min: 1, max: 8 }), (partitions, members) => {
      const owners = assign(range(partitions), range(members), all, new Map())
      expect(owners.size).toBe(partitions)
      const shares = sizes(owners, members)
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1)
    }),
  )
})

test('assign: joining and leaving move no partition between those who stay', () => {
  fc.assert(
    fc.property(fc.nat(40), fc.integer({ min: 1, max: 8 }), (partitions, members) => {
      const before = assign(range(partitions), range(members), all, new Map())
      const joined = assign(range(partitions), range(members + 1), all, before)
      const left = assign(range(partitions), range(members), all, joined)
      for (const [partition, owner] of joined) expect([before.get(partition), members]).toContain(owner)
      for (const [partition, owner] of left)
        if (joined.get(partition) !== members) expect(owner).toBe(joined.get(partition))
    }),
  )
})

test('assign: a partition goes only to a member that wants it, and to none where none does', () => {
  const wants = (member: number, partition: number): boolean => partition % 2 === member
  const owners = assign([0, 1, 2, 3, 4], [0], wants, new Map([[1, 0]]))
  expect([...owners]).toEqual([
    [0, 0],
    [2, 0],
    [4, 0],
  ])
})
