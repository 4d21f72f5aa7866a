import { writeFileSync } from 'node:fs'
import { CANDIDATE_FEATURES } from '../../src/extractive/features.ts'
import type { Scored } from '../../src/extractive/features.ts'
import { chooseQuotes } from '../../src/extractive/quote.ts'
import {
  ANSWER_FEATURES,
  EMBEDDED_CANDIDATES,
  answerFeatures,
  rank,
  readEvidence,
  unanswerable,
} from '../../src/extractive/rank.ts'
import type { Ranked, Reading, Weights } from '../../src/extractive/rank.ts'
import { containsAnswer, devQuestions, dot } from './dev-data.ts'
import type { DevQuestion, Embed } from './dev-data.ts'
import { fitListwise, fitLogistic, shuffled } from './linear.ts'
import type { Group } from './linear.ts'

const FOLDS = 10
const SEED = 20_261_121
const RANK_PRIOR = 3
const ANSWER_PRIOR = 3
/** Share of answerable questions that may be refused. */
const WRONG_ABSTENTIONS = 0.05
/** A sentence that holds the answer's words elsewhere than where the question was written counts this much. */
const ELSEWHERE = 0.3
const ANSWER_SIGNS: Readonly<Record<string, number>> = { top: -1, cosine: -1 }

interface Row {
  readonly asked: DevQuestion
  readonly reading: Reading
  readonly cosines: ReadonlyMap<Scored, number>
  readonly right: ReadonlyMap<Scored, number>
  readonly fold: number
}

interface Models {
  readonly lexical: Weights
  readonly vectors: Weights
  readonly answerLexical: Weights
  readonly answerVectors: Weights
}

export interface Figures {
  readonly questions: { readonly answerable: number; readonly unanswerable: number }
  readonly folds: string
  readonly [figure: string]: unknown
}

/** Fits all weights and thresholds, measures them out of fold, and writes them beside the generator. */
export async function fit(
  folder: string,
  embed: Embed,
  embedder: string,
  weightsFile: string,
  k = 6,
): Promise<Figures> {
  const rows = await rowsOf(folder, embed, k)
  const all = fitModels(rows)
  const held = new Map<Row, Outcome>()
  for (let fold = 0; fold < FOLDS; fold++) {
    const models = fitModels(rows.filter((row) => row.fold !== fold))
    for (const row of rows) if (row.fold === fold) held.set(row, outcome(row, models))
  }
  const outcomes = rows.flatMap((row) => held.get(row) ?? [])
  const figures = figuresOf(outcomes)
  const threshold = {
    lexical: quantile(
      answerable(outcomes).map((each) => each.doubtLexical),
      1 - WRONG_ABSTENTIONS,
    ),
    vectors: quantile(
      answerable(outcomes).map((each) => each.doubtVectors),
      1 - WRONG_ABSTENTIONS,
    ),
  }
  const file = {
    fitted: {
      on: 'SQuAD 1.1 and 2.0 development questions (Rajpurkar et al., 2016 and 2018; CC BY-SA 4.0); only these numbers were derived from them',
      how: `packages/models/fit/extractive/fit.ts: listwise softmax (prior ${RANK_PRIOR}) and sign-bounded logistic regression (prior ${ANSWER_PRIOR}), seed ${SEED}`,
      embedder,
      figures,
    },
    rank: { lexical: rounded(all.lexical), vectors: rounded(all.vectors) },
    answer: { lexical: rounded(all.answerLexical), vectors: rounded(all.answerVectors) },
    threshold: rounded(threshold),
  }
  writeFileSync(weightsFile, `${JSON.stringify(file, null, 2)}\n`)
  return figures
}

