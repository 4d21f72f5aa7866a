import type { Evidence } from '@aquifer/contracts/types'
import { codePointLength, sliceCodePoints } from '@aquifer/text/code-points'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findCitations } from './citations.ts'

/** A document's text, and its evidence: the code points from `start` on. */
function evidenceOf(documentText: string, start = 0, documentId = 'd'): Evidence {
  return {
    chunkId: `${documentId}-${start}`,
    documentId,
    version: 'v',
    title: 'T',
    page: null,
    start,
    end: codePointLength(documentText),
    headings: [],
    text: Array.from(documentText).slice(start).join(''),
    score: 1,
  }
}

describe('citations', () => {
  test('a claim that stands in the passage word for word is the quote', () => {
    const evidence = [evidenceOf('Rivers. 😀 The river rises in spring. It falls in autumn.', 8)]
    const [citation] = findCitations('“It falls in autumn.” [1]', evidence)
    expect(citation).toMatchObject({ marker: '[1]', quote: 'It falls in autumn.', start: 37, end: 56 })
  })

  test('else the sentence that bears most of it', () => {
    const evidence = [
      evidenceOf('The heron waits. The river rises in spring because of the snow. Reeds bend.'),
    ]
    const [citation] = findCitations('Snow makes the river rise in spring [1].', evidence)
    expect(citation!.quote).toBe('The river rises in spring because of the snow.')
  })

  test('markers that stand together share their claim; each names its own passage', () => {
    const evidence = [
      evidenceOf('Snow melts in spring.', 0, 'a'),
      evidenceOf('In spring the snow melts fast.', 0, 'b'),
    ]
    const found = findCitations('Snow melts in spring [1][2].', evidence)
    expect(found.map(({ documentId, quote }) => [documentId, quote])).toEqual([
      ['a', 'Snow melts in spring'],
      ['b', 'In spring the snow melts fast.'],
    ])
  })

  test('a marker that names no evidence cites nothing', () => {
    expect(
      findCitations('One [0]. Two [2]. Three [999]. Four [1000]. Five [x].', [evidenceOf('One.')]),
    ).toEqual([])
  })

  test('the same passage for the same marker is named once', () => {
    const evidence = [evidenceOf('Snow melts. Reeds bend.')]
    expect(findCitations('Snow melts [1]. Snow melts [1]. Reeds bend [1].', evidence)).toHaveLength(2)
  })

  test('are a hundred at most, and thousands of markers cost little more than one', () => {
    const facts = Array.from({ length: 150 }, (_, i) => `Fact ${i} is about the heron.`)
    const evidence = [evidenceOf(facts.join(' '))]
    const found = findCitations(facts.map((fact) => `${fact} [1]`).join(' '), evidence)
    expect(found.map(({ quote }) => quote)).toEqual(facts.slice(0, 100))
    // Taking the passage apart for each marker takes many seconds here; once, a fraction of one on an idle machine.
    const started = performance.now()
    expect(findCitations('So says heron number 7 [1]. '.repeat(10_000), evidence)).toHaveLength(1)
    expect(performance.now() - started).toBeLessThan(5000)
  })

  const word = fc.oneof(
    fc.constantFrom(
      'river',
      'snow',
      '😀',
      '𝒳𝓎',
      'e\u0301',
      '漢字',
      'the',
      'a.',
      'b!',
      '"',
      '\n\n',
      '[1]',
      '\ud83d',
      '\ude00',
    ),
    fc.string({ unit: 'grapheme', maxLength: 6 }),
  )
  const words = fc.array(word, { maxLength: 30 }).map((all) => all.join(' '))

  test('quotes are exact slices of the document’s text, whatever is said', () => {
    fc.assert(
      fc.property(
        words,
        words,
        fc.nat(8),
        fc.string({ unit: 'binary', maxLength: 20 }),
        (document, said, from, noise) => {
          const documentText = document.toWellFormed()
          const evidence = [evidenceOf(documentText, Math.min(from, codePointLength(documentText)))]
          const answer = `${said}${evidence[0]!.text.slice(from % 5)} [1] ${noise} [1]`
          for (const { quote, start, end } of findCitations(answer, evidence)) {
            expect(quote).toBe(sliceCodePoints(documentText, start, end))
            expect(start).toBeGreaterThanOrEqual(evidence[0]!.start)
            expect(end).toBeLessThanOrEqual(evidence[0]!.end)
          }
        },
      ),
      { numRuns: 400 },
    )
  })
})
