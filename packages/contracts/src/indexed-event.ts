import type { DocumentState, Indexed } from './types.ts'

/** What the topic `indexed` is told of a version that settled: how it went, and what is visible now. */
export function indexedEvent(about: {
  readonly version: string
  readonly state: Exclude<DocumentState, 'queued'>
  readonly error: { readonly code: string; readonly message: string } | null
  /** Looked up after it settled: the record that stays in the compacted topic is to say what is visible then. */
  readonly visible: { readonly version: string; readonly build: string; readonly chunks: number } | null
  readonly embedder: string | null
  readonly reusedVectors: number
  readonly publishedAt: number
  readonly settledAt: number
}): Indexed {
  const { visible, error, ...rest } = about
  return {
    ...rest,
    visibleVersion: visible?.version ?? null,
    visibleBuild: visible?.build ?? null,
    errorCode: error?.code ?? null,
    errorMessage: error?.message ?? null,
    chunks: visible?.chunks ?? 0,
  }
}
