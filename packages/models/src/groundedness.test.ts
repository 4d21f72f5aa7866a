import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sliceCodePoints } from '@aquifer/text/code-points'
import { terms } from '@aquifer/text/terms'
import type { Embedder } from './embedder.ts'
import { createGroundednessScorer, GROUNDEDNESS_LIMITS } from './groundedness.ts'
import { MAX_CLAIMS_EMBEDDED, MAX_SENTENCES_EMBEDDED } from './groundedness/support.ts'

const options = { lane: 'interactive' } as const

/** Hashed bags of stems: near where words are shared, under whichever name the test needs. */
function bagEmbedder(name: string, onEmbed: (texts: number) => void = () => undefined): Embedder {
  return {
    fingerprint: name,
    name,
    dimensions: 64,
    maxTokens: 256,
    tokenizerPath: null,
    warning: null,
    embed: async (passages) => {
      onEmbed(passages.length)
      return passages.map(({ text }) => {
        const vector = new Float32Array(64)
        for (const term of terms(text))
          vector[((term.codePointAt(0) ?? 0) * 31 + (term.codePointAt(1) ?? 0) * 7 + term.length) % 64]! += 1
        const length = Math.hypot(...vector) || 1
        return { vector: vector.map((value) => value / length), words: null, tokens: 1 }
      })
    },
    countTokens: async (texts) => texts.map(() => 1),
    ping: async () => undefined,
    close: async () => undefined,
  }
}

const scorer = createGroundednessScorer({ embedder: bagEmbedder('all-MiniLM-L6-v2 (bag)') })
const score: typeof scorer.score = (input, options) => scorer.score(input, options)

const contexts = [
  'The Gateway Arch in St. Louis was designed by Eero Saarinen in 1947. It is 630 feet tall and opened on June 10, 1967.',
  'Visitors reach the top by a tram of eight capsules. About 1,000 people work at the park in summer.',
]
const question = 'How tall is the Gateway Arch?'
const only = async (answer: string, asked: string | undefined = question) =>
  await score({ ...(asked === undefined ? {} : { question: asked }), answer, contexts }, options)

describe('groundedness: a claim', () => {
  const supported = 'The Gateway Arch is 630 feet tall and opened on June 10, 1967.'

  test('said by the evidence is grounded, and names the context', async () => {
    const { groundedness, grounded, claims } = await only(supported)
    expect(grounded).toBe(true)
    expect(groundedness).toBeGreaterThan(0.9)
    expect(claims).toHaveLength(1)
    expect(claims[0]?.supportedBy[0]).toBe(0)
    const second = await only('Visitors reach the top by a tram.')
    expect(second.claims[0]?.supportedBy).toEqual([1])
  })

  test.each([
    ['a number is swapped', 'The Gateway Arch is 480 feet tall and opened on June 10, 1967.'],
    ['a name is invented', 'The Gateway Arch is 630 feet tall and opened by Margaret Thornbury.'],
    [
      'a fact is added',
      `${supported} It survived an earthquake because engineers reinforced the foundations.`,
    ],
    ['a negation is added', 'The Gateway Arch is not 630 feet tall and opened on June 10, 1967.'],
  ])('scores less where %s', async (_, answer) => {
    const [whole, changed] = [await only(supported), await only(answer)]
    expect(changed.groundedness).toBeLessThan(whole.groundedness)
    expect(Math.min(...changed.claims.map((claim) => claim.score))).toBeLessThan(
      Math.min(...whole.claims.map((claim) => claim.score)),
    )
  })

  test('with an invented number and story is not grounded', async () => {
    const { grounded, claims } = await only(
      'The Gateway Arch is 630 feet tall. Engineers from Norway reinforced its foundations with 4,200 granite pillars.',
    )
    expect(grounded).toBe(false)
    expect(claims[1]!.score).toBeLessThan(claims[0]!.score)
    expect(claims[1]!.supportedBy).toEqual([])
  })

  test('keeps its numbers however they are written', async () => {
    const written = await only('About one thousand people work at the park in summer.')
    const digits = await only('About 1000 people work at the park in summer.')
    expect(digits.grounded).toBe(true)
    expect(written.groundedness).toBeGreaterThan(
      (await only('About 3000 people work at the park in summer.')).groundedness,
    )
  })

  test('scores no better for more words that the evidence lacks', async () => {
    const added = ['quantum', 'dolphins', 'bankruptcy', 'volcanoes', 'parliament']
    const answers = added.map(
      (_, at) => `The Gateway Arch has ${added.slice(0, at + 1).join(' and ')} inside.`,
    )
    const scores = await Promise.all(answers.map(async (answer) => (await only(answer)).groundedness))
    expect(scores).toEqual([...scores].sort((a, b) => b - a))
  })
})

