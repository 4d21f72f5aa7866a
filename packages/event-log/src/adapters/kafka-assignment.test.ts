import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type Claim,
  decodeClaim,
  encodeClaim,
  nameOf,
  shareOut,
  type TopicPartition,
} from './kafka-assignment.ts'

const TOPICS = ['a', 'b', 'c']
/** Three were the most in 30,000 settings of up to 27 partitions and 7 members. */
const MOST_ROUNDS = 6

const setting = fc
  .record({
    counts: fc.tuple(fc.nat(5), fc.nat(5), fc.nat(5)),
    members: fc.array(fc.subarray(TOPICS), { minLength: 1, maxLength: 5 }),
  })
  .map(({ counts, members }) => ({
    partitions: TOPICS.flatMap((topic, at) =>
      Array.from({ length: counts[at]! }, (_, partition) => ({ topic, partition })),
    ),
    topicsOf: new Map(members.map((topics, nth) => [`member-${nth}`, topics])),
  }))

/** The claims with which the members join again after they were given `shares`. */
function claimsAfter(
  topicsOf: ReadonlyMap<string, readonly string[]>,
  shares: ReadonlyMap<string, readonly TopicPartition[]>,
  generation: number,
): Map<string, Claim> {
  return new Map(
    [...topicsOf].map(([member, topics]) => [
      member,
      { topics, owned: shares.get(member) ?? [], generation },
    ]),
  )
}

test('share out: a partition that somebody owns is given to nobody else, and a few rounds settle it', () => {
  fc.assert(
    fc.property(setting, setting, ({ partitions, topicsOf: before }, { topicsOf: after }) => {
      const wanted = partitions.filter(({ topic }) =>
        [...after.values()].some((topics) => topics.includes(topic)),
      )
      let shares = shareOut(claimsAfter(before, new Map(), -1), partitions)
      // Each lets go of what it was not given again, and joins with the rest.
      for (let round = 0; round < MOST_ROUNDS; round++) {
        const claims = claimsAfter(after, shares, round)
        shares = shareOut(claims, partitions)
        for (const [member, { owned }] of claims)
          for (const [other, share] of shares)
            if (other !== member) expect(share.filter((one) => owned.includes(one))).toEqual([])
      }
      expect([...shares.values()].flat().map(nameOf).toSorted()).toEqual(wanted.map(nameOf).toSorted())
    }),
  )
})

test('share out: of two who claim one partition, the one with the newer generation has it', () => {
  const owned = [{ topic: 'a', partition: 0 }]
  const claim = (generation: number): Claim => ({ topics: ['a'], owned, generation })
  const shares = shareOut(
    new Map([
      ['late', claim(3)],
      ['now', claim(4)],
    ]),
    owned,
  )
  expect(Object.fromEntries(shares)).toEqual({ late: [], now: owned })
})

test('claim: comes back as it was told', () => {
  const claim = { topics: ['a', 'b'], owned: [{ topic: 'b', partition: 7 }], generation: 12 }
  expect(decodeClaim(encodeClaim(claim).metadata)).toEqual(claim)
})
