import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { invalid } from '@aquifer/runtime/errors'
import { toCodePoints } from '@aquifer/text/code-points'
import type { Embedder, EmbedOptions } from './embedder.ts'
import { lines, sentencesOfLine } from './groundedness/claims.ts'
import type { Evidence } from './groundedness/evidence.ts'
import { readEvidence } from './groundedness/evidence.ts'
import type { Claim, Features, Question } from './groundedness/features.ts'
import { featuresOf } from './groundedness/features.ts'
import type { GroundednessWeights } from './groundedness/model.ts'
import { claimRisk, groundednessOf } from './groundedness/model.ts'
import type { Candidate } from './groundedness/support.ts'
import { candidatesOf, cosines, supportsOf } from './groundedness/support.ts'
import { tokenize } from './groundedness/tokens.ts'
import weightsFile from './groundedness/weights.json' with { type: 'json' }

export interface GroundednessInput {
  readonly question?: string
  readonly answer: string
  readonly contexts: readonly string[]
}

export interface ScoredClaim {
  readonly text: string
  /** Code points of the answer. */
  readonly start: number
  readonly end: number
  /** Probability that the evidence supports the claim, 0 to 1. */
  readonly score: number
  /** Indexes of the contexts that say it, strongest first, three at most. */
  readonly supportedBy: readonly number[]
}

export interface Groundedness {
  /** Calibrated probability that the whole answer is grounded, 0 to 1. */
  readonly groundedness: number
  readonly grounded: boolean
  readonly claims: readonly ScoredClaim[]
}

export interface GroundednessScorer {
  /** Name, hash of the weights, and whether the embedder's cosines count. */
  readonly name: string
  score(input: GroundednessInput, options: EmbedOptions): Promise<Groundedness>
}

/** UTF-16 units of an answer, and of its question and contexts together. */
export const GROUNDEDNESS_LIMITS = { answerUnits: 50_000, evidenceUnits: 500_000 } as const

/** About 5 ms of reading; then others run. */
const UNITS_PER_TURN = 4_000

const weights: GroundednessWeights = weightsFile

/**
 * Scores an answer claim by claim (a sentence, a line of a list) against its evidence: logistic over the features of
 * `groundedness/features.ts`, joined and calibrated by `groundedness/model.ts`. Where the weights come from and how well they do stands in
 * `groundedness/weights.json`; `fit/groundedness` makes it.
 *
 * Throws `evaluation_too_large` (413) over `GROUNDEDNESS_LIMITS`, and what the embedder throws.
 */
export function createGroundednessScorer({ embedder }: { embedder: Embedder }): GroundednessScorer {
  const hash = createHash('sha256').update(JSON.stringify(weights)).digest('hex').slice(0, 12)
  const semantic = embedder.name.startsWith(weights.embedder)
  return {
    name: `groundedness-claims@${hash}${semantic ? '' : ' (lexical)'}`,
    async score(input, options) {
      const measured = await measure(input, semantic ? embedder : null, options)
      const risks = measured.map(({ features }) => claimRisk(features, weights))
      const groundedness = groundednessOf(risks, weights)
      const points = toCodePoints(
        input.answer,
        measured.flatMap(({ claim }) => [claim.start, claim.end]),
      )
      return {
        groundedness,
        grounded: groundedness >= weights.threshold,
        claims: measured.map(({ claim, supportedBy }, at) => ({
          text: claim.text,
          start: points[2 * at] ?? 0,
          end: points[2 * at + 1] ?? 0,
          score: 1 - (risks[at] ?? 0),
          supportedBy,
        })),
      }
    },
  }
}

export interface MeasuredClaim {
  readonly claim: Claim
  readonly features: Features
  readonly supportedBy: readonly number[]
}

/** The features of each claim of an answer, for scoring and for fitting alike; `distance` is NaN without an embedder. */
export async function measure(
  { question = '', answer, contexts }: GroundednessInput,
  embedder: Embedder | null,
  options: EmbedOptions,
): Promise<MeasuredClaim[]> {
  const evidenceUnits = contexts.reduce((total, { length }) => total + length, question.length)
  if (answer.length > GROUNDEDNESS_LIMITS.answerUnits || evidenceUnits > GROUNDEDNESS_LIMITS.evidenceUnits)
    throw invalid(
      'evaluation_too_large',
      `an answer of ${answer.length} units with ${evidenceUnits} of evidence is over ${JSON.stringify(GROUNDEDNESS_LIMITS)}`,
      413,
    )
  const evidence = await inTurns(readEvidence(contexts), options)
  const claims = await inTurns(readClaims(answer), options)
  const asked = await inTurns(readQuestion(question), options)
  const candidates = await inTurns(searchAll(claims, evidence), options)
  const rows = embedder ? await cosines(embedder, claims, candidates, evidence, options) : null
  return await inTurns(measureAll(claims, candidates, rows, evidence, asked), options)
}

function* searchAll(claims: readonly Claim[], evidence: Evidence): Generator<number, Candidate[][]> {
  const found: Candidate[][] = []
  for (const claim of claims) {
    found.push(candidatesOf(claim, evidence))
    yield claim.text.length
  }
  return found
}

function* measureAll(
  claims: readonly Claim[],
  candidates: readonly (readonly Candidate[])[],
  rows: ReadonlyMap<number, ReadonlyMap<number, number>> | null,
  evidence: Evidence,
  question: Question,
): Generator<number, MeasuredClaim[]> {
  const measured: MeasuredClaim[] = []
  for (const [index, claim] of claims.entries()) {
    const found = candidates[index] ?? []
    const row = rows?.get(index)
    const closest = found[0] === undefined ? null : (evidence.sentences[found[0].sentence] ?? null)
    const cosine = row === undefined ? null : Math.max(...row.values())
    const place = { index, of: claims.length }
    const features = featuresOf(claim, place, evidence, question, closest, cosine)
    measured.push({ claim, features, supportedBy: supportsOf(found, row, evidence) })
    yield claim.text.length
  }
  return measured
}

function* readClaims(answer: string): Generator<number, Claim[]> {
  const claims: Claim[] = []
  for (const line of lines(answer)) {
    for (const [start, end] of sentencesOfLine(answer, line)) {
      const text = answer.slice(start, end)
      const tokens = tokenize(text)
      if (tokens.words.length > 0) claims.push({ text, start, end, ...tokens })
    }
    yield line[1] - line[0]
  }
  return claims
}

function* readQuestion(question: string): Generator<number, Question> {
  const stems = new Set<string>()
  const numbers = new Set<number>()
  for (const [start, end] of lines(question)) {
    const tokens = tokenize(question.slice(start, end))
    for (const stem of tokens.stems) stems.add(stem)
    for (const number of tokens.numbers) numbers.add(number)
    yield end - start
  }
  return { stems, numbers }
}

/** Runs work piece by piece, so that no turn of the event loop grows with the input. */
async function inTurns<T>(work: Generator<number, T>, { signal }: EmbedOptions): Promise<T> {
  let units = 0
  for (;;) {
    const step = work.next()
    if (step.done) return step.value
    units += step.value
    if (units < UNITS_PER_TURN) continue
    units = 0
    await setImmediate()
    signal?.throwIfAborted()
  }
}
