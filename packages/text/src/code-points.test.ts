import fc from 'fast-check'
import { expect, it } from 'vitest'

import { codePointLength, sliceCodePoints, toCodePoints } from './code-points.ts'

const texts = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(fc.constantFrom('a', '😀', 'é', '\ud83d', '\ude00', '漢', '\n')).map((each) => each.join('')),
)

it('codePointLength: counts as Array.from does, lone surrogates too', () => {
  fc.assert(fc.property(texts, (text) => codePointLength(text) === Array.from(text).length))
})

it('sliceCodePoints: slices as Array.from does', () => {
  fc.assert(
    fc.property(texts, fc.nat(30), fc.nat(30), (text, start, length) => {
      const expected = Array.from(text)
        .slice(start, start + length)
        .join('')
      expect(sliceCodePoints(text, start, start + length)).toBe(expected)
    }),
  )
})

it('toCodePoints: the slice by code points is the slice by units it was made from', () => {
  fc.assert(
    fc.property(texts, (text) => {
      const borders: number[] = [0]
      for (const point of text) borders.push(borders.at(-1)! + point.length)
      expect(toCodePoints(text, borders)).toEqual(borders.map((_, i) => i))
    }),
  )
})

it('toCodePoints: an offset beyond the text is its end', () => {
  expect(toCodePoints('ab', [1, 5])).toEqual([1, 2])
  expect(toCodePoints('a😀', [3, 9])).toEqual([2, 2])
})
