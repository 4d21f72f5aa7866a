/** What the page reads of the HTTP interface; /openapi.json describes all of it. */

export type DocumentState = 'queued' | 'indexed' | 'failed' | 'quarantined' | 'deleted'

export interface ShownDocument {
  readonly id: string
  readonly state: DocumentState
  readonly visibleVersion: string | null
  readonly latest: {
    readonly version: string
    readonly error?: { readonly code: string; readonly message: string }
  }
  readonly chunks: number
  readonly title: string | null
  readonly contentType: string | null
  /** BCP 47. */
  readonly language: string | null
  /** Said of one document that is asked for by its id. */
  readonly similar?: readonly Pick<ShownDocument, 'id' | 'title'>[]
}

export interface Status {
  readonly documents: Readonly<Record<DocumentState, number>>
  readonly chunks: number
}

/** A place in a document's text; `start` and `end` count code points. */
export interface Place {
  readonly documentId: string
  readonly version: string
  readonly title: string | null
  readonly page: number | null
  readonly start: number
  readonly end: number
}

export interface Citation extends Place {
  readonly marker: string
  readonly chunkId: string
  readonly quote: string
}

export interface Passage extends Place {
  readonly chunkId: string
  readonly headings: readonly string[]
  readonly text: string
  readonly score: number
}

/** What the last chunk of an answer says of it. */
export interface AnswerFacts {
  readonly answerId: string
  readonly conversationId: string
  readonly citations: readonly Citation[]
  readonly fresh: boolean
  readonly groundedness: number | null
  readonly grounded: boolean
  readonly abstained: boolean
  readonly model: string
  readonly guard: readonly string[]
}

export interface Evaluation {
  readonly grounded: boolean
  readonly results: readonly { readonly name: string; readonly scoreValue: number }[]
  readonly claims: readonly { readonly start: number; readonly end: number; readonly score: number }[]
}

/** An answer as it is kept: with the passages it rests on and, once it is there, its evaluation. */
export interface KeptAnswer {
  readonly answer: string
  readonly evidence: readonly Passage[]
  readonly evaluation: Evaluation | null
}

export interface Message {
  readonly role: 'user' | 'assistant'
  readonly content: string
}
