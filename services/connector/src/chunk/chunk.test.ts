import { passageContext } from '@aquifer/text/passage'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { createDocumentBuilder, defaultLoadLimits } from '../load/document.ts'
import type { DocumentBuilder, LoadedDocument } from '../load/document.ts'
import { chunkDocument, defaultChunkOptions, MAX_CHARACTERS_PER_TOKEN } from './chunk.ts'
import type { ChunkOptions } from './chunk.ts'
import { fitTitle } from './context.ts'

/** A word of up to eight letters is a token, a longer one several: additive over what blanks part, as real tokenizers are. */
const countTokens = (texts: readonly string[]) => texts.map((text) => (text.match(/\S{1,8}/gu) ?? []).length)

const small: ChunkOptions = { targetTokens: 24, maxTokens: 32, overlapTokens: 0, maxChunks: 10_000 }

function build(fill: (builder: DocumentBuilder) => void, title: string | null = null): LoadedDocument {
  const builder = createDocumentBuilder(defaultLoadLimits)
  fill(builder)
  return builder.finish({ title })
}

const words = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `w${from + i}`).join(' ')
const prose = (count: number, from = 0) =>
  Array.from(
    { length: count },
    (_, i) => `Sentence ${from + i} says that thing ${(from + i) * 7} is here.`,
  ).join(' ')

const someWords = fc
  .array(
    fc.constantFrom(
      'a',
      'word',
      'longer-word',
      'end. Next',
      '😀',
      '漢字',
      'x'.repeat(90),
      '\ud83d',
      'e\u0301',
    ),
    {
      maxLength: 60,
    },
  )
  .map((each) => each.join(' '))
const someBlocks = fc.array(
  fc.tuple(
    fc.constantFrom(
      'h1' as const,
      'h2' as const,
      'paragraph' as const,
      'list' as const,
      'code' as const,
      'table' as const,
    ),
    fc.oneof(someWords, fc.constantFrom('x'.repeat(700), '😀'.repeat(400), '漢'.repeat(500), 'a\nb\n\n  c')),
  ),
  { maxLength: 12 },
)
const someDocuments = fc.tuple(fc.option(someWords), someBlocks).map(([title, blocks]) =>
  build(
    (builder) => {
      for (const [kind, text] of blocks) {
        if (kind === 'h1' || kind === 'h2') builder.heading(kind === 'h1' ? 1 : 2, text)
        else builder.add(kind, text)
      }
    },
    fitTitle(title, small.maxTokens, countTokens),
  ),
)

describe('chunks of any document', () => {
  it('are exact slices by code points, in order, and hold all that is not blank', () => {
    fc.assert(
      fc.property(someDocuments, (document) => {
        const points = Array.from(document.text)
        let at = 0
        for (const [i, chunk] of chunkDocument(document, small, countTokens).entries()) {
          expect(chunk.index).toBe(i)
          expect(chunk.text).toBe(points.slice(chunk.start, chunk.end).join(''))
          expect(chunk.text.trim()).not.toBe('')
          expect(points.slice(at, chunk.start).join('').trim()).toBe('')
          at = chunk.end
        }
        expect(points.slice(at).join('').trim()).toBe('')
      }),
    )
  })

  it('have no more tokens, with their context, and no more characters than the limit', () => {
    fc.assert(
      fc.property(someDocuments, (document) => {
        for (const { text, headings } of chunkDocument(document, small, countTokens)) {
          const [tokens] = countTokens([passageContext(document.title, headings) + text])
          expect(tokens).toBeLessThanOrEqual(small.maxTokens)
          expect(text.length).toBeLessThanOrEqual(small.maxTokens * MAX_CHARACTERS_PER_TOKEN)
        }
      }),
    )
  })

  it('with overlap: begin within the chunk before, and keep the limit', () => {
    fc.assert(
      fc.property(someDocuments, (document) => {
        const chunks = chunkDocument(document, { ...small, overlapTokens: 8 }, countTokens)
        for (const [i, { text, start, headings }] of chunks.entries()) {
          const [tokens] = countTokens([passageContext(document.title, headings) + text])
          expect(tokens).toBeLessThanOrEqual(small.maxTokens)
          if (i > 0) expect(start).toBeGreaterThanOrEqual(chunks[i - 1]!.start)
        }
      }),
    )
  })
})