async function rowsOf(folder: string, embed: Embed, k: number): Promise<Row[]> {
  const asked = await devQuestions(folder, embed, k)
  const articles = [...new Set(asked.map((question) => question.article))].toSorted()
  const order = shuffled(articles.length, SEED)
  const foldOf = new Map(articles.map((article, i) => [article, (order[i] ?? 0) % FOLDS]))
  const questionVectors = await embed(asked.map((question) => question.text))
  const readings = await Promise.all(
    asked.map((question) => readEvidence(question.text, question.evidence, async () => {})),
  )
  const textOf = (reading: Reading, { candidate }: Scored): string =>
    reading.passages[candidate.passage]?.text.slice(candidate.start, candidate.end) ?? ''
  const texts = [
    ...new Set(readings.flatMap((reading) => reading.candidates.map((each) => textOf(reading, each)))),
  ]
  const vectors = new Map((await embed(texts)).map((vector, i) => [texts[i] ?? '', vector]))
  return readings.map((reading, q): Row => {
    const question = asked[q]
    const vector = questionVectors[q]
    if (!question || !vector) throw new Error('a question without a vector')
    const cosines = new Map<Scored, number>()
    const right = new Map<Scored, number>()
    for (const scored of reading.candidates) {
      const text = textOf(reading, scored)
      cosines.set(scored, dot(vectors.get(text) ?? vector, vector))
      const own = question.evidence[scored.candidate.passage]?.text === question.written
      right.set(scored, containsAnswer(text, question.answers ?? []) ? (own ? 1 : ELSEWHERE) : 0)
    }
    return { asked: question, reading, cosines, right, fold: foldOf.get(question.article) ?? 0 }
  })
}

function fitModels(rows: readonly Row[]): Models {
  const answerableRows = rows.filter((row) => row.asked.answers !== null)
  const features = (scored: Scored): number[] => CANDIDATE_FEATURES.map((name) => scored.features[name])
  const group = (row: Row, candidates: readonly Scored[], cosines: boolean): Group => ({
    rows: candidates.map((scored) => [
      ...features(scored),
      ...(cosines ? [row.cosines.get(scored) ?? 0] : []),
    ]),
    found: candidates.map((scored) => row.right.get(scored) ?? 0),
  })
  const useful = (groups: readonly Group[]): Group[] =>
    groups.filter(({ found }) => found.some((share) => share > 0))
  const named = (weights: readonly number[], names: readonly string[]): Weights =>
    Object.fromEntries(names.map((name, i) => [name, weights[i] ?? 0]))
  const lexical = named(
    fitListwise(useful(answerableRows.map((row) => group(row, row.reading.candidates, false))), RANK_PRIOR),
    CANDIDATE_FEATURES,
  )
  const vectors = named(
    fitListwise(useful(answerableRows.map((row) => group(row, preselected(row, lexical), true))), RANK_PRIOR),
    [...CANDIDATE_FEATURES, 'cosine'],
  )
  const answer = (ranked: (row: Row) => Ranked[], names: readonly string[]): Weights => {
    const known = rows.flatMap((row) => {
      const found = answerFeatures(row.reading, ranked(row))
      return found
        ? [{ values: names.map((name) => found[name] ?? 0), none: row.asked.answers === null }]
        : []
    })
    const weights = fitLogistic(
      known.map(({ values }) => values),
      known.map(({ none }) => none),
      names.map((name) => ANSWER_SIGNS[name] ?? 1),
      ANSWER_PRIOR,
    )
    return named(weights, [...names, 'constant'])
  }
  return {
    lexical,
    vectors,
    answerLexical: answer(
      (row) => rank(row.reading, row.reading.candidates, lexical),
      ANSWER_FEATURES.filter((name) => name !== 'cosine'),
    ),
    answerVectors: answer((row) => rankedByVectors(row, lexical, vectors), ANSWER_FEATURES),
  }
}

function preselected(row: Row, lexical: Weights): Scored[] {
  return rank(row.reading, row.reading.candidates, lexical)
    .slice(0, EMBEDDED_CANDIDATES)
    .map(({ scored }) => scored)
}

