import { openTokenizer } from '@aquifer/models/tokenizer'

import type { CountTokens } from './chunk/chunk.ts'

/** Of English text in the common tokenizers; for embedders whose tokenizer is not here. */
const CHARACTERS_PER_TOKEN = 4

export function createTokenCounter(tokenizerPath: string | null): CountTokens {
  if (tokenizerPath === null)
    return (texts) => texts.map((text) => Math.ceil(text.length / CHARACTERS_PER_TOKEN))
  const tokenizer = openTokenizer(tokenizerPath)
  return (texts) => texts.map((text) => tokenizer.count(text))
}
