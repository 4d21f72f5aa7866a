import { answerWords, givesReason } from './answer-words.ts'
import type { AnswerWord } from './answer-words.ts'
import type { Candidate, ReadPassage } from './candidates.ts'
import type { Question } from './question.ts'
import { isEveryday, misspelt, sharedPrefix } from './words.ts'
import type { Word } from './words.ts'

/** What is known of one candidate sentence; the order is that of the fitted weights. */
export const CANDIDATE_FEATURES = [
  'coverage',
  'coverageAround',
  'coveragePassage',
  'coverageTitle',
  'names',
  'namesAround',
  'pairs',
  'verb',
  'head',
  'rank',
  'score',
  'first',
  'place',
  'length',
  'short',
  'long',
  'novel',
  'negationDiffers',
  'reason',
  'fitPerson',
  'fitTime',
  'fitPlace',
  'fitNumber',
  'fitReason',
  'fitManner',
  'fitName',
  'fitThing',
  'fitOpen',
  'nearPerson',
  'nearTime',
  'nearPlace',
  'nearNumber',
  'nearReason',
  'nearManner',
  'nearName',
  'nearThing',
  'nearOpen',
] as const
type CandidateFeature = (typeof CANDIDATE_FEATURES)[number]

export interface Scored {
  readonly candidate: Candidate
  readonly features: Readonly<Record<CandidateFeature, number>>
  readonly answers: readonly AnswerWord[]
}

const KINDS = ['person', 'time', 'place', 'number', 'reason', 'manner', 'name', 'thing', 'open'] as const
const capitalised = (kind: string): string => kind.charAt(0).toUpperCase() + kind.slice(1)
const NEGATIONS = new Set(['not', 'never', 'no', 'without', 'neither', 'nor', 'cannot'])
/** Words of a stem's length that count as the same when they share this much of their letters. */
const SAME_PREFIX = 0.6

export interface TermWeights {
  readonly weights: ReadonlyMap<string, number>
  readonly total: number
}

/**
 * How much each term of the question tells the evidence's sentences apart: the idf over those sentences (Robertson's form),
 * less for everyday words, more for names and numbers.
 */
export function termWeights(question: Question, passages: readonly ReadPassage[]): TermWeights {
  const all = passages.flatMap((passage) => passage.candidates)
  const weights = new Map<string, number>()
  let total = 0
  for (const term of question.terms) {
    const holding = all.filter((candidate) => candidate.stems.has(term.stem)).length
    const idf = Math.log(1 + (all.length - holding + 0.5) / (holding + 0.5))
    const weight = idf * (isEveryday(term) ? 0.4 : 1) * (question.names.has(term.stem) ? 1.3 : 1)
    weights.set(term.stem, weight)
    total += weight
  }
  return { weights, total: Math.max(total, 1e-9) }
}

/** How surely a set of stems holds a term: 1, or less where only the beginnings agree. */
export function holds(stems: ReadonlySet<string>, term: string): number {
  if (stems.has(term)) return 1
  if (term.length < 4) return 0
  for (const stem of stems)
    if (stem.length > 3 && (sharedPrefix(term, stem) >= SAME_PREFIX || misspelt(term, stem))) return 0.7
  return 0
}

/** The features of one passage's candidates. */
export function featuresOf(
  question: Question,
  weights: TermWeights,
  passages: readonly ReadPassage[],
  index: number,
): Scored[] {
  const passage = passages[index]
  if (!passage) return []
  const terms = question.terms.map((term) => term.stem)
  const held = passage.candidates.map((candidate) => terms.map((term) => holds(candidate.stems, term)))
  const inTitle = terms.map((term) => holds(passage.titleStems, term))
  const inPassage = terms.map((_, t) => Math.max(0, ...held.map((row) => row[t] ?? 0)))
  const scores = passages.map((each) => each.score)
  const top = Math.max(...scores)
  const spread = Math.max(top - Math.min(...scores), 1e-9)
  return passage.candidates.map((candidate, at) => {
    const own = held[at] ?? []
    const around = terms.map((_, t) =>
      Math.max(own[t] ?? 0, 0.8 * (held[at - 1]?.[t] ?? 0), 0.5 * (held[at + 1]?.[t] ?? 0)),
    )
    const orTitle = (values: readonly number[]): number[] =>
      values.map((value, t) => Math.max(value, inTitle[t] ?? 0))
    const answers = answerWords(question, candidate.words, passage.text)
    const features = {
      ...byKind(question, candidate, answers, weights),
      ...looks(question, candidate),
      coverage: share(terms, own, weights),
      coverageAround: share(terms, around, weights),
      coveragePassage: share(terms, inPassage, weights),
      coverageTitle: share(terms, orTitle(own), weights),
      names: share(terms, own, weights, question.names),
      namesAround: share(terms, orTitle(around), weights, question.names),
      pairs: pairShare(question, candidate.words, weights),
      rank: 1 / (index + 1),
      score: (passage.score - top) / spread,
      place: candidate.order / Math.max(1, passage.candidates.length - 1),
    }
    return { candidate, answers, features: features as Scored['features'] }
  })
}

