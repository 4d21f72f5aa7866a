import { foldWord, isStopWord, stem } from '@aquifer/text/terms'
import { numbersOf } from './numbers.ts'

const WORD = /[\p{L}\p{M}\p{N}]+(?:['’]\p{L}+)?/gu
/** `(Passage 2)`, `according to passage 1`: names of the evidence, not claims about the world. */
const PASSAGE_REFERENCE =
  /\b(?:passages?|documents?|sources?|contexts?)\s{0,3}(?:#|no\.?)?\s{0,3}\d{1,3}(?:\s{0,3}(?:,|and|&)\s{0,3}\d{1,3}){0,9}\s{0,3}:?/giu
const NEGATION = /^(?:no|not|never|none|nor|neither|without|cannot|\p{L}+n['’]t)$/iu
const MAX_WORD_UNITS = 64

export interface Tokens {
  /** Folded words, stop words and all, in order. */
  readonly words: readonly string[]
  /** Stems of the content words, numbers left out, in order. */
  readonly stems: readonly string[]
  /** Stems written with a capital where no sentence starts. */
  readonly names: readonly string[]
  readonly numbers: readonly number[]
  readonly negated: boolean
}

/** One claim, or one sentence of the evidence, as what the features compare. */
export function tokenize(raw: string): Tokens {
  const text = raw.replace(PASSAGE_REFERENCE, ' ')
  const words: string[] = []
  const stems: string[] = []
  const names: string[] = []
  let negated = false
  for (const [surface] of text.matchAll(WORD)) {
    if (NEGATION.test(surface)) negated = true
    const folded = foldWord(surface).slice(0, MAX_WORD_UNITS)
    if (folded.length === 0) continue
    words.push(folded)
    if (isStopWord(folded) || /^\p{N}+$/u.test(folded)) continue
    const root = stem(folded)
    stems.push(root)
    if (words.length > 1 && /^\p{Lu}/u.test(surface)) names.push(root)
  }
  return { words, stems, names, numbers: numbersOf(text), negated }
}
