import type { EvidencePassage } from '../generator.ts'
import { EVIDENCE_LIMITS, readPassage } from './candidates.ts'
import type { ReadPassage } from './candidates.ts'
import { DOUBTS, doubtsOf } from './doubts.ts'
import { CANDIDATE_FEATURES, featuresOf, termWeights } from './features.ts'
import type { Scored, TermWeights } from './features.ts'
import { readQuestion } from './question.ts'
import type { Question } from './question.ts'

/** One weight for each named feature, and a constant. */
export type Weights = Readonly<Record<string, number>>

export interface Reading {
  readonly question: Question
  readonly passages: readonly ReadPassage[]
  readonly weights: TermWeights
  readonly candidates: readonly Scored[]
}

export interface Ranked {
  readonly scored: Scored
  /** Log odds of holding the answer, up to a constant of the question. */
  readonly score: number
  /** Similarity to the question, null without vectors. */
  readonly cosine: number | null
  /** The text of its passage. */
  readonly text: string
}

/** How many of the candidates that words favour get a vector: sixteen sentences are about 500 tokens. */
export const EMBEDDED_CANDIDATES = 16

/** The names of the answerability features, `cosine` only where vectors are trusted. */
export const ANSWER_FEATURES = ['top', 'cosine', ...DOUBTS] as const

/** Reads the evidence for a question. `breathe` is awaited between passages, so that nothing else waits for long. */
export async function readEvidence(
  text: string,
  evidence: readonly EvidencePassage[],
  breathe: () => Promise<void>,
): Promise<Reading> {
  const question = readQuestion(text)
  const passages: ReadPassage[] = []
  for (const [index, passage] of evidence.slice(0, EVIDENCE_LIMITS.passages).entries()) {
    passages.push(readPassage(passage, index))
    await breathe()
  }
  const weights = termWeights(question, passages)
  const candidates: Scored[] = []
  for (const index of passages.keys()) {
    candidates.push(...featuresOf(question, weights, passages, index))
    await breathe()
  }
  return { question, passages, weights, candidates }
}

/**
 * Ranks candidates, best first, by a linear score. With `cosines` (one for each candidate) their distance to the best one
 * counts too: a distance, because only that means the same for every embedding model.
 */
export function rank(
  reading: Reading,
  candidates: readonly Scored[],
  weights: Weights,
  cosines: readonly number[] | null = null,
): Ranked[] {
  const best = Math.max(-1, ...(cosines ?? []))
  return candidates
    .map((scored, i) => {
      const cosine = cosines?.[i] ?? null
      let score = cosine === null ? 0 : (weights['cosine'] ?? 0) * (cosine - best)
      for (const name of CANDIDATE_FEATURES) score += (weights[name] ?? 0) * scored.features[name]
      return { scored, score, cosine, text: reading.passages[scored.candidate.passage]?.text ?? '' }
    })
    .toSorted((a, b) => b.score - a.score)
}

/** What the decision to answer goes by: how well the best candidate does, and what speaks against it. Null without one. */
export function answerFeatures(reading: Reading, ranked: readonly Ranked[]): Record<string, number> | null {
  const [best] = ranked
  const passage = reading.passages[best?.scored.candidate.passage ?? -1]
  if (!best || !passage) return null
  return {
    top: best.score,
    cosine: Math.max(...ranked.map((each) => each.cosine ?? -1)),
    ...doubtsOf(reading.question, reading.weights, passage, best.scored.candidate),
  }
}

/** Probability that the evidence holds no answer. */
export function unanswerable(features: Readonly<Record<string, number>>, weights: Weights): number {
  let sum = weights['constant'] ?? 0
  for (const name of ANSWER_FEATURES) sum += (weights[name] ?? 0) * (features[name] ?? 0)
  return 1 / (1 + Math.exp(-sum))
}
