import type { Question } from './question.ts'
import type { Scored, TermWeights } from './features.ts'

/** An answer has at most two quotes and 60 words; two of them are left to the citation marks. */
const ANSWER_WORDS = 58

/** A verbatim slice of one passage's text. */
interface Quote {
  readonly passage: number
  readonly start: number
  readonly end: number
}

/** A cut sentence keeps at least this share of the room it was given, where ending at a clause costs some. */
const LEAST_FILL = 0.6
/** What a word of the question is worth in a cut beside a likely answer. */
const QUESTION_WORD_VALUE = 0.5
/** Fewer words than this say nothing. */
const LEAST_WORDS = 5
/** How many of the ranking are looked at for the second quote. */
const SECOND_CHOICES = 5
/** A second sentence this much less likely (in log odds, about 1 in 50) only dilutes the answer, unless it has words of the question that the first lacks. */
const SECOND_WITHIN = 4
/** Room that a first quote leaves to a second one when both are long. */
const ROOM_FOR_SECOND = 16

/**
 * Picks the quotes of an answer: the best sentence, and the one most likely to add the answer within the words left.
 * `ranked` is best first with a score each (log odds up to a constant); a sentence too long for its room is cut to the
 * clauses around its likeliest answer.
 */
export function chooseQuotes(
  question: Question,
  weights: TermWeights,
  ranked: readonly { readonly scored: Scored; readonly score: number; readonly text: string }[],
): Quote[] {
  const [first, ...others] = ranked
  if (!first) return []
  const best = cut(question, weights, first.scored, first.text, ANSWER_WORDS - ROOM_FOR_SECOND)
  const room = ANSWER_WORDS - best.words
  let second: { quote: Cut; value: number } | null = null
  for (const { scored, score, text } of others.slice(0, SECOND_CHOICES)) {
    if (score < first.score - SECOND_WITHIN && !adds(question, first.scored, scored)) continue
    const quote = cut(question, weights, scored, text, room)
    if (quote.words < LEAST_WORDS) continue
    const value = score + Math.log(quote.kept)
    if (second === null || value > second.value) second = { quote, value }
  }
  const rest = ANSWER_WORDS - (second?.quote.words ?? 0)
  const full = cut(question, weights, first.scored, first.text, rest)
  return [full, ...(second ? [second.quote] : [])].map(({ passage, start, end }) => ({ passage, start, end }))
}

/** Whether a sentence has a word of the question that the first one lacks. */
function adds(question: Question, first: Scored, second: Scored): boolean {
  return question.terms.some(
    ({ stem }) => second.candidate.stems.has(stem) && !first.candidate.stems.has(stem),
  )
}

interface Cut extends Quote {
  readonly words: number
  /** Share of the sentence's value (likely answers and words of the question) that the slice holds. */
  readonly kept: number
}

/** The sentence whole where it fits into `room` words, or the slice of it that holds most of what was asked. */
function cut(question: Question, weights: TermWeights, scored: Scored, text: string, room: number): Cut {
  const { passage, start, end } = scored.candidate
  const tokens = [...text.slice(start, end).matchAll(/\S+/gu)].map((match) => ({
    start: start + match.index,
    end: start + match.index + match[0].length,
  }))
  if (tokens.length <= room) return { passage, start, end, words: tokens.length, kept: 1 }
  if (room < 1) return { passage, start, end: start, words: 0, kept: 0 }
  const values = tokenValues(question, weights, scored, tokens)
  const total = values.reduce((sum, value) => sum + value, 0)
  const opens = (i: number): boolean =>
    i === 0 || /[,;:—–)]$/u.test(text.slice(tokens[i - 1]?.start, tokens[i - 1]?.end))
  const closes = (i: number): boolean => i === tokens.length - 1 || opens(i + 1)
  let best: { from: number; to: number; value: number } | null = null
  for (let from = 0; from + Math.ceil(room * LEAST_FILL) <= tokens.length; from++) {
    const farthest = Math.min(from + room, tokens.length) - 1
    let to = farthest
    while (to - from + 1 > room * LEAST_FILL && !closes(to)) to--
    if (!closes(to)) to = farthest
    let value = opens(from) ? 0.1 * total : 0
    for (let i = from; i <= to; i++) value += values[i] ?? 0
    if (best === null || value > best.value) best = { from, to, value }
  }
  const from = best?.from ?? 0
  const to = best?.to ?? room - 1
  const held = values.slice(from, to + 1).reduce((sum, value) => sum + value, 0)
  return {
    passage,
    start: tokens[from]?.start ?? start,
    end: tokens[to]?.end ?? end,
    words: to - from + 1,
    kept: Math.max(1e-3, total > 0 ? held / total : room / tokens.length),
  }
}

function tokenValues(
  question: Question,
  weights: TermWeights,
  scored: Scored,
  tokens: readonly { readonly start: number; readonly end: number }[],
): number[] {
  const values = tokens.map(() => 1e-3)
  const words = scored.candidate.words
  const heaviest = Math.max(1e-9, ...weights.weights.values())
  const tokenOf = (at: number): number => {
    const found = tokens.findIndex((token) => at < token.end)
    return found < 0 ? tokens.length - 1 : found
  }
  const matched = words.flatMap((word, index) => {
    const weight = question.said.has(word.stem) ? (weights.weights.get(word.stem) ?? 0) / heaviest : 0
    return weight > 0 ? [{ index, weight, start: word.start }] : []
  })
  for (const { weight, start } of matched) {
    const at = tokenOf(start)
    values[at] = (values[at] ?? 0) + QUESTION_WORD_VALUE * weight
  }
  for (const { index, fit } of scored.answers) {
    const word = words[index]
    if (!word) continue
    const near = matched.reduce(
      (sum, { index: other, weight }) => sum + weight / (1 + Math.abs(other - index) / 5),
      0.2,
    )
    const at = tokenOf(word.start)
    values[at] = (values[at] ?? 0) + fit * near
  }
  return values
}
