import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { maxSim, prepareQuery } from './late-interaction.ts'

const DIMENSIONS = 16
const WINDOW = 24
const STRIDE = 8

const unit = (values: readonly number[]): number[] => {
  const length = Math.hypot(...values)
  return length === 0 ? values.map((_, i) => (i === 0 ? 1 : 0)) : values.map((value) => value / length)
}
const vector = fc
  .array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: DIMENSIONS, maxLength: DIMENSIONS })
  .map(unit)
const vectors = (most: number) => fc.array(vector, { minLength: 1, maxLength: most })

function bitsOf(words: readonly (readonly number[])[]): Uint8Array {
  const bits = new Uint8Array((words.length * DIMENSIONS) / 8)
  for (const [w, word] of words.entries())
    for (const [d, value] of word.entries())
      if (value > 0) bits[(w * DIMENSIONS + d) >> 3]! |= 0x80 >> (d & 7)
  return bits
}

/** The definition, in floats: signs of unit length, the best a word, the weighted mean. */
function naive(
  query: readonly (readonly number[])[],
  weights: readonly number[],
  words: readonly (readonly number[])[],
) {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const best = (from: number, to: number) =>
    query.reduce((sum, wanted, i) => {
      const similarities = words
        .slice(from, to)
        .map(
          (word) =>
            wanted.reduce((dot, value, d) => dot + value * (word[d]! > 0 ? 1 : -1), 0) /
            Math.sqrt(DIMENSIONS),
        )
      return sum + (total > 0 ? weights[i]! / total : 1 / weights.length) * Math.max(...similarities)
    }, 0)
  const windows: number[] = []
  for (let from = 0; from === 0 || from < words.length - WINDOW + STRIDE; from += STRIDE)
    windows.push(best(from, Math.min(from + WINDOW, words.length)))
  return { passage: best(0, words.length), window: Math.max(...windows) }
}

describe('late interaction', () => {
  const given = fc.record({ query: vectors(6), words: vectors(70) }).chain(({ query, words }) =>
    fc.record({
      query: fc.constant(query),
      words: fc.constant(words),
      weights: fc.array(fc.double({ min: 0, max: 5, noNaN: true }), {
        minLength: query.length,
        maxLength: query.length,
      }),
    }),
  )
  const score = ({ query, words, weights }: { query: number[][]; words: number[][]; weights: number[] }) =>
    maxSim(prepareQuery(Float32Array.from(query.flat()), DIMENSIONS, weights), bitsOf(words))

  test('equals its definition in floats', () => {
    fc.assert(
      fc.property(given, (each) => {
        const found = score(each)
        const expected = naive(each.query, each.weights, each.words)
        expect(found.passage).toBeCloseTo(expected.passage, 4)
        expect(found.window).toBeCloseTo(expected.window, 4)
      }),
    )
  })

  test('a window never beats its passage; both lie between -1 and 1; a short passage is its own window', () => {
    fc.assert(
      fc.property(given, (each) => {
        const { passage, window } = score(each)
        expect(window).toBeLessThanOrEqual(passage + 1e-6)
        expect(Math.abs(passage)).toBeLessThanOrEqual(1 + 1e-5)
        if (each.words.length <= WINDOW) expect(window).toBeCloseTo(passage, 6)
      }),
    )
  })

  test('more words never make a passage worse, and the order of its words does not count for it', () => {
    fc.assert(
      fc.property(given, vector, (each, more) => {
        const { passage } = score(each)
        expect(score({ ...each, words: [...each.words, more] }).passage).toBeGreaterThanOrEqual(
          passage - 1e-6,
        )
        expect(score({ ...each, words: each.words.toReversed() }).passage).toBeCloseTo(passage, 6)
      }),
    )
  })
})
