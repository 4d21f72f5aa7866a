import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { bandKeys, fingerprint, fingerprintDistance, NEAR_DISTANCE, nearKeys } from './fingerprint.ts'

const words = (seed: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${seed}${(i * 7919) % 997}`)

describe('the fingerprint of a text', () => {
  it('case, marks and blanks: do not count', () => {
    const text = words('word', 100)
    expect(fingerprint(text.join(' '))).toBe(fingerprint(`${text.join(',\n\n').toUpperCase()}.`))
  })

  it('a few words changed in a long text: near; another text: far', () => {
    const text = words('word', 1000)
    const edited = text.with(500, 'changed').with(200, 'elsewhere')
    const [a, b, c] = [text, edited, words('other', 1000)].map((each) => fingerprint(each.join(' '))!)
    expect(fingerprintDistance(a!, b!)).toBeLessThanOrEqual(NEAR_DISTANCE)
    expect(fingerprintDistance(a!, c!)).toBeGreaterThan(NEAR_DISTANCE)
  })

  it('a script without blanks: its characters are the words', () => {
    const text = Array.from({ length: 400 }, (_, i) => String.fromCodePoint(0x4e00 + ((i * 37) % 500))).join(
      '',
    )
    const [a, b] = [text, `${text.slice(0, 200)}新${text.slice(200)}`].map((each) => fingerprint(each)!)
    expect(fingerprintDistance(a!, b!)).toBeLessThanOrEqual(NEAR_DISTANCE)
  })

  it('too little text: has none', () => {
    expect(fingerprint('Only a few words.')).toBeNull()
  })

  it('any two that are near: one has a key of the other', () => {
    const bits = fc.uniqueArray(fc.nat({ max: 63 }), { maxLength: NEAR_DISTANCE })
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), bits, (value, changed) => {
        const [a, b] = [value, changed.reduce((to, bit) => to ^ (1n << BigInt(bit)), value)].map((each) =>
          each.toString(16).padStart(16, '0'),
        ) as [string, string]
        expect(fingerprintDistance(a, b)).toBe(changed.length)
        const near = new Set(nearKeys(a))
        expect(bandKeys(b).some((key) => near.has(key))).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  it('any text: 64 bits in hex, at no distance from itself', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 200 }), (text) => {
        const mark = fingerprint(text)
        if (mark === null) return
        expect(mark).toMatch(/^[0-9a-f]{16}$/u)
        expect(fingerprintDistance(mark, mark)).toBe(0)
      }),
    )
  })
})
