import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { numbersOf } from './numbers.ts'

describe('numbers: one value however it is written', () => {
  test.each([
    ['1,000 people', [1000]],
    ['1000 people', [1000]],
    ['one thousand people', [1000]],
    ['1 thousand people', [1000]],
    ['5.2 million', [5_200_000]],
    ['two hundred and five', [205]],
    ['twenty-one', [21]],
    ['three million four hundred thousand', [3_400_000]],
    ['between 130°F and 135°F', [130, 135]],
    ['$3.50, 12%', [3.5, 12]],
    ['the 9th of May 2021', [9, 2021]],
    ['one of them', []],
    ['B12 and H2O', []],
    ['', []],
  ])('%s', (text, values) => {
    expect(numbersOf(text)).toEqual(values)
  })

  test('grouped and plain digits are equal, for every number', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 ** 12 }), (value) => {
        expect(numbersOf(`about ${value.toLocaleString('en')} of them`)).toEqual([value])
        expect(numbersOf(`about ${value} of them`)).toEqual([value])
      }),
    )
  })
})
