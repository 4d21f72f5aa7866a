import { readFileSync } from 'node:fs'
import { Tokenizer } from '@huggingface/tokenizers'
import { invalid } from '@aquifer/runtime/errors'

/**
 * WordPiece, word by word: BERT's tokenizer never joins what white space, punctuation or an ideograph parts, so a text's
 * tokens are those of its words, one after the other. That gives each token its place in the text, lets a text be cut
 * without reading all of it, and lets frequent words be looked up. Special marks such as `[SEP]` inside a text are
 * plain text: a document is data.
 */
export interface WordPieceTokenizer {
  /** At most `maxTokens` tokens, beside `[CLS]` in front and `[SEP]` at the end. */
  encode(text: string, maxTokens: number): EncodedText
  /** Tokens of the whole text, special ones left out. */
  count(text: string): number
}

export interface EncodedText {
  /** With the special ones. */
  readonly ids: readonly number[]
  /** Where the word of each token starts and ends, in UTF-16 units; the special ones stand nowhere, at -1. */
  readonly starts: readonly number[]
  readonly ends: readonly number[]
}

const PUNCTUATION = String.raw`\p{P}$+<=>^\x60|~`
// The ideographs that BERT parts from their neighbours.
const IDEOGRAPH = String.raw`\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b820}-\u{2ceaf}\u{2f800}-\u{2fa1f}`
const SPACE = String.raw`\t\n\r\p{Z}`
const WORD = new RegExp(`[${PUNCTUATION}${IDEOGRAPH}]|[^${PUNCTUATION}${IDEOGRAPH}${SPACE}]+`, 'gu')

/** WordPiece gives up on a word of more than 100 characters, so of a longer run no more need be read to know that. */
const MAX_WORD_LENGTH = 2_000
const MAX_CACHED_WORDS = 50_000
const MAX_CACHED_LENGTH = 40

interface TokenizerJson {
  model?: { type?: string }
  pre_tokenizer?: { type?: string }
}

/** Throws `model_unreadable` where the file is not a BERT tokenizer. */
export function openTokenizer(path: string): WordPieceTokenizer {
  const json = JSON.parse(readFileSync(path, 'utf8')) as TokenizerJson
  if (json.model?.type !== 'WordPiece' || json.pre_tokenizer?.type !== 'BertPreTokenizer')
    throw invalid('model_unreadable', `${path} is not a BERT tokenizer (WordPiece)`, 500)
  const tokenizer = new Tokenizer(json, {})
  const first = specialToken(tokenizer, '[CLS]', path)
  const last = specialToken(tokenizer, '[SEP]', path)
  const cache = new Map<string, readonly number[]>()

  function wordTokens(word: string): readonly number[] {
    const known = cache.get(word)
    if (known) return known
    // JavaScript lowers a sigma at a word's end to another letter than the tokenizer that the model was trained with.
    const cut = word.slice(0, MAX_WORD_LENGTH).replaceAll('Σ', 'σ')
    const { ids } = tokenizer.encode(cut, { add_special_tokens: false })
    if (word.length <= MAX_CACHED_LENGTH) {
      if (cache.size >= MAX_CACHED_WORDS) cache.clear()
      cache.set(word, ids)
    }
    return ids
  }

  return {
    encode(text, maxTokens) {
      const encoded = { ids: [first], starts: [-1], ends: [-1] }
      for (const { 0: word, index } of text.matchAll(WORD)) {
        if (encoded.ids.length > maxTokens) break
        for (const id of wordTokens(word)) push(encoded, id, index, index + word.length)
      }
      const surplus = Math.max(0, encoded.ids.length - 1 - maxTokens)
      for (const list of Object.values(encoded)) list.length -= surplus
      push(encoded, last, -1, -1)
      return encoded
    },
    count(text) {
      let tokens = 0
      for (const [word] of text.matchAll(WORD)) tokens += wordTokens(word).length
      return tokens
    },
  }
}

function push(
  { ids, starts, ends }: { ids: number[]; starts: number[]; ends: number[] },
  id: number,
  start: number,
  end: number,
): void {
  ids.push(id)
  starts.push(start)
  ends.push(end)
}

function specialToken(tokenizer: Tokenizer, token: string, path: string): number {
  const id = tokenizer.token_to_id(token)
  if (id === undefined) throw invalid('model_unreadable', `${path} has no token ${token}`, 500)
  return id
}
