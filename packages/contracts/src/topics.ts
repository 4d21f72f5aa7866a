import type { Chunks, Document, Evaluation, Feedback, Indexed, SampledAnswer } from './types.ts'

/** What each topic carries. */
export interface Payloads {
  documents: Document
  chunks: Chunks
  indexed: Indexed
  'answers.sampled': SampledAnswer
  evaluations: Evaluation
  feedback: Feedback
}
export type Subject = keyof Payloads

const DAY = 24 * 60 * 60 * 1000

interface Topic {
  readonly name: string
  readonly retentionMs: number | null
  readonly cleanup: 'delete' | 'compact'
}

function topic(name: string, retentionMs: number | null, cleanup: 'delete' | 'compact' = 'delete'): Topic {
  return { name, retentionMs, cleanup }
}

/** How long chunks wait for an embedder. */
export const CHUNKS_RETENTION_MS = 7 * DAY

/** Every topic there is. Partitions are the deployment's choice. */
export const topics = {
  documents: topic('aquifer.documents', null, 'compact'),
  documentsBulk: topic('aquifer.documents.bulk', null, 'compact'),
  documentsRetry: topic('aquifer.documents.retry', 7 * DAY),
  documentsDlq: topic('aquifer.documents.dlq', 30 * DAY),
  chunks: topic('aquifer.chunks', CHUNKS_RETENTION_MS),
  chunksBulk: topic('aquifer.chunks.bulk', CHUNKS_RETENTION_MS),
  chunksRetry: topic('aquifer.chunks.retry', 7 * DAY),
  chunksDlq: topic('aquifer.chunks.dlq', 30 * DAY),
  indexed: topic('aquifer.indexed', null, 'compact'),
  answersSampled: topic('aquifer.answers.sampled', 30 * DAY),
  answersSampledRetry: topic('aquifer.answers.sampled.retry', 7 * DAY),
  answersSampledDlq: topic('aquifer.answers.sampled.dlq', 30 * DAY),
  evaluations: topic('aquifer.evaluations', 365 * DAY),
  feedback: topic('aquifer.feedback', 365 * DAY),
} as const

/** Where what is at fault goes, by what it carries: the topics that it comes from, and the one that it is replayed to. */
export const deadLetterTopics = [
  {
    subject: 'documents',
    dlq: topics.documentsDlq.name,
    retry: topics.documentsRetry.name,
    sources: [topics.documents.name, topics.documentsBulk.name],
  },
  {
    subject: 'chunks',
    dlq: topics.chunksDlq.name,
    retry: topics.chunksRetry.name,
    sources: [topics.chunks.name, topics.chunksBulk.name],
  },
  {
    subject: 'answers.sampled',
    dlq: topics.answersSampledDlq.name,
    retry: topics.answersSampledRetry.name,
    sources: [topics.answersSampled.name],
  },
] as const satisfies readonly {
  subject: Subject
  dlq: string
  retry: string
  sources: readonly string[]
}[]

/** A part of `chunks` is at most this long, and content beyond it goes to the blob store. */
export const MAX_INLINE_BYTES = 512 * 1024

/** The version of the source record, on events that do not carry it in their value. */
export const VERSION_HEADER = 'aquifer-version'

/** On the chunks of a version that is tried again: as of its attempt in the registry. */
export const REPLAYED_AT_HEADER = 'aquifer-replayed-at'
