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
}

export interface Passage {
  readonly text: string
  /** Parts of the text, in UTF-16 units, that get a vector of their own from the same run of the model. */
  readonly spans?: readonly (readonly [start: number, end: number])[]
}

export interface Embedding {
  /** Unit length. */
  readonly vector: Float32Array
  /** One for each span, in their order; empty where the embedder has none. */
  readonly spanVectors: readonly Float32Array[]
  readonly tokens: number
}
