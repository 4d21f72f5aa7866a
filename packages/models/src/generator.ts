/**
 * Writes an answer from a question and its evidence.
 *
 *  G1  Events come as they are made: `text` any number of times, then one `done`.
 *  G2  When the signal aborts, the generator stops within a second and throws its reason.
 *  G3  A failure before the first text is retryable where the server says so (429, 5xx, timeout); after it, it is an
 *      error with what was said so far left standing.
 */
export interface Generator {
  /** As it is named on the answer. */
  readonly model: string
  readonly limits: { readonly contextTokens: number; readonly maxOutputTokens: number }
  generate(request: GenerateRequest): AsyncIterable<GenerateEvent>
  ping(): Promise<void>
  close(): Promise<void>
}

/** What an answer says when the evidence does not hold one. */
export const ABSTENTION = 'The indexed documents do not answer this question.'

export interface GenerateRequest {
  readonly question: string
  /** Best first. */
  readonly evidence: readonly EvidencePassage[]
  /** The rendered prompt with the evidence delimited as data. */
  readonly messages: readonly ChatMessage[]
  readonly maxOutputTokens: number
  readonly temperature: number
  readonly signal: AbortSignal
}

export interface EvidencePassage {
  /** As the answer cites it, such as `[1]`. */
  readonly marker: string
  readonly title: string | null
  readonly headings: readonly string[]
  readonly text: string
  /** Score of the retrieval, comparable within one question. */
  readonly score: number
}

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string
}

export type GenerateEvent =
  | { readonly type: 'text'; readonly text: string }
  | {
      readonly type: 'done'
      readonly finishReason: 'stop' | 'length'
      readonly usage: { readonly promptTokens: number; readonly completionTokens: number }
      /** The generator itself says that the evidence does not hold an answer; null where it cannot tell. */
      readonly abstained: boolean | null
    }