describe('structure', () => {
  it('a paragraph that fits: stays whole', () => {
    const document = build((builder) => {
      for (let i = 0; i < 20; i++) builder.add('paragraph', `${words(9, i * 10)}. ${words(9, i * 10)}.`)
    })
    for (const { text } of chunkDocument(document, small, countTokens))
      for (const paragraph of text.split('\n\n')) expect(paragraph).toMatch(/^w\d+ .*\.$/u)
  })

  it('small neighbours of a section: share a chunk up to the target', () => {
    const document = build((builder) => {
      for (let i = 0; i < 40; i++) builder.add('list', `- ${words(2, i)}`)
    })
    const chunks = chunkDocument(document, small, countTokens)
    const sizes = countTokens(chunks.map((chunk) => chunk.text))
    expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThanOrEqual(small.targetTokens / 2)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(small.targetTokens)
  })

  it('a long paragraph: is cut between sentences', () => {
    const document = build((builder) => builder.add('paragraph', prose(40)))
    for (const { text } of chunkDocument(document, small, countTokens))
      expect(text).toMatch(/^Sentence .*here\.$/u)
  })

  it('sections: keep apart, each with its heading path', () => {
    const document = build((builder) => {
      builder.heading(1, 'Guide')
      builder.add('paragraph', prose(1))
      builder.heading(2, 'Install')
      builder.add('paragraph', prose(1, 10))
      builder.heading(2, 'Run')
      builder.add('paragraph', prose(1, 20))
    }, 'Manual')
    const chunks = chunkDocument(document, small, countTokens)
    expect(chunks.map((chunk) => chunk.headings)).toEqual([['Guide'], ['Guide', 'Install'], ['Guide', 'Run']])
  })

  it('a heading with nothing under it: goes to the section that follows', () => {
    const document = build((builder) => {
      builder.heading(1, 'Guide')
      builder.heading(2, 'Install')
      builder.add('paragraph', prose(1))
    })
    const [chunk, ...others] = chunkDocument(document, small, countTokens)
    expect(others).toEqual([])
    expect(chunk?.headings).toEqual(['Guide', 'Install'])
    expect(chunk?.text).toMatch(/^Guide\n\nInstall\n\nSentence/u)
  })

  it('a long table: is cut between rows, its header in the context of the rows behind', () => {
    const rows = ['| Name | Size |', ...Array.from({ length: 30 }, (_, i) => `| row ${i} | ${i} |`)]
    const document = build((builder) => builder.add('table', rows.join('\n')))
    const [first, ...others] = chunkDocument(document, small, countTokens)
    expect(first?.headings).toEqual([])
    expect(others.length).toBeGreaterThan(2)
    for (const { text, headings } of others) {
      expect(headings).toEqual(['Name | Size'])
      for (const row of text.split('\n')) expect(rows).toContain(row)
    }
  })

  it('code: is cut between lines', () => {
    const lines = Array.from({ length: 60 }, (_, i) => `const value${i} = ${i}`)
    const document = build((builder) => builder.add('code', lines.join('\n')))
    for (const { text } of chunkDocument(document, small, countTokens))
      for (const line of text.split('\n')) expect(lines).toContain(line)
  })

  it('pages: a chunk names the page that it begins on', () => {
    const document = build((builder) => {
      for (let page = 0; page < 3; page++) {
        builder.startPage()
        builder.add('paragraph', prose(4, page * 10))
      }
    })
    const chunks = chunkDocument(document, small, countTokens)
    for (const { text, page } of chunks) {
      const first = Number(/Sentence (\d+)/u.exec(text)?.[1])
      expect(page).toBe(Math.floor(first / 10) + 1)
    }
  })

  it('a title and headings without end: leave two thirds of the passage to its text', () => {
    const title = fitTitle(words(500), small.maxTokens, countTokens)
    const document = build((builder) => {
      builder.heading(1, words(50))
      builder.heading(2, words(50, 100))
      builder.add('paragraph', prose(20))
    }, title)
    for (const { headings } of chunkDocument(document, small, countTokens))
      expect(countTokens([passageContext(title, headings)])[0]).toBeLessThanOrEqual(small.maxTokens / 3 + 1)
  })
})

