/**
 * Turns texts into unit vectors.
 *
 *  M1  Equal texts give equal vectors up to the precision's own noise, whatever else is in the batch.
 *  M2  The caller's thread never computes: inference and tokenizing run elsewhere.
 *  M3  A text longer than `maxTokens` is cut there; `tokens` says how many were used.
 *  M4  `query` work overtakes `interactive` work, that overtakes `bulk`; none waits without end.
 *  M5  A failure of the model or its server is retryable; a text that the model refuses is the message's own fault.
 */
export interface Embedder {
  /** Hash of weights, precision, pooling and tokenizer: vectors of two fingerprints are never mixed. */
  readonly fingerprint: string
  /** As people know it, such as `all-MiniLM-L6-v2 (int8, cpu)`. */
  readonly name: string
  readonly dimensions: number
  readonly maxTokens: number
  /** `tokenizer.json` that counts as this embedder does; null where there is none to be had. */
  readonly tokenizerPath: string | null
  /** Set where this is a makeshift, with what to do about it. */
  readonly warning: string | null
  embed(passages: readonly Passage[], options: EmbedOptions): Promise<Embedding[]>
  /** Tokens of each text, special tokens left out. */
  countTokens(texts: readonly string[]): Promise<number[]>
  ping(): Promise<void>
  close(): Promise<void>
}

export type Lane = 'query' | 'interactive' | 'bulk'

export interface EmbedOptions {
  readonly lane: Lane
  readonly signal?: AbortSignal
  /** Also the states of the content words: as sign bits for a passage, as unit vectors for a question. Default none. */
  readonly words?: 'bits' | 'vectors'
}

export interface Passage {
  readonly text: string
  /** UTF-16 units of title and headings in front: they give context, but their own words get no state. Default 0. */
  readonly contextLength?: number
}

export interface Embedding {
  /** Mean over all tokens, unit length. */
  readonly vector: Float32Array
  /** null where none were asked for, or the embedder has none. */
  readonly words: WordStates | null
  /** Tokens used, special tokens left out. */
  readonly tokens: number
}

/**
 * The states of a text's content words (`@aquifer/text/words`), in reading order: the mean of the word's token states in the last
 * layer, from the same run of the model. A text without a content word has one state, the mean of all its tokens.
 */
export interface WordStates {
  /** Folded words, one for each state. */
  readonly words: readonly string[]
  /** `bits`: one bit a dimension, 1 for a positive value; `dimensions / 8` bytes a word, the first dimension in the highest bit. */
  readonly bits: Uint8Array | null
  /** `vectors`: one unit vector a word, `dimensions` floats each. */
  readonly vectors: Float32Array | null
}
