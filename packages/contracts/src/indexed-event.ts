import type { DocumentState, Indexed } from './types.ts'

interface Visible {
  readonly version: string
  readonly build: string
  readonly chunks: number
  readonly guard: readonly string[]
  readonly language: string | null
  readonly fingerprint: string | null
}

/** What the topic `indexed` is told of a version that settled: how it went, and what is visible now. */
export function indexedEvent(about: {
  readonly version: string
  readonly state: Exclude<DocumentState, 'queued'>
  readonly error: { readonly code: string; readonly message: string } | null
  /** Looked up after it settled: the record that stays in the compacted topic is to say what is visible, and deleted, then. */
  readonly known: { readonly visible: Visible | null; readonly floor: string | null } | undefined
  readonly embedder: string | null
  readonly reusedVectors: number
  readonly publishedAt: number
  readonly settledAt: number
}): Indexed {
  const { known, error, ...rest } = about
  const visible = known?.visible ?? null
  return {
    ...rest,
    visibleVersion: visible?.version ?? null,
    visibleBuild: visible?.build ?? null,
    errorCode: error?.code ?? null,
    errorMessage: error?.message ?? null,
    chunks: visible?.chunks ?? 0,
    floor: known?.floor ?? null,
    guard: visible?.guard ?? [],
    language: visible?.language ?? null,
    fingerprint: visible?.fingerprint ?? null,
  }
}
