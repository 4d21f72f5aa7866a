import type { Embedding, EmbedOptions, Passage } from './embedder.ts'

/** Between the embedder and its worker threads, which have one request at a time. */
export interface WorkerSetup {
  readonly graph: string
  readonly tokenizer: string
  readonly dimensions: number
  /** Of a text, special tokens left out. */
  readonly maxTokens: number
  readonly device: 'cpu' | 'cuda'
  readonly intraOpThreads: number
  /** Padded tokens of one run of the model; a text that is longer runs alone. */
  readonly runTokens: number
}

/** What a worker is started with. */
export interface WorkerData extends WorkerSetup {
  /** Whether it is one of those that documents keep busy. */
  readonly isBackground: boolean
}

/** A passage, and what its caller asked for. */
export interface PassageTask extends Passage {
  readonly words: EmbedOptions['words']
}

export type WorkerRequest =
  | { readonly type: 'embed'; readonly passages: readonly PassageTask[] }
  | { readonly type: 'count'; readonly texts: readonly string[] }
  | { readonly type: 'close' }

export type WorkerReply =
  | { readonly type: 'ready' }
  | { readonly type: 'unusable'; readonly message: string }
  /** The vectors' memory is handed over, not copied. */
  | { readonly type: 'embedded'; readonly embeddings: readonly Embedding[] }
  | { readonly type: 'counted'; readonly counts: readonly number[] }
  | { readonly type: 'failed'; readonly message: string }
