import { terms } from '@aquifer/text/terms'
import { contentWords } from '@aquifer/text/words'

/**
 * What the fusion wants to know of each passage, of a question's words alone. To read every word of a hundred passages takes 8 ms; in
 * plain text a pattern finds the few that may be the question's, and only those are read.
 */

/** Of more words a pattern would meet too many. */
const MAX_PATTERN_WORDS = 32

/** Of the words, those that a text has as content words. */
export function wordFinder(wanted: readonly string[]): (text: string) => Set<string> {
  const all = new Set(wanted)
  const slowly = (text: string): Set<string> =>
    new Set(contentWords(text).flatMap(({ word }) => (all.has(word) ? [word] : [])))
  if (all.size === 0 || all.size > MAX_PATTERN_WORDS || ![...all].every(isPlainWord)) return slowly
  const pattern = new RegExp(`(?<![a-z0-9])(?:${[...all].join('|')})(?![a-z0-9])`, 'gi')
  return (text) =>
    isPlain(text) ? new Set(text.match(pattern)?.map((word) => word.toLowerCase())) : slowly(text)
}

/** Which share of the neighbouring terms stand next to each other, in that order, in a text. */
export function pairShare(queryTerms: readonly string[]): (text: string) => number {
  const wanted = new Set(queryTerms.slice(1).map((term, i) => `${queryTerms[i]} ${term}`))
  if (wanted.size === 0) return () => 0
  const slowly = (text: string): number => shareOf(pairsOf(terms(text), wanted), wanted)
  if (queryTerms.length > MAX_PATTERN_WORDS || !queryTerms.every(isPlainWord)) return slowly
  const pattern = startingWith(queryTerms)
  return (text) =>
    isPlain(text) && !APOSTROPHES.test(text) ? shareOf(pairsIn(text, pattern, wanted), wanted) : slowly(text)
}

const isPlainWord = (word: string): boolean => /^[a-z0-9]+$/.test(word)

/** Without a letter beyond ASCII, which folding might turn into one. */
const isPlain = (text: string): boolean => !BEYOND_ASCII.test(text) || !LETTER_BEYOND_ASCII.test(text)
/** The second takes ten times as long. */
const BEYOND_ASCII = /[\u0080-\uffff]/
const LETTER_BEYOND_ASCII = /[^\p{ASCII}\p{P}\p{S}\p{Z}]/u
/** A word has one apostrophe at most: the second ends it. */
const APOSTROPHES = /[a-z0-9]['’][a-z]+['’][a-z0-9]/i

/**
 * Words that begin as the terms do: stemming leaves the first two letters alone, but for an `i` that was a `y`. After an apostrophe a
 * letter goes on with the word before it; a digit begins another.
 */
function startingWith(queryTerms: readonly string[]): RegExp {
  const beginnings = new Set(
    queryTerms.map(
      ([first, second]) =>
        (/[a-z]/.test(first!) ? `(?<![a-z0-9]['’])${first}` : first) +
        (second === 'i' ? '[iy]' : (second ?? '')),
    ),
  )
  return new RegExp(`(?<![a-z0-9])(?:${[...beginnings].join('|')})[a-z0-9]*`, 'gi')
}

const shareOf = (found: ReadonlySet<string>, wanted: ReadonlySet<string>): number => found.size / wanted.size

function pairsOf(own: readonly string[], wanted: ReadonlySet<string>): Set<string> {
  return new Set(
    own.slice(1).flatMap((term, i) => (wanted.has(`${own[i]} ${term}`) ? [`${own[i]} ${term}`] : [])),
  )
}

function pairsIn(text: string, pattern: RegExp, wanted: ReadonlySet<string>): Set<string> {
  const found = new Set<string>()
  let before: { term: string; start: number } | null = null
  for (const match of text.matchAll(pattern)) {
    const [term] = terms(match[0])
    if (term === undefined) continue
    if (before) {
      const pair = `${before.term} ${term}`
      // Neighbours where nothing but stop words stands between them.
      if (wanted.has(pair) && !found.has(pair) && terms(text.slice(before.start, match.index)).length === 1)
        found.add(pair)
    }
    before = { term, start: match.index }
  }
  return found
}
