import { foldWord, isStopWord } from './terms.ts'

/** A content word: what late interaction compares, one state a word. */
export interface Word {
  /** Folded: lower case, without accents. */
  readonly word: string
  /** UTF-16 units. */
  readonly start: number
  readonly end: number
}

const WORD = /[\p{L}\p{M}\p{N}]+/gu

/** The words of a text that are no stop words, in order, from UTF-16 offset `from` on. */
export function contentWords(text: string, from = 0): Word[] {
  const found: Word[] = []
  WORD.lastIndex = from
  for (let match = WORD.exec(text); match; match = WORD.exec(text)) {
    const word = foldWord(match[0])
    if (word !== '' && !isStopWord(word))
      found.push({ word, start: match.index, end: match.index + match[0].length })
  }
  return found
}
