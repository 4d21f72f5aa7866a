import type { AnswerRecord, Evaluation, Feedback } from '@aquifer/contracts/types'

/**
 * Answers with their lineage (30 days), the evaluations and the feedback that came for them.
 * Writing the same answer, evaluation or feedback id again replaces it, so a redelivery doubles nothing.
 */
export interface Answers {
  put(answer: AnswerRecord): Promise<void>
  get(tenant: string, answerId: string): Promise<StoredAnswer | null>
  putEvaluation(tenant: string, evaluation: Evaluation): Promise<void>
  putFeedback(tenant: string, feedback: Feedback): Promise<void>
  /** Newest first. */
  listEvaluations(
    tenant: string,
    query: EvaluationQuery,
  ): Promise<{ evaluations: Evaluation[]; cursor?: string }>
  /** The last `limit` turns of a conversation, oldest first. */
  conversation(tenant: string, conversationId: string, limit: number): Promise<AnswerRecord[]>
  /** Drops what is older than its time. */
  expire(nowMs: number): Promise<void>
  ping(): Promise<void>
  close(): Promise<void>
}

export interface StoredAnswer {
  readonly answer: AnswerRecord
  readonly evaluation: Evaluation | null
  readonly feedback: readonly Feedback[]
}

export interface EvaluationQuery {
  readonly fromMs?: number
  readonly toMs?: number
  readonly prompt?: string
  readonly model?: string
  /** Only those whose groundedness is below. */
  readonly below?: number
  readonly limit: number
  readonly cursor?: string
}
