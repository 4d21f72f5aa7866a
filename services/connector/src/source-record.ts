import { parseTopicKey } from '@aquifer/contracts/keys'
import { VERSION_HEADER } from '@aquifer/contracts/topics'
import type { Document } from '@aquifer/contracts/types'
import { formatVersion, parseVersion } from '@aquifer/contracts/version'
import { isReplay } from '@aquifer/event-log/dead-letter'
import type { LogRecord } from '@aquifer/event-log/port'
import type { Attempt, DocumentRecord } from '@aquifer/stores/registry'

/** A record of a documents topic, on its way. */
export interface Source {
  readonly record: LogRecord
  readonly version: string
  readonly chunksTopic: string
  readonly signal: AbortSignal
  /** How often the step under way was tried. */
  attempts: number
  /** As of its attempt; 0 the first way through. */
  replayedAt: number
}

export function toSource(
  record: LogRecord,
  version: string,
  chunksTopic: string,
  signal: AbortSignal,
): Source {
  const replayedAt = isReplay(record) ? record.appendTimeMs : 0
  return { record, version, chunksTopic, signal, attempts: 1, replayedAt }
}

/** Deleted, or a later version is visible: it can never be shown. */
export function isOver(known: DocumentRecord | undefined, version: string): boolean {
  if (known?.floor && version <= known.floor) return true
  return known?.visible != null && version < known.visible.version
}

/** Visible as this build makes it, and nothing waits for it: a restored registry has it before the log is read again. */
export function isDone(known: DocumentRecord | undefined, version: string, build: string): boolean {
  const { visible, latest } = known ?? {}
  if (visible?.version !== version || visible.build !== build) return false
  return latest?.version !== version || latest.state === 'indexed'
}

export function versionOf(record: LogRecord): string {
  if (!isReplay(record)) return formatVersion(record)
  // Without its origin's version it would count as new, and win over what came after it.
  const origin = record.headers[VERSION_HEADER] ?? ''
  parseVersion(origin)
  return origin
}

export function nameOf(record: LogRecord): { tenant: string; id: string } | null {
  try {
    return parseTopicKey(record.key)
  } catch {
    return null
  }
}

export function attemptOf(
  { version, replayedAt }: Source,
  document: Document | null,
  state: Attempt['state'],
): Attempt {
  return {
    version,
    state,
    title: document?.title ?? null,
    contentType: document?.contentType ?? null,
    access: document?.access ?? null,
    publishedAt: document?.publishedAt ?? parseVersion(version).appendTimeMs,
    ...(replayedAt === 0 ? {} : { replayedAt }),
  }
}
