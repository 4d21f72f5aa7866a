import { foldWord, isUnspaced, termOf, terms } from '@aquifer/text/terms'
import { eachRun } from './runs.ts'

/**
 * What the fusion wants to know of each passage, of a question's words alone. To make words of a hundred passages takes 8 ms, and leaves a
 * megabyte to be collected; here their letters are looked at once, and only what may be one of the question's is made a word.
 */

/** Of the words, those that a text has as content words. */
export function wordFinder(wanted: readonly string[]): (text: string) => Set<string> {
  const all = new Set(wanted)
  const likely = new Uint8Array(SHAPES)
  for (const word of all) likely[shape(word, 0, word.length)] = 1
  return (text) => {
    const found = new Set<string>()
    eachRun(text, false, (start, end, isAscii) => {
      if (isAscii && likely[shape(text, start, end)] === 0) return
      const word = foldWord(text.slice(start, end))
      if (all.has(word)) found.add(word)
    })
    return found
  }
}

/** Which share of the neighbouring terms stand next to each other, in that order, in a text. */
export function pairShare(queryTerms: readonly string[]): (text: string) => number {
  const wanted = new Set(queryTerms.slice(1).map((term, i) => `${queryTerms[i]} ${term}`))
  if (wanted.size === 0) return () => 0
  const likely = beginnings(queryTerms)
  return (text) => pairsIn(text, wanted, likely).size / wanted.size
}

function pairsIn(text: string, wanted: ReadonlySet<string>, likely: Uint8Array): Set<string> {
  const found = new Set<string>()
  let before = { term: '', start: 0 }
  let isCut = false
  eachRun(text, true, (start, end, isAscii) => {
    if (isAscii && likely[beginning(text, start, end)] === 0) return
    const run = text.slice(start, end)
    isCut ||= !isAscii && isUnspaced(run)
    const term = termOf(run)
    if (term === undefined) return
    const pair = `${before.term} ${term}`
    // Neighbours where nothing but stop words stands between them.
    if (wanted.has(pair) && !found.has(pair) && terms(text.slice(before.start, start)).length === 1)
      found.add(pair)
    before = { term, start }
  })
  return isCut ? pairsOf(terms(text), wanted) : found
}

function pairsOf(own: readonly string[], wanted: ReadonlySet<string>): Set<string> {
  return new Set(
    own.slice(1).flatMap((term, i) => (wanted.has(`${own[i]} ${term}`) ? [`${own[i]} ${term}`] : [])),
  )
}

/** Of plain words: the first and the last letter, in lower case, and the length; few words share them. */
const SHAPES = 1024
function shape(text: string, start: number, end: number): number {
  const first = text.charCodeAt(start) | LOWER
  const last = text.charCodeAt(end - 1) | LOWER
  return (first * 961 + last * 31 + (end - start)) & (SHAPES - 1)
}
/** Of letters; digits have this bit. */
const LOWER = 0x20

/** How plain words begin that become one of the terms: stemming leaves the first two letters alone, but for an `i` that was a `y`. */
function beginnings(queryTerms: readonly string[]): Uint8Array {
  const likely = new Uint8Array(ASCII * ASCII)
  for (const term of queryTerms) {
    likely[beginning(term, 0, term.length)] = 1
    if (term[1] === 'i') likely[beginning(`${term[0]}y`, 0, 2)] = 1
  }
  return likely
}
const ASCII = 128
function beginning(text: string, start: number, end: number): number {
  const second = end - start > 1 ? text.charCodeAt(start + 1) | LOWER : 0
  return (((text.charCodeAt(start) | LOWER) % ASCII) * ASCII + second) % (ASCII * ASCII)
}
