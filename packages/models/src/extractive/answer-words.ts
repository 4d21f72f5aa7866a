import { isEveryday, stemOf } from './words.ts'
import type { Word } from './words.ts'
import type { AnswerKind, Question } from './question.ts'

const set = (words: string): ReadonlySet<string> => new Set(words.split(' '))
const MONTHS = set(
  'january february march april may june july august september october november december monday tuesday wednesday ' +
    'thursday friday saturday sunday',
)
const TIME_WORDS = set(
  'century centuries decade decades year years month months today ago spring summer autumn winter bc ad bce ce',
)
const NUMBER_WORDS = set(
  'one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen ' +
    'nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands million millions billion trillion ' +
    'dozen half third quarter twice once percent majority most first second double',
)
const REASONS = set(
  'because due since reason reasons cause caused causes therefore thus hence order lead led result resulting so allow prevent owing ensure',
)
const MANNERS = set('by through using via with means method process when as')
const PLACE_BEFORE = set(
  'in at near from to of on across into around outside throughout toward north south east west along between',
)
const YEAR = /^(?:1\d{3}|20\d{2})(?:s)?$/u

/** A word of a sentence that could be (part of) the answer, and how sure its looks make that: 0 to 1. */
export interface AnswerWord {
  readonly index: number
  readonly fit: number
}

/** The words of a sentence that could answer the question, by their looks alone; none of them is a word of the question. */
export function answerWords(question: Question, words: readonly Word[], text: string): AnswerWord[] {
  const found: AnswerWord[] = []
  for (const [index, word] of words.entries()) {
    if (question.said.has(word.stem)) continue
    const fit = fitOf(question.kind, words, index, text)
    if (fit > 0) found.push({ index, fit })
  }
  return found
}

function fitOf(kind: AnswerKind, words: readonly Word[], index: number, text: string): number {
  const word = words[index]
  if (word === undefined) return 0
  const before = words[index - 1]
  const after = words[index + 1]
  const name = word.capital && (!word.stop || word.folded.length === 1) && !MONTHS.has(word.folded)
  const inName = name && (index > 0 || Boolean(after?.capital))
  if (kind === 'time') return timeFit(word, after)
  if (kind === 'number') return numberFit(word, text)
  if (kind === 'reason') return REASONS.has(word.folded) ? 1 : 0
  if (kind === 'manner')
    return MANNERS.has(word.folded) ? 0.7 : word.digits || (!word.stop && !isEveryday(word)) ? 0.4 : 0
  if (kind === 'person') {
    if (!inName) return !word.stop && !isEveryday(word) && word.folded.endsWith('s') ? 0.2 : 0
    if (
      before !== undefined &&
      PLACE_BEFORE.has(before.folded) &&
      before.folded !== 'to' &&
      before.folded !== 'of'
    )
      return 0.5
    return before?.capital || after?.capital ? 1 : 0.8
  }
  if (kind === 'place') {
    if (inName) return before !== undefined && PLACE_BEFORE.has(before.folded) ? 1 : 0.7
    return before !== undefined && PLACE_BEFORE.has(before.folded) && !word.stop ? 0.3 : 0
  }
  if (kind === 'name') return inName ? 1 : word.stop || isEveryday(word) ? 0 : 0.3
  return word.stop || isEveryday(word) ? 0 : inName || word.digits ? 0.9 : 0.8
}

function timeFit(word: Word, after: Word | undefined): number {
  if (YEAR.test(word.folded) || MONTHS.has(word.folded)) return 1
  if (TIME_WORDS.has(word.folded)) return 0.5
  if (word.digits) return after && (TIME_WORDS.has(after.folded) || MONTHS.has(after.folded)) ? 1 : 0.4
  return 0
}

function numberFit(word: Word, text: string): number {
  if (word.digits) {
    if (!YEAR.test(word.folded)) return 1
    return /^\s*(?:%|km|m\b|ft|[\p{L}]+s\b)/u.test(text.slice(word.end, word.end + 12)) ? 0.8 : 0.35
  }
  return NUMBER_WORDS.has(word.folded) ? 0.7 : 0
}

const REASON_STEMS = new Set([...REASONS].map(stemOf))
/** Whether a sentence's word gives a reason, whatever is asked. */
export function givesReason(word: Word): boolean {
  return REASON_STEMS.has(word.stem)
}