/** The weight of the terms that are held, of all or of some, as a share. */
function share(
  terms: readonly string[],
  held: readonly number[],
  weights: TermWeights,
  only?: ReadonlySet<string>,
): number {
  let got = 0
  let of = 0
  for (const [t, term] of terms.entries()) {
    if (only && !only.has(term)) continue
    const weight = weights.weights.get(term) ?? 0
    got += weight * (held[t] ?? 0)
    of += weight
  }
  return of > 0 ? got / of : 0
}

/** What could be the answer and how near it stands to the question's words, each kind of question with a weight of its own. */
function byKind(
  question: Question,
  candidate: Candidate,
  answers: readonly AnswerWord[],
  weights: TermWeights,
): Record<string, number> {
  const found: Record<string, number> = {}
  for (const kind of KINDS) {
    found[`fit${capitalised(kind)}`] = 0
    found[`near${capitalised(kind)}`] = 0
  }
  found[`fit${capitalised(question.kind)}`] = Math.max(0, ...answers.map((answer) => answer.fit))
  found[`near${capitalised(question.kind)}`] = nearness(candidate.words, answers, weights)
  return found
}

function looks(question: Question, candidate: Candidate): Record<string, number> {
  const { words, stems, order } = candidate
  const novel = words.filter((word) => !word.stop && !question.said.has(word.stem)).length
  const negated = words.some((word) => NEGATIONS.has(word.folded))
  const asksForGrounds = question.kind === 'reason' || question.kind === 'manner'
  return {
    verb: question.verb === null ? 0 : holds(stems, question.verb),
    head: Math.max(0, ...[...question.head].map((stem) => holds(stems, stem))),
    first: order === 0 ? 1 : 0,
    length: Math.log(words.length / 20),
    short: words.length < 6 ? 1 : 0,
    long: words.length > 50 ? 1 : 0,
    novel: Math.log(1 + novel),
    negationDiffers: negated !== question.negated ? 1 : 0,
    reason: asksForGrounds && words.some(givesReason) ? 1 : 0,
  }
}

/** Share of the question's neighbouring word pairs that the sentence has within four words of each other, by weight. */
function pairShare(question: Question, words: readonly Word[], weights: TermWeights): number {
  let got = 0
  let of = 0
  for (const [a, b] of question.pairs) {
    const weight = Math.min(weights.weights.get(a) ?? 0, weights.weights.get(b) ?? 0)
    of += weight
    const close = words.some(
      (word, i) =>
        word.stem === a &&
        words.slice(Math.max(0, i - 4), i + 5).some((other) => other !== word && other.stem === b),
    )
    if (close) got += weight
  }
  return of > 0 ? got / of : 0
}

/** How near the likeliest answer stands to the question's words: their weight, fading over five words of distance. */
function nearness(words: readonly Word[], answers: readonly AnswerWord[], weights: TermWeights): number {
  const matched = words.flatMap((word, index) => {
    const weight = weights.weights.get(word.stem)
    return weight === undefined ? [] : [{ index, stem: word.stem, weight }]
  })
  let best = 0
  for (const answer of answers) {
    const nearest = new Map<string, number>()
    for (const { index, stem, weight } of matched) {
      const pull = weight / (1 + Math.abs(index - answer.index) / 5)
      nearest.set(stem, Math.max(nearest.get(stem) ?? 0, pull))
    }
    let sum = 0
    for (const pull of nearest.values()) sum += pull
    best = Math.max(best, (answer.fit * sum) / weights.total)
  }
  return best
}
