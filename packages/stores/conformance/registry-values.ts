import { formatVersion } from '@aquifer/contracts/version'
import type { Attempt, VisibleVersion } from '@aquifer/stores/registry'

const PUBLISHED_AT = 1_700_000_000_000

/** The n-th version: they sort by n. */
export function versionAt(n: number): string {
  return formatVersion({
    appendTimeMs: PUBLISHED_AT + n,
    topic: 'aquifer.documents',
    partition: 0,
    offset: n,
  })
}

export function visible(n: number, given: Partial<VisibleVersion> = {}): VisibleVersion {
  return {
    version: versionAt(n),
    build: 'b1',
    chunks: n,
    title: `title ${n}`,
    contentType: 'text/plain',
    access: null,
    metadata: { n, tags: ['a', 'é'] },
    guard: ['injection'],
    language: 'pt-BR',
    fingerprint: '0123456789abcdef',
    publishedAt: PUBLISHED_AT + n,
    indexedAt: PUBLISHED_AT + n + 250,
    ...given,
  }
}

export function attempt(n: number, given: Partial<Attempt> = {}): Attempt {
  return {
    version: versionAt(n),
    state: 'queued',
    title: `title ${n}`,
    contentType: 'text/plain',
    access: null,
    publishedAt: PUBLISHED_AT + n,
    ...given,
  }
}