function rankedByVectors(row: Row, lexical: Weights, vectors: Weights): Ranked[] {
  const candidates = preselected(row, lexical)
  return rank(
    row.reading,
    candidates,
    vectors,
    candidates.map((scored) => row.cosines.get(scored) ?? 0),
  )
}

interface Outcome {
  readonly asked: DevQuestion
  readonly heldLexical: boolean
  readonly heldVectors: boolean
  readonly doubtLexical: number
  readonly doubtVectors: number
}

function outcome(row: Row, models: Models): Outcome {
  const lexical = rank(row.reading, row.reading.candidates, models.lexical)
  const vectors = rankedByVectors(row, models.lexical, models.vectors)
  const held = (ranked: readonly Ranked[]): boolean => {
    const quotes = chooseQuotes(row.reading.question, row.reading.weights, ranked)
    const texts = quotes.map(
      ({ passage, start, end }) => row.reading.passages[passage]?.text.slice(start, end) ?? '',
    )
    return containsAnswer(texts.join(' '), row.asked.answers ?? [])
  }
  const doubt = (ranked: readonly Ranked[], weights: Weights): number => {
    const found = answerFeatures(row.reading, ranked)
    return found ? unanswerable(found, weights) : 1
  }
  return {
    asked: row.asked,
    heldLexical: held(lexical),
    heldVectors: held(vectors),
    doubtLexical: doubt(lexical, models.answerLexical),
    doubtVectors: doubt(vectors, models.answerVectors),
  }
}

const answerable = (outcomes: readonly Outcome[]): Outcome[] =>
  outcomes.filter((each) => each.asked.answers !== null)

function figuresOf(outcomes: readonly Outcome[]): Figures {
  const can = answerable(outcomes)
  const cannot = outcomes.filter((each) => each.asked.answers === null)
  const share = (of: readonly Outcome[], test: (each: Outcome) => boolean): number =>
    Number((of.filter(test).length / Math.max(1, of.length)).toFixed(4))
  const abstention = (doubt: (each: Outcome) => number): Record<string, number> => {
    const threshold = quantile(can.map(doubt), 1 - WRONG_ABSTENTIONS)
    return {
      abstainedOfUnanswerable: share(cannot, (each) => doubt(each) > threshold),
      abstainedOfAnswerable: share(can, (each) => doubt(each) > threshold),
      auroc: auroc(cannot.map(doubt), can.map(doubt)),
    }
  }
  const gated = (held: (each: Outcome) => boolean, doubt: (each: Outcome) => number): number => {
    const threshold = quantile(can.map(doubt), 1 - WRONG_ABSTENTIONS)
    return share(can, (each) => held(each) && doubt(each) <= threshold)
  }
  return {
    questions: { answerable: can.length, unanswerable: cannot.length },
    folds: `${FOLDS} by article, all figures out of fold`,
    lexical: {
      containsAnswer: share(can, (each) => each.heldLexical),
      containsAnswerAfterAbstaining: gated(
        (each) => each.heldLexical,
        (each) => each.doubtLexical,
      ),
      ...abstention((each) => each.doubtLexical),
    },
    vectors: {
      containsAnswer: share(can, (each) => each.heldVectors),
      containsAnswerAfterAbstaining: gated(
        (each) => each.heldVectors,
        (each) => each.doubtVectors,
      ),
      ...abstention((each) => each.doubtVectors),
    },
    topCosineAlone: abstention((each) => -each.asked.topCosine),
    topScoreAlone: abstention((each) => -(each.asked.evidence[0]?.score ?? 0)),
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0
}

function auroc(positive: readonly number[], negative: readonly number[]): number {
  let won = 0
  for (const p of positive) for (const n of negative) won += p > n ? 1 : p === n ? 0.5 : 0
  return Number((won / Math.max(1, positive.length * negative.length)).toFixed(4))
}

function rounded(weights: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(weights).map(([name, value]) => [name, Number(value.toFixed(5))]))
}
