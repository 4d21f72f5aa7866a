import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { sentences } from './sentences.ts'

const split = (text: string) => sentences(text).map(([start, end]) => text.slice(start, end))

describe('sentences', () => {
  it.each<[string, string[]]>([
    ['Dr. Smith arrived at 3.14. He left.', ['Dr. Smith arrived at 3.14.', 'He left.']],
    ['"Is it?" she asked. "Yes!" He nodded.', ['"Is it?" she asked.', '"Yes!"', 'He nodded.']],
    ['The U.S. Army left at 5 p.m. The end.', ['The U.S. Army left at 5 p.m.', 'The end.']],
    [
      'Apple Inc. Chairman spoke of Apple Inc. The rest left.',
      ['Apple Inc. Chairman spoke of Apple Inc.', 'The rest left.'],
    ],
    ['J. K. Rowling wrote it. Vitamin C. It helps.', ['J. K. Rowling wrote it.', 'Vitamin C.', 'It helps.']],
    [
      'See Fig. 3 and No. 5, e.g. Foo. Is it? No. It is not.',
      ['See Fig. 3 and No. 5, e.g. Foo.', 'Is it?', 'No.', 'It is not.'],
    ],
    ['One.[1] Two.[2][3] Three.', ['One.[1]', 'Two.[2][3]', 'Three.']],
    ['Version 1.2.3 is out! Really?', ['Version 1.2.3 is out!', 'Really?']],
    ['第一句。第二句！', ['第一句。', '第二句！']],
  ])('%s', (text, expected) => {
    expect(split(text)).toEqual(expected)
  })

  it('a blank line: ends a heading that has no stop', () => {
    expect(split('A heading\n \nIts text.')).toEqual(['A heading', 'Its text.'])
  })

  it('a single line break: ends items, rows and short lines, but not a wrapped line of prose', () => {
    expect(split('- one\n- two\n1. three\n| a | b |\n| c | d |')).toEqual([
      '- one',
      '- two',
      '1. three',
      '| a | b |',
      '| c | d |',
    ])
    expect(split('Overview\nThe system reads.')).toEqual(['Overview', 'The system reads.'])
    expect(split('It was broken here\nand goes on. Next.')).toEqual([
      'It was broken here\nand goes on.',
      'Next.',
    ])
    const wrapped = 'This line was broken where the page ends, right before the name\nSmith, who wrote it.'
    expect(split(wrapped)).toEqual([wrapped])
  })

  it('any text: ranges are in order, trimmed, and hold all that is not blank', () => {
    const pieces = fc.constantFrom(
      'Dr. ',
      'Hello. ',
      'a',
      ' ',
      '\n',
      '\n\n',
      '😀',
      '\ud800',
      '- ',
      '"',
      '.[1] ',
      '?',
      'U.S. ',
      '。',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(pieces).map((each) => each.join('')),
        ),
        (text) => {
          let at = 0
          for (const [start, end] of sentences(text)) {
            expect(text.slice(at, start).trim()).toBe('')
            expect(text.slice(start, end)).toBe(text.slice(start, end).trim())
            expect(end).toBeGreaterThan(start)
            at = end
          }
          expect(text.slice(at).trim()).toBe('')
        },
      ),
    )
  })

  it.each([
    ['abbreviations without end', 'Dr. '.repeat(100_000)],
    ['one word', 'a'.repeat(2_000_000)],
    ['line breaks', 'a\n'.repeat(250_000)],
    ['long lines', `${'A'.repeat(60)}\n`.repeat(20_000)],
  ])('%s: no look back grows with the text', (_, text) => {
    // Quadratic work on these takes minutes; the test's time limit is the bound.
    expect(sentences(text).length).toBeGreaterThan(0)
  })
})
