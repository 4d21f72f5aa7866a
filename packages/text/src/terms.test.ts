import fc from 'fast-check'
import { expect, it } from 'vitest'

import { foldedWords, terms } from './terms.ts'

it.each<[string, string[]]>([
  ['The connectors are parsing documents', ['connector', 'pars', 'document']],
  ["Zürich's café, naïve", ['zurich', 'cafe', 'naiv']],
  ['what is 3.14?', ['3', '14']],
  ['日本語の文章', ['日本語', 'の', '文章']],
])('terms: %s', (text, expected) => {
  expect(terms(text)).toEqual(expected)
})

it('terms: a question and a passage meet in the same terms', () => {
  expect(terms('Which documents were deleted?')).toEqual(terms('documents deleted'))
})

it('foldedWords: none is blank or longer than 64 characters, and folding again changes nothing', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      for (const word of foldedWords(text)) {
        expect(word.length).toBeGreaterThan(0)
        expect(word.length).toBeLessThanOrEqual(64)
        expect(word).toBe(word.toLowerCase())
      }
    }),
  )
})