describe('an edit', () => {
  const paragraphs = Array.from({ length: 400 }, (_, i) => prose(1 + ((i * 7) % 3), i * 10))
  const chunk = (texts: readonly string[]) =>
    chunkDocument(
      build((builder) => texts.forEach((text) => builder.add('paragraph', text))),
      small,
      countTokens,
    )

  it.each([
    ['of paragraphs', paragraphs],
    ['of one paragraph', [paragraphs.join(' ')]],
  ])('a sentence put near the start of a long text %s: the chunks behind it stay as they are', (_, texts) => {
    const before = new Set(chunk(texts).map((each) => each.text))
    const changed: number[] = []
    for (let at = 0; at < 30; at++) {
      const edited = [...texts]
      if (texts.length > 1) edited.splice(at, 0, 'An editor added this sentence.')
      else
        edited[0] = edited[0]!.replace(`Sentence ${at * 10} `, `An editor added this. Sentence ${at * 10} `)
      const after = chunk(edited)
      changed.push(after.filter((each) => !before.has(each.text)).length)
    }
    changed.sort((a, b) => a - b)
    expect(before.size).toBeGreaterThan(200)
    expect(changed[15]).toBeLessThanOrEqual(2)
    expect(changed.at(-1)).toBeLessThanOrEqual(16)
  })
})

describe('hostile texts', () => {
  /** Characters given to the tokenizer, for each character of the text. */
  function work(document: LoadedDocument, options: ChunkOptions = defaultChunkOptions): number {
    let characters = 0
    try {
      chunkDocument(document, options, (texts) => {
        for (const text of texts) characters += text.length
        return countTokens(texts)
      })
    } catch (error) {
      expect(error).toMatchObject({ code: 'too_large' })
    }
    return characters / document.text.length
  }

  it.each<[string, (size: number) => LoadedDocument]>([
    ['one endless word', (size) => build((builder) => builder.add('paragraph', 'x'.repeat(size)))],
    ['emoji without a blank', (size) => build((builder) => builder.add('paragraph', '😀'.repeat(size / 2)))],
    ['one sentence', (size) => build((builder) => builder.add('paragraph', 'ab cd '.repeat(size / 6)))],
    ['one code line', (size) => build((builder) => builder.add('code', 'ab;cd '.repeat(size / 6)))],
    ['lines', (size) => build((builder) => builder.add('code', 'ab\n'.repeat(size / 3)))],
    [
      'headings',
      (size) =>
        build((builder) => {
          for (let i = 0; i < size / 16; i++) builder.heading(1 + (i % 3), `heading ${i}`)
        }),
    ],
  ])('%s: each character is measured a bounded number of times', (_, make) => {
    for (const size of [60_000, 1_200_000]) expect(work(make(size))).toBeLessThanOrEqual(4)
  })

  it('more chunks than allowed: too_large, with what to do', () => {
    const document = build((builder) => builder.add('paragraph', prose(400)))
    expect(() => chunkDocument(document, { ...small, maxChunks: 50 }, countTokens)).toThrow(
      /more than 50 chunks: publish it in parts/u,
    )
  })

  it('the same paragraph over and over: chunks still near the target', () => {
    const document = build((builder) => {
      for (let i = 0; i < 5000; i++) builder.add('paragraph', 'The same few words.')
    })
    const chunks = chunkDocument(document, small, countTokens)
    expect(chunks.length).toBeLessThan((5000 * 4) / (small.targetTokens / 2))
  })
})
