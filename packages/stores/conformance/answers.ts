import { describe, expect, test } from 'vitest'
import type { AnswerRecord, Evaluation, Feedback } from '@aquifer/contracts/types'
import type { Answers, EvaluationQuery } from '@aquifer/stores/answers'

const DAY_MS = 86_400_000
const NOW = 1_700_000_000_000

function answer(answerId: string, given: Partial<AnswerRecord> = {}): AnswerRecord {
  return {
    answerId,
    conversationId: 'talk',
    question: 'What is “it”? 😀',
    answer: 'It is.',
    abstained: false,
    evidence: [],
    citations: [],
    fresh: true,
    prompt: 'answer@1',
    model: 'extractive',
    route: 'default',
    arm: null,
    cached: false,
    guard: [],
    promptTokens: 1,
    completionTokens: 2,
    costUsd: null,
    retrieveMs: 1.5,
    firstTokenMs: null,
    totalMs: 3,
    groundedness: 0.5,
    createdAt: NOW,
    traceId: 't',
    tenant: 'acme',
    groups: ['a'],
    ...given,
  }
}

function evaluation(answerId: string, given: Partial<Evaluation> & { score?: number } = {}): Evaluation {
  const { score = 0.9, ...rest } = given
  return {
    answerId,
    conversationId: 'talk',
    results: [
      { name: 'answerRelevance', scoreValue: 0.01, scoreLabel: null },
      { name: 'groundedness', scoreValue: score, scoreLabel: 'grounded' },
    ],
    grounded: true,
    claims: [{ start: 0, end: 6, score, supportedBy: ['c'] }],
    evaluator: 'e@1',
    prompt: 'answer@1',
    model: 'extractive',
    route: 'default',
    answeredAt: NOW,
    evaluatedAt: NOW + 1,
    answerRedacted: false,
    traceId: 't',
    ...rest,
  }
}

function feedback(feedbackId: string, answerId: string, given: Partial<Feedback> = {}): Feedback {
  return {
    feedbackId,
    answerId,
    rating: 1,
    rubric: { clear: 5 },
    correction: null,
    comment: 'ok',
    createdAt: NOW,
    ...given,
  }
}

