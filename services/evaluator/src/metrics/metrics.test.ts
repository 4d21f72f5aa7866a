import { describe, expect, test } from 'vitest'
import type { Embedder } from '@aquifer/models/embedder'
import { createGroundednessScorer } from '@aquifer/models/groundedness'
import { createLexicalEmbedder } from '@aquifer/models/lexical-embedder'
import type { ScoredClaim } from '../deps.ts'
import { contextPrecision } from './context-precision.ts'
import { contextRecall } from './context-recall.ts'
import { createEvaluate } from './evaluate.ts'

const claim = (...supportedBy: number[]): ScoredClaim => ({
  text: 'x',
  start: 0,
  end: 1,
  score: 0.9,
  supportedBy,
})

describe('context precision: the mean of precision@k over the ranks that serve', () => {
  test.each([
    ['all serve', [claim(0), claim(1)], 2, 1],
    ['the first of three serves', [claim(0)], 3, 1],
    ['the last of three serves', [claim(2)], 3, 1 / 3],
    ['first and third serve', [claim(0, 2)], 3, (1 + 2 / 3) / 2],
    ['none serves', [claim()], 3, 0],
    ['there are no contexts', [claim()], 0, undefined],
    ['there are no claims', [], 3, undefined],
  ])('%s', (_, claims, contexts, expected) => {
    expect(contextPrecision(claims, contexts)).toBe(expected)
  })
})

test('context recall: the share of the reference that some context supports', () => {
  expect(contextRecall([claim(0), claim(), claim(1), claim(0)])).toBe(0.75)
  expect(contextRecall([])).toBeUndefined()
})

/** Three axes of meaning: towers, trams, and all else. */
const embedder: Embedder = {
  fingerprint: 'axes',
  name: 'axes',
  dimensions: 3,
  maxTokens: 256,
  tokenizerPath: null,
  warning: null,
  embed: async (passages) =>
    passages.map(({ text }) => {
      const at = [/tall|arch|height/iu.test(text), /tram|capsule/iu.test(text)].map(Number)
      const vector = Float32Array.from([...at, at.includes(1) ? 0 : 1])
      const length = Math.hypot(...vector)
      return { vector: vector.map((value) => value / length), words: null, tokens: 1 }
    }),
  countTokens: async (texts) => texts.map(() => 1),
  ping: async () => undefined,
  close: async () => undefined,
}
const evaluate = createEvaluate({ embedder, groundedness: createGroundednessScorer({ embedder }) })
const options = { lane: 'interactive' } as const
const question = 'How tall is the arch?'
const contexts = ['The tram has eight capsules.', 'The arch is 630 feet tall.']

describe('evaluate: all scores of one answer', () => {
  test('an answer to the question is relevant, one beside it less, a refusal not at all', async () => {
    const relevance = async (answer: string) =>
      (await evaluate({ question, answer, contexts }, options)).scores['answerRelevance']
    expect(await relevance('The arch is 630 feet tall.')).toBeCloseTo(1)
    expect(await relevance('The tram has eight capsules.')).toBeCloseTo(0)
    expect(await relevance('The passages do not mention how tall the arch is.')).toBe(0)
  })

  test('contexts that serve the answer are judged by their rank', async () => {
    const { scores, claims, grounded } = await evaluate(
      { question, answer: 'The arch is 630 feet tall.', contexts },
      options,
    )
    expect(claims[0]?.supportedBy).toEqual([1])
    expect(scores['contextPrecision']).toBe(0.5)
    expect(scores.groundedness).toBeGreaterThan(0.8)
    expect(grounded).toBe(true)
  })

  test('a reference adds recall, and says which contexts serve', async () => {
    const { scores } = await evaluate(
      {
        question,
        answer: 'It is tall.',
        contexts,
        reference: 'The arch is 630 feet tall. It cost 13 million dollars.',
      },
      options,
    )
    expect(scores['contextRecall']).toBe(0.5)
    expect(scores['contextPrecision']).toBe(0.5)
  })

  test('what the input does not allow is left out', async () => {
    const { scores, evaluator } = await evaluate(
      { answer: 'The arch is 630 feet tall.', contexts: [] },
      options,
    )
    expect(scores['answerRelevance']).toBeUndefined()
    expect(scores['contextRecall']).toBeUndefined()
    expect(scores['contextPrecision']).toBeUndefined()
    expect(evaluator).toMatch(/^groundedness-claims@/)
  })
})

test('evaluate: citation markers claim nothing, and ranges count in the answer as it was given', async () => {
  const embedder = createLexicalEmbedder()
  const evaluate = createEvaluate({ embedder, groundedness: createGroundednessScorer({ embedder }) })
  const contexts = ['The tide turns twice a day. Crabs follow it along the shore.']
  const input = { answer: 'The tide turns twice a day. [1] Crabs follow it along the shore. [1]', contexts }
  const { scores, claims } = await evaluate(input, { lane: 'query' })
  const plain = await evaluate({ ...input, answer: input.answer.replaceAll(' [1]', '') }, { lane: 'query' })
  expect(scores.groundedness).toBeCloseTo(plain.scores.groundedness, 5)
  expect(claims.map(({ start, end }) => input.answer.slice(start, end))).toEqual([
    'The tide turns twice a day.',
    'Crabs follow it along the shore.',
  ])
})
