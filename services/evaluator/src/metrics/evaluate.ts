import type { Embedder } from '@aquifer/models/embedder'
import type { GroundednessScorer } from '@aquifer/models/groundedness'
import { blankMarkers } from '@aquifer/text/markers'
import type { Evaluate } from '../deps.ts'
import { answerRelevance } from './answer-relevance.ts'
import { contextPrecision } from './context-precision.ts'
import { contextRecall } from './context-recall.ts'

export interface EvaluateDeps {
  readonly embedder: Embedder
  readonly groundedness: GroundednessScorer
}

/**
 * All scores of one answer. `answerRelevance` needs a question, `contextRecall` a reference; what an input does not allow
 * is left out. Throws `evaluation_too_large` (413), and what the embedder throws.
 */
export function createEvaluate({ embedder, groundedness }: EvaluateDeps): Evaluate {
  return async ({ question, answer: given, contexts, reference }, options) => {
    const answer = blankMarkers(given)
    const asked = question === undefined ? {} : { question }
    const {
      groundedness: score,
      grounded,
      claims,
    } = await groundedness.score({ ...asked, answer, contexts }, options)
    const expected =
      reference === undefined
        ? null
        : await groundedness.score({ ...asked, answer: reference, contexts }, options)
    const relevance = question?.trim()
      ? await answerRelevance(embedder, { question, answer, claims: claims.map(({ text }) => text) }, options)
      : undefined
    return {
      scores: {
        groundedness: score,
        answerRelevance: relevance,
        contextPrecision: contextPrecision((expected ?? { claims }).claims, contexts.length),
        contextRecall: expected ? contextRecall(expected.claims) : undefined,
      },
      grounded,
      claims,
      evaluator: groundedness.name,
    }
  }
}
