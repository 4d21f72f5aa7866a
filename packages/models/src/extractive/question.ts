import { isEveryday, stemOf, wordsOf } from './words.ts'
import type { Word } from './words.ts'

/** What kind of thing would answer a question. */
export type AnswerKind =
  | 'person'
  | 'time'
  | 'place'
  | 'number'
  | 'reason'
  | 'manner'
  | 'name'
  | 'thing'
  | 'open'

export interface Question {
  readonly text: string
  readonly kind: AnswerKind
  /** All words, in order. */
  readonly words: readonly Word[]
  /** Content words that evidence should hold, each stem once. */
  readonly terms: readonly Word[]
  /** Neighbouring pairs of content words, as stems. */
  readonly pairs: readonly (readonly [string, string])[]
  /** Stems of the noun that names the answer's kind (`what year`, `which theory of …`). */
  readonly head: ReadonlySet<string>
  /** Stems of names and numbers that the question speaks of. */
  readonly names: ReadonlySet<string>
  /** Stem of the first content verb, as far as word order tells; null without one. */
  readonly verb: string | null
  readonly negated: boolean
  readonly yesNo: boolean
  /** Every stem, stop words too: what cannot be the answer itself. */
  readonly said: ReadonlySet<string>
}

const stems = (words: string): ReadonlySet<string> => new Set(words.split(' ').map(stemOf))
const TIME_HEADS = stems('year years date day month decade century centuries era period time season age')
const PERSON_HEADS = stems(
  'person people man woman king queen emperor president leader actor author artist scientist engineer philosopher ' +
    'mathematician inventor architect composer director founder writer singer player quarterback coach general pope ruler',
)
const PLACE_HEADS = stems(
  'city country countries state place location town region area continent river ocean sea island province county district ' +
    'building stadium university street nation village port mountain lake territory',
)
const NUMBER_HEADS = stems(
  'percentage percent number amount population rate temperature size length height width distance cost price ratio ' +
    'share proportion speed weight depth total score',
)
const MEASURES = stems('many much long far old tall large big high fast deep wide often heavy')
const AUXILIARY = new Set(
  'is are was were do does did has have had can could will would should may might must'.split(' '),
)
const WH = new Set('who whom whose when where why how what which'.split(' '))
const NEGATION = /\b(?:not|never|no longer|without|except)\b|n['’]t\b/iu
/** A question longer than this is a text; its head is what is asked. */
const MAX_QUESTION_WORDS = 64

/** Reads a question: what it asks for, and what the evidence must speak of. Works on keywords and on any language. */
export function readQuestion(text: string): Question {
  const words = wordsOf(text.slice(0, 4_000)).slice(0, MAX_QUESTION_WORDS)
  const at = words.findIndex((word) => WH.has(word.folded))
  const wh = words[at]?.folded ?? null
  const headWords = headOf(words, at)
  const kind = kindOf(wh, words[at + 1], headWords)
  const head = new Set(headWords.map((word) => word.stem))
  const content = words.filter(
    (word, i) => !word.stop && !(i === at + 1 && wh === 'how' && MEASURES.has(word.stem)),
  )
  const seen = new Set<string>()
  const terms = content.filter((word) => !seen.has(word.stem) && Boolean(seen.add(word.stem)))
  const names = new Set(
    words.flatMap((word, i) => ((word.capital && i > 0 && !word.stop) || word.digits ? [word.stem] : [])),
  )
  const verb = words
    .slice(at + 1)
    .find((word) => !word.stop && !word.capital && !head.has(word.stem) && !isEveryday(word))
  return {
    text,
    kind,
    words,
    terms,
    pairs: content.slice(1).map((word, i) => [content[i]?.stem ?? '', word.stem] as const),
    head,
    names,
    verb: verb?.stem ?? null,
    negated: NEGATION.test(text),
    yesNo: at < 0 && AUXILIARY.has(words[0]?.folded ?? ''),
    said: new Set(words.map((word) => word.stem)),
  }
}

/** Whether it is `who`, `what` and the like: of the asking, not of what is asked about. */
export function isQuestionWord(word: Pick<Word, 'folded'>): boolean {
  return WH.has(word.folded)
}

/** The noun phrase after `what` or `which`, up to its verb: at most three words. */
function headOf(words: readonly Word[], at: number): Word[] {
  const wh = words[at]?.folded
  if (wh !== 'what' && wh !== 'which') return []
  const head: Word[] = []
  for (const word of words.slice(at + 1, at + 5)) {
    if (AUXILIARY.has(word.folded)) break
    if (word.stop) {
      if (word.folded === 'of' && head.length > 0) continue
      break
    }
    head.push(word)
  }
  // `what led to …` has a verb where a noun phrase would be: without an auxiliary behind it, only its first word counts.
  const next = words[at + 1 + head.length]
  return next && AUXILIARY.has(next.folded) ? head.slice(0, 3) : head.slice(0, 1)
}

function kindOf(wh: string | null, next: Word | undefined, head: readonly Word[]): AnswerKind {
  if (wh === 'who' || wh === 'whom' || wh === 'whose') return 'person'
  if (wh === 'when') return 'time'
  if (wh === 'where') return 'place'
  if (wh === 'why') return 'reason'
  if (wh === 'how') return next && MEASURES.has(next.stem) ? 'number' : 'manner'
  if (wh === null) return 'open'
  for (const word of head.toReversed()) {
    if (TIME_HEADS.has(word.stem)) return 'time'
    if (NUMBER_HEADS.has(word.stem)) return 'number'
    if (PERSON_HEADS.has(word.stem)) return 'person'
    if (PLACE_HEADS.has(word.stem)) return 'place'
  }
  if (head.some((word) => word.stem === 'reason')) return 'reason'
  if (head.some((word) => word.stem === 'name' || word.stem === 'compani' || word.stem === 'organ'))
    return 'name'
  return 'thing'
}
