/** The payloads of the topics. `schemas/<topic>/` is their source: a field here stands there under the same name. */

export type Scalar = string | number | boolean
/** What a producer attaches to a document and a query can filter on. */
export type Metadata = Readonly<Record<string, Scalar | readonly Scalar[]>>

export interface Document {
  readonly id: string
  readonly content: Buffer | null
  /** Key in the blob store, where the content is too large for a record. */
  readonly blob: string | null
  readonly contentType: string
  readonly filename: string | null
  readonly title: string | null
  readonly metadata: Metadata
  /** null: left out; []: admins only. */
  readonly access: readonly string[] | null
  /** Stated to be open to the whole tenant. */
  readonly open: boolean
  readonly publishedAt: number
}

export interface Chunk {
  /** Place in the document, from 0. */
  readonly index: number
  readonly text: string
  readonly headings: readonly string[]
  readonly page: number | null
  /** Code points in the document's text; `text` is exactly that slice. */
  readonly start: number
  readonly end: number
}

export interface Chunks {
  readonly version: string
  readonly build: string
  readonly part: number
  readonly parts: number
  readonly totalChunks: number
  readonly title: string | null
  readonly contentType: string
  readonly metadata: Metadata
  readonly access: readonly string[] | null
  readonly guard: readonly string[]
  readonly publishedAt: number
  readonly chunks: readonly Chunk[]
  /** BCP 47; null where it is not known. */
  readonly language: string | null
  /** See `@aquifer/text/fingerprint`; null where there is too little text. */
  readonly fingerprint: string | null
}

export type DocumentState = 'queued' | 'indexed' | 'failed' | 'quarantined' | 'deleted'

export interface Indexed {
  readonly visibleVersion: string | null
  readonly visibleBuild: string | null
  readonly version: string
  readonly state: DocumentState
  readonly errorCode: string | null
  readonly errorMessage: string | null
  readonly chunks: number
  readonly embedder: string | null
  readonly reusedVectors: number
  readonly publishedAt: number
  readonly settledAt: number
  /** The version at or below which the document is deleted. */
  readonly floor: string | null
  /** What the first screen found in the visible version. */
  readonly guard: readonly string[]
  /** Of the visible version. */
  readonly language: string | null
  readonly fingerprint: string | null
}

export interface PassageRange {
  readonly documentId: string
  readonly version: string
  readonly chunkId: string
  readonly title: string | null
  readonly page: number | null
  readonly start: number
  readonly end: number
}

export interface Evidence extends PassageRange {
  readonly headings: readonly string[]
  readonly text: string
  readonly score: number
}

export interface Citation extends PassageRange {
  /** As it stands in the answer, such as `[1]`. */
  readonly marker: string
  /** Exactly the code points `start` to `end` of the document's text. */
  readonly quote: string
}

export interface Answer {
  readonly answerId: string
  readonly conversationId: string
  readonly question: string
  readonly answer: string
  readonly abstained: boolean
  readonly evidence: readonly Evidence[]
  readonly citations: readonly Citation[]
  readonly fresh: boolean
  readonly prompt: string
  readonly model: string
  readonly route: string
  readonly arm: string | null
  readonly cached: boolean
  readonly guard: readonly string[]
  readonly promptTokens: number
  readonly completionTokens: number
  readonly costUsd: number | null
  readonly retrieveMs: number
  readonly firstTokenMs: number | null
  readonly totalMs: number
  readonly groundedness: number | null
  readonly createdAt: number
  readonly traceId: string
}

/** An answer as it stands on the sampled topic. */
export interface SampledAnswer extends Answer {
  /** Personal data was taken out of `answer`: what was said is another text. */
  readonly answerRedacted: boolean
}

/** An answer as it is kept, with its owner. */
export interface AnswerRecord extends Answer {
  readonly tenant: string
  /** Groups of the asker; null for an admin. */
  readonly groups: readonly string[] | null
}

export interface EvaluationResult {
  readonly name: string
  readonly scoreValue: number
  readonly scoreLabel: string | null
}

export interface Claim {
  /** Code points in the sampled answer. */
  readonly start: number
  readonly end: number
  /** Probability that the evidence supports the claim. */
  readonly score: number
  readonly supportedBy: readonly string[]
}

export interface Evaluation {
  readonly answerId: string
  readonly conversationId: string
  readonly results: readonly EvaluationResult[]
  readonly grounded: boolean
  readonly claims: readonly Claim[]
  readonly evaluator: string
  readonly prompt: string
  readonly model: string
  readonly route: string
  readonly answeredAt: number
  readonly evaluatedAt: number
  readonly traceId: string
  /** The claims count in a redacted text, not in what was said. */
  readonly answerRedacted: boolean
}

export interface Feedback {
  readonly feedbackId: string
  readonly answerId: string
  /** -1 to 1. */
  readonly rating: number
  readonly rubric: Readonly<Record<string, number>>
  readonly correction: string | null
  readonly comment: string | null
  readonly createdAt: number
}
