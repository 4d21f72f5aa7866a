import { lines, sentencesOfLine } from './claims.ts'
import type { Tokens } from './tokens.ts'
import { tokenize } from './tokens.ts'

export interface EvidenceSentence extends Tokens {
  /** Index of the context that it stands in. */
  readonly context: number
  readonly text: string
}

/** All evidence of one answer, indexed once. */
export interface Evidence {
  readonly sentences: readonly EvidenceSentence[]
  /** Stem → the first sentences that hold it, ascending. */
  readonly postings: ReadonlyMap<string, readonly number[]>
  readonly numbers: ReadonlySet<number>
  /** Runs of three folded words, stop words and all. */
  readonly runs: ReadonlySet<string>
  /** Stems that stand side by side, or with one between, in either order. */
  readonly pairs: ReadonlySet<string>
}

/** Which of a thousand sentences holds a word no longer tells them apart; bounds the work per claim. */
const MAX_POSTINGS = 500

/** Indexes the evidence line by line; yields the UTF-16 units just read, so that the caller can let others run. */
export function* readEvidence(contexts: readonly string[]): Generator<number, Evidence> {
  const sentences: EvidenceSentence[] = []
  const postings = new Map<string, number[]>()
  const numbers = new Set<number>()
  const runs = new Set<string>()
  const pairs = new Set<string>()
  for (const [context, text] of contexts.entries()) {
    for (const line of lines(text)) {
      for (const [start, end] of sentencesOfLine(text, line)) {
        const sentence = { context, text: text.slice(start, end), ...tokenize(text.slice(start, end)) }
        for (const stem of new Set(sentence.stems)) {
          const posting = postings.get(stem) ?? []
          if (posting.length === 0) postings.set(stem, posting)
          if (posting.length < MAX_POSTINGS) posting.push(sentences.length)
        }
        for (const number of sentence.numbers) numbers.add(number)
        for (const run of runsOf(sentence.words)) runs.add(run)
        for (const distance of [1, 2]) for (const pair of pairsOf(sentence.stems, distance)) pairs.add(pair)
        sentences.push(sentence)
      }
      yield line[1] - line[0]
    }
  }
  return { sentences, postings, numbers, runs, pairs }
}

export function runsOf(words: readonly string[]): string[] {
  return words.slice(2).map((word, at) => `${words[at]} ${words[at + 1]} ${word}`)
}

export function pairsOf(stems: readonly string[], distance: number): string[] {
  return stems.slice(distance).map((stem, at) => {
    const other = stems[at] ?? ''
    return stem < other ? `${stem} ${other}` : `${other} ${stem}`
  })
}