describe('groundedness: an answer', () => {
  test('that declines is grounded', async () => {
    expect((await only('Unable to answer based on given passages.')).grounded).toBe(true)
    expect((await only('The provided context does not contain this information.')).grounded).toBe(true)
  })

  test('that is empty, or without words, makes no claim', async () => {
    for (const answer of ['', ' \n\n ', '...', '🎉 — !']) {
      expect(await only(answer)).toEqual({ groundedness: 1, grounded: true, claims: [] })
    }
  })

  test('without evidence is not grounded', async () => {
    const { grounded } = await score(
      { answer: 'Eero Saarinen designed the Gateway Arch in 1947.', contexts: [] },
      options,
    )
    expect(grounded).toBe(false)
  })

  test('scores the same whether its evidence comes as one text or several', async () => {
    const answer = 'Saarinen designed the arch. A tram takes visitors to the top.'
    const split = await score({ answer, contexts }, options)
    const joined = await score({ answer, contexts: [contexts.join('\n\n')] }, options)
    const numbered = await score(
      { answer, contexts: [contexts.map((text, at) => `passage ${at + 1}:${text}`).join('\n\n')] },
      options,
    )
    expect(joined.groundedness).toBeCloseTo(split.groundedness, 6)
    expect(numbered.groundedness).toBeCloseTo(split.groundedness, 2)
  })

  test('has claims whose ranges are exact slices, in order, for any text', async () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'The arch is 630 feet tall. ',
        '1. First. ',
        '- ',
        '\n',
        '\r\n',
        '😀🏛️ ',
        'é́ñ ',
        '東京は大きい。',
        'Mr. ',
      ),
      fc.string({ unit: 'binary', maxLength: 20 }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 30 }), async (pieces) => {
        const answer = pieces.join('')
        const { claims, groundedness } = await only(answer)
        expect(groundedness).toBeGreaterThanOrEqual(0)
        expect(groundedness).toBeLessThanOrEqual(1)
        let last = 0
        for (const claim of claims) {
          expect(sliceCodePoints(answer, claim.start, claim.end)).toBe(claim.text)
          expect(claim.start).toBeGreaterThanOrEqual(last)
          expect(claim.score).toBeGreaterThanOrEqual(0)
          expect(claim.score).toBeLessThanOrEqual(1)
          last = claim.end
        }
      }),
      { numRuns: 60 },
    )
  })
})

describe('groundedness: bounds', () => {
  test('embeds a bounded number of texts, and lets others run, at the largest size', async () => {
    let embedded = 0
    const scorer = createGroundednessScorer({
      embedder: bagEmbedder('all-MiniLM-L6-v2', (texts) => {
        embedded = Math.max(embedded, texts)
      }),
    })
    const sentence = (at: number): string =>
      `Fact ${at} says that widget ${at * 7} costs ${at * 3} coins in town ${at % 90}. `
    const many = (count: number): string => Array.from({ length: count }, (_, at) => sentence(at)).join('')
    const others = { turns: 0, running: true }
    const counting = (async () => {
      while (others.running) {
        others.turns++
        await setImmediate()
      }
    })()
    const evidence = Array.from({ length: 20 }, () => many(140).slice(0, 8_000))
    await scorer.score({ question, answer: many(300).slice(0, 16_000), contexts: evidence }, options)
    others.running = false
    await counting
    expect(embedded).toBeLessThanOrEqual(MAX_CLAIMS_EMBEDDED + MAX_SENTENCES_EMBEDDED)
    expect(others.turns).toBeGreaterThan(20)
  })

  test.each([
    ['one endless word', 'x'.repeat(40_000)],
    ['one endless sentence', 'word '.repeat(8_000)],
    ['abbreviations without end', 'Mr. '.repeat(10_000)],
    ['digits without end', '1,111'.repeat(8_000)],
    ['references without end', 'passage 1, 2, '.repeat(3_000)],
    ['blank lines', '\n'.repeat(40_000)],
  ])('reads %s in linear time', async (_, text) => {
    const startedAt = performance.now()
    await score({ question: text.slice(0, 5_000), answer: text, contexts: [text, text] }, options)
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  })

  test('refuses what is larger, and says the limits', async () => {
    const answer = 'x '.repeat(GROUNDEDNESS_LIMITS.answerUnits)
    await expect(score({ answer, contexts }, options)).rejects.toMatchObject({
      code: 'evaluation_too_large',
      status: 413,
      retryable: false,
    })
  })

  test('stops when its caller does', async () => {
    const signal = AbortSignal.abort()
    const answer = 'A claim of some words that is long enough. '.repeat(800)
    await expect(score({ answer, contexts }, { ...options, signal })).rejects.toMatchObject({
      name: 'AbortError',
    })
  })
})

describe('groundedness: the scorer', () => {
  test('is named by its weights, and says where the embedder is not the one they were fitted on', async () => {
    let called = false
    const other = createGroundednessScorer({
      embedder: bagEmbedder('text-embedding-3', () => (called = true)),
    })
    expect(scorer.name).toMatch(/^groundedness-claims@[0-9a-f]{12}$/)
    expect(other.name).toBe(`${scorer.name} (lexical)`)
    expect((await other.score({ question, answer: contexts[0]!, contexts }, options)).grounded).toBe(true)
    expect(called).toBe(false)
  })
})