export function answersConformance(
  name: string,
  open: () => Promise<{ answers: Answers; close: () => Promise<void> }>,
): void {
  function behaviour(title: string, run: (answers: Answers) => Promise<void>): void {
    test(title, async () => {
      const { answers, close } = await open()
      try {
        await answers.ping()
        await run(answers)
      } finally {
        await close()
      }
    })
  }

  describe(`answers: ${name}`, () => {
    behaviour(
      'an answer comes back with its evaluation and feedback, whichever came first',
      async (answers) => {
        await answers.putEvaluation('acme', evaluation('a1'))
        await answers.putFeedback('acme', feedback('f2', 'a1', { createdAt: NOW + 2 }))
        expect(await answers.get('acme', 'a1')).toBeNull()
        await answers.put(answer('a1'))
        await answers.putFeedback('acme', feedback('f1', 'a1'))
        expect(await answers.get('acme', 'a1')).toEqual({
          answer: answer('a1'),
          evaluation: evaluation('a1'),
          feedback: [feedback('f1', 'a1'), feedback('f2', 'a1', { createdAt: NOW + 2 })],
        })
        await answers.put(answer('a2'))
        expect(await answers.get('acme', 'a2')).toEqual({
          answer: answer('a2'),
          evaluation: null,
          feedback: [],
        })
      },
    )

    behaviour('no tenant gets what is another’s under the same id', async (answers) => {
      await answers.put(answer('a1'))
      await answers.putEvaluation('other', evaluation('a1'))
      await answers.putFeedback('other', feedback('f1', 'a1'))
      expect(await answers.get('other', 'a1')).toBeNull()
      expect(await answers.get('acme', 'a1')).toMatchObject({ evaluation: null, feedback: [] })
      expect(await answers.conversation('other', 'talk', 10)).toEqual([])
      expect((await answers.listEvaluations('acme', { limit: 10 })).evaluations).toEqual([])
    })

    behaviour('the same id again replaces: a redelivery doubles nothing', async (answers) => {
      for (const score of [0.1, 0.2]) {
        await answers.put(answer('a1', { answer: `${score}` }))
        await answers.putEvaluation('acme', evaluation('a1', { score }))
        await answers.putFeedback('acme', feedback('f1', 'a1', { rating: score }))
      }
      const stored = (await answers.get('acme', 'a1'))!
      expect(stored.answer.answer).toBe('0.2')
      expect(stored.feedback.map(({ rating }) => rating)).toEqual([0.2])
      expect((await answers.listEvaluations('acme', { limit: 10 })).evaluations).toEqual([
        evaluation('a1', { score: 0.2 }),
      ])
      expect(await answers.conversation('acme', 'talk', 10)).toHaveLength(1)
    })

    behaviour('a conversation is its last turns, oldest first', async (answers) => {
      for (const turn of [3, 1, 2]) await answers.put(answer(`a${turn}`, { createdAt: NOW + turn }))
      await answers.put(answer('b', { conversationId: 'else', createdAt: NOW + 9 }))
      const turns = await answers.conversation('acme', 'talk', 2)
      expect(turns.map(({ answerId }) => answerId)).toEqual(['a2', 'a3'])
    })

    behaviour('evaluations are listed newest first, page after page, as the filters say', async (answers) => {
      for (let i = 0; i < 9; i++) {
        await answers.putEvaluation(
          'acme',
          // Three of each time: a page ends between equals.
          evaluation(`a${i}`, {
            answeredAt: NOW + Math.floor(i / 3),
            prompt: i % 2 ? 'odd' : 'even',
            model: i < 3 ? 'old' : 'new',
            score: i / 10,
          }),
        )
      }
      await answers.putEvaluation('acme', evaluation('unscored', { answeredAt: NOW - 1, results: [] }))
      const listed = async (query: Omit<EvaluationQuery, 'limit'>): Promise<string[]> => {
        const ids: string[] = []
        let cursor: string | undefined
        do {
          const page = await answers.listEvaluations('acme', {
            ...query,
            limit: 2,
            ...(cursor ? { cursor } : {}),
          })
          ids.push(...page.evaluations.map(({ answerId }) => answerId))
          cursor = page.cursor
        } while (cursor)
        return ids
      }
      expect(await listed({})).toEqual(['a8', 'a7', 'a6', 'a5', 'a4', 'a3', 'a2', 'a1', 'a0', 'unscored'])
      expect(await listed({ fromMs: NOW + 1, toMs: NOW + 2 })).toEqual(['a5', 'a4', 'a3'])
      expect(await listed({ prompt: 'odd' })).toEqual(['a7', 'a5', 'a3', 'a1'])
      expect(await listed({ prompt: 'odd', model: 'old' })).toEqual(['a1'])
      expect(await listed({ below: 0.2 })).toEqual(['a1', 'a0'])
      await expect(answers.listEvaluations('acme', { limit: 2, cursor: 'nonsense' })).rejects.toMatchObject({
        code: 'invalid_cursor',
        retryable: false,
      })
    })

    behaviour('texts expire after 30 days, scores after a year', async (answers) => {
      for (const [id, ageDays] of [
        ['new', 29],
        ['old', 31],
        ['ancient', 366],
      ] as const) {
        const at = NOW - ageDays * DAY_MS
        await answers.put(answer(id, { createdAt: at }))
        await answers.putFeedback('acme', feedback(`f-${id}`, 'new', { createdAt: at }))
        await answers.putEvaluation('acme', evaluation(id, { answeredAt: at }))
      }
      await answers.expire(NOW)
      expect(await answers.get('acme', 'old')).toBeNull()
      expect((await answers.get('acme', 'new'))!.feedback.map(({ feedbackId }) => feedbackId)).toEqual([
        'f-new',
      ])
      const { evaluations } = await answers.listEvaluations('acme', { limit: 10 })
      expect(evaluations.map(({ answerId }) => answerId)).toEqual(['new', 'old'])
    })
  })
}
