import { terms } from '@aquifer/text/terms'
import { contentWords } from '@aquifer/text/words'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { pairShare, wordFinder } from './words-found.ts'

const word = fc.oneof(
  fc.constantFrom(
    ...'river rivers River rises rising the of any anything adding eyes eying dying dies ties skies shy 42 7th x A'.split(
      ' ',
    ),
    ...'river’s o’neil o’7th rock’n’roll naïve naive 日本語 é snake_case Nikola_Tesla well-known 𝒜river 😀 river😀 \u0301 e\u0301 ２x Kill'.split(
      ' ',
    ),
  ),
  fc.string({ unit: fc.constantFrom(...'a b e i n s y g'.split(' ')), minLength: 1, maxLength: 7 }),
)
const text = fc
  .array(fc.tuple(word, fc.constantFrom(' ', ', ', '. ', '—', '/', "'", '’', '\n')), { maxLength: 30 })
  .map((parts) => parts.flat().join(''))

test('pairs found: exactly those of the text’s own terms', () => {
  fc.assert(
    fc.property(text, text, (query, passage) => {
      const asked = terms(query)
      const pairs = (own: readonly string[]) => own.slice(1).map((term, i) => `${own[i]} ${term}`)
      const wanted = new Set(pairs(asked))
      const found = new Set(pairs(terms(passage)).filter((pair) => wanted.has(pair)))
      expect(pairShare(asked)(passage)).toBe(wanted.size === 0 ? 0 : found.size / wanted.size)
    }),
    { numRuns: 5000 },
  )
})

test('words found: exactly those among the text’s content words', () => {
  fc.assert(
    fc.property(text, text, (query, passage) => {
      const asked = contentWords(query).map((each) => each.word)
      const own = contentWords(passage).map((each) => each.word)
      expect(wordFinder(asked)(passage)).toEqual(new Set(own.filter((each) => asked.includes(each))))
    }),
    { numRuns: 3000 },
  )
})
