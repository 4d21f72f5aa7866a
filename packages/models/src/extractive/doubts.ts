import type { Candidate, ReadPassage } from './candidates.ts'
import { holds } from './features.ts'
import type { TermWeights } from './features.ts'
import { isQuestionWord } from './question.ts'
import type { Question } from './question.ts'
import { stemOf } from './words.ts'
import type { Word } from './words.ts'

/** What speaks against a sentence that looks like an answer; the order is that of the fitted weights. */
export const DOUBTS = [
  'missing',
  'missingNumbers',
  'opposite',
  'asksNot',
  'asksNotAlone',
  'swapped',
  'contrary',
] as const
type Doubt = (typeof DOUBTS)[number]

const pairs = (text: string): Map<string, Set<string>> => {
  const found = new Map<string, Set<string>>()
  const add = (a: string, b: string): void => void found.set(a, (found.get(a) ?? new Set()).add(b))
  for (const pair of text.split(' ')) {
    const [a = '', b = ''] = pair.split('/').map(stemOf)
    add(a, b)
    add(b, a)
  }
  return found
}
/** Words that a question may have in place of their opposite in the text. */
const OPPOSITES = pairs(
  'eastern/western east/west north/south northern/southern northeast/southwest northwest/southeast left/right high/low ' +
    'higher/lower highest/lowest large/small larger/smaller largest/smallest big/little more/less most/least more/fewer first/last ' +
    'early/late earlier/later earliest/latest before/after begin/end start/end start/finish start/stop open/close rise/fall ' +
    'increase/decrease increase/reduce grow/shrink accept/reject accept/refuse allow/forbid allow/prevent win/lose victory/defeat ' +
    'win/defeat strong/weak positive/negative public/private internal/external inner/outer upper/lower male/female man/woman ' +
    'men/women husband/wife father/mother son/daughter brother/sister king/queen import/export buy/sell give/receive send/receive ' +
    'arrive/leave enter/leave enter/exit attack/defend offensive/defensive support/oppose agree/disagree include/exclude ' +
    'always/never same/different similar/different old/new old/young ancient/modern rich/poor hot/cold warm/cool wet/dry ' +
    'light/dark light/heavy fast/slow long/short thick/thin wide/narrow deep/shallow maximum/minimum major/minor majority/minority ' +
    'create/destroy build/destroy success/failure succeed/fail legal/illegal possible/impossible known/unknown common/rare ' +
    'common/uncommon popular/unpopular important/unimportant united/divided join/leave add/remove gain/lose appear/disappear ' +
    'above/below over/under inside/outside near/far front/back top/bottom up/down push/pull live/die birth/death born/died ' +
    'love/hate friend/enemy war/peace urban/rural domestic/foreign formal/informal direct/indirect active/passive solid/liquid ' +
    'absorb/release attract/repel expand/contract ascend/descend forward/backward primary/secondary permanent/temporary best/worst ' +
    'good/bad better/worse former/latter encourage/discourage approve/disapprove approve/reject continue/stop remain/leave',
)
/**
 * Reads what the likeliest sentence leaves unsaid or says otherwise. Each doubt is 0 where there is none: `missing` is the
 * weight of the heaviest term that the sentence lacks beside the question's heaviest (0 to 1); the others count, to 2 at most.
 */
export function doubtsOf(
  question: Question,
  weights: TermWeights,
  passage: ReadPassage,
  candidate: Candidate,
): Record<Doubt, number> {
  const at = passage.candidates.indexOf(candidate)
  const near = [at - 1, at, at + 1].flatMap((i) => passage.candidates[i]?.stems ?? [])
  const heaviest = Math.max(1e-9, ...weights.weights.values())
  let missing = 0
  let missingNumbers = 0
  let opposite = 0
  for (const term of question.terms) {
    if (holds(candidate.stems, term.stem) > 0) continue
    missing = Math.max(missing, (weights.weights.get(term.stem) ?? 0) / heaviest)
    if (
      [...(OPPOSITES.get(term.stem) ?? [])].some(
        (stem) => candidate.stems.has(stem) && !question.said.has(stem),
      )
    )
      opposite = 1
    if (term.digits && !passage.stems.has(term.stem) && !passage.titleStems.has(term.stem))
      missingNumbers += 1
  }
  const negated = candidate.words.some((word) => NEGATIONS.has(word.folded))
  return {
    missing,
    missingNumbers: Math.min(2, missingNumbers),
    opposite,
    asksNot: question.negated ? 1 : 0,
    asksNotAlone: question.negated && !negated ? 1 : 0,
    swapped: Math.min(2, swapped(question, candidate)),
    contrary: Math.min(2, contraries(question, candidate, near)),
  }
}

const NEGATIONS = new Set([
  'not',
  'never',
  'no',
  'without',
  'neither',
  'nor',
  'cannot',
  'none',
  'nobody',
  'nothing',
])
/** Words that turn a statement round where the text does not have them. */
const TURNING = new Set(
  (
    'reject refuse deny hate dislike fail lack avoid exclude prevent oppose ignore abandon cease stop least worst false wrong ' +
    'instead except only never none nobody nothing neither unable forbid prohibit ban discourage disapprove reverse opposite ' +
    'contrary lose destroy halt hinder neglect omit decline dismiss disallow forget rarely seldom hardly barely'
  )
    .split(' ')
    .map(stemOf),
)
const TURNED = /^(?:un|in|im|ir|il|dis|non|anti|mis|semi)(?=.{4})/u

/** Counts words of the question that turn it against the sentence: `rejected`, or `unfocused` where the text has `focused`. */
function contraries(question: Question, candidate: Candidate, near: readonly ReadonlySet<string>[]): number {
  let found = 0
  for (const word of question.words) {
    if (near.some((stems) => stems.has(word.stem))) continue
    if (TURNING.has(word.stem)) found += 1
    else if (
      TURNED.test(word.folded) &&
      !word.capital &&
      candidate.stems.has(stemOf(word.folded.replace(TURNED, '')))
    )
      found += 1
  }
  for (const word of candidate.words) {
    if (!TURNED.test(word.folded) || question.said.has(word.stem)) continue
    if (question.said.has(stemOf(word.folded.replace(TURNED, '')))) found += 1
  }
  return Math.min(2, found)
}

/**
 * Counts names and numbers of the question whose place in the sentence another holds: beside the same neighbour (`Ding
 * dynasty`, `Yuan dynasty`) stands one that the question does not have.
 */
function swapped(question: Question, candidate: Candidate): number {
  const { words } = question
  const isSwapped = (word: Word, i: number, side: 1 | -1): boolean => {
    const beside = words[i + side]
    if (!beside || isQuestionWord(beside)) return false
    // A stop word alone (`of`, `the`) is everywhere; with the word beyond it, it is a place in the sentence.
    const beyond = beside.stop ? words[i + 2 * side] : undefined
    if (beside.stop && !beyond) return false
    return candidate.words.some((held, at) => {
      if (held.stem !== beside.stem || (beyond && candidate.words[at + side]?.stem !== beyond.stem))
        return false
      const other = candidate.words[at - side]
      if (!other || other.stop || question.said.has(other.stem)) return false
      return word.digits ? other.digits : other.capital && !other.digits
    })
  }
  return words.filter(
    (word, i) =>
      question.names.has(word.stem) &&
      !question.head.has(word.stem) &&
      holds(candidate.stems, word.stem) === 0 &&
      (isSwapped(word, i, -1) || isSwapped(word, i, 1)),
  ).length
}
