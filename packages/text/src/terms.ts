import { stemmer } from 'stemmer'

/**
 * The lexical side of retrieval: a text as the terms that BM25 counts. The same function serves what is indexed and what
 * is asked, whichever index counts them.
 */

// The articles, pronouns, prepositions, auxiliaries and question words that say nothing of a passage's subject.
const STOP_WORDS = new Set(
  (
    'a about above after again against all am an and any are as at be because been before being below between both but ' +
    'by can could did do does doing down during each few for from further had has have having he her here hers him his ' +
    'how i if in into is it its itself just me more most my no nor not now of off on once only or other our out over own ' +
    's same she should so some such t than that the their them then there these they this those through to too under ' +
    'until up very was we were what when where which while who whom whose why will with would you your'
  ).split(' '),
)

const WORD = /[\p{L}\p{M}\p{N}]+(?:['’]\p{L}+)?/gu
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Khmer}\p{Script=Lao}\p{Script=Myanmar}]/u
/** Of scripts that write without spaces, whose words are found with a dictionary. */
export function isUnspaced(run: string): boolean {
  return UNSPACED.test(run)
}
const segmenter = new Intl.Segmenter('und', { granularity: 'word' })
/** A longer run of letters is not a word that anyone will look for whole. */
const MAX_TERM_LENGTH = 64

/** The same few words come again and again: what they become is kept, up to a bound. */
const MAX_REMEMBERED = 50_000
function remembered(compute: (word: string) => string): (word: string) => string {
  const known = new Map<string, string>()
  return (word) => {
    const before = known.get(word)
    if (before !== undefined) return before
    if (known.size >= MAX_REMEMBERED) known.clear()
    const result = compute(word)
    if (word.length <= MAX_TERM_LENGTH) known.set(word, result)
    return result
  }
}

/** Lower case, without accents, the apostrophe and what follows it. */
export const foldWord = remembered((word) =>
  word
    .replace(/['’].*$/u, '')
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase(),
)

function words(text: string): string[] {
  const found: string[] = []
  for (const [run] of text.matchAll(WORD)) {
    if (!isUnspaced(run)) found.push(run)
    else for (const { segment, isWordLike } of segmenter.segment(run)) if (isWordLike) found.push(segment)
  }
  return found
}

/** Folded words of a text, in order, stop words and all. */
export function foldedWords(text: string): string[] {
  return words(text).flatMap((word) => foldWord(word).slice(0, MAX_TERM_LENGTH) || [])
}

export function isStopWord(folded: string): boolean {
  return STOP_WORDS.has(folded)
}

/** A folded word as BM25 counts it: Porter's stem where it is plain Latin. */
export const stem = remembered((folded) => (/^[a-z]+$/.test(folded) ? stemmer(folded) : folded))

/** A single word as a term; none of a stop word, or of what folding leaves nothing of. */
export function termOf(word: string): string | undefined {
  const folded = foldWord(word).slice(0, MAX_TERM_LENGTH)
  return folded === '' || STOP_WORDS.has(folded) ? undefined : stem(folded)
}

/** The terms of a text, in order, repeated where they repeat. */
export function terms(text: string): string[] {
  return words(text).flatMap((word) => termOf(word) ?? [])
}
