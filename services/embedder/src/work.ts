import type { Codec } from '@aquifer/contracts/avro'
import { parseTopicKey } from '@aquifer/contracts/keys'
import { REPLAYED_AT_HEADER, VERSION_HEADER } from '@aquifer/contracts/topics'
import type { Chunks } from '@aquifer/contracts/types'
import { parseVersion } from '@aquifer/contracts/version'
import { isReplay } from '@aquifer/event-log/dead-letter'
import type { LogRecord } from '@aquifer/event-log/port'
import { invalid } from '@aquifer/runtime/errors'

interface About {
  readonly tenant: string
  readonly documentId: string
  readonly record: LogRecord
}

/** A part of one version's chunks. */
export interface Part extends About {
  readonly kind: 'part'
  readonly chunks: Chunks
  /** Of a version that is tried again, as of its attempt. */
  readonly replayedAt: number | null
}

/** Everything at or below `version` is deleted. */
export interface Deletion extends About {
  readonly kind: 'delete'
  readonly version: string
}

export type Work = Part | Deletion

/** Reads a record of `chunks`. Throws the message's own fault. */
export async function readWork(record: LogRecord, codec: Codec<Chunks>): Promise<Work> {
  const { tenant, id: documentId } = parseTopicKey(record.key)
  if (record.value === null) {
    const version = record.headers[VERSION_HEADER]
    if (version === undefined) {
      throw invalid('invalid_record', `a deletion of ${documentId} has no header ${VERSION_HEADER}`)
    }
    parseVersion(version)
    return { kind: 'delete', tenant, documentId, version, record }
  }
  const chunks = await codec.decode(record.value)
  parseVersion(chunks.version)
  return { kind: 'part', tenant, documentId, chunks, replayedAt: replayedAt(record), record }
}

function replayedAt(record: LogRecord): number | null {
  if (isReplay(record)) return record.appendTimeMs
  const time = Number(record.headers[REPLAYED_AT_HEADER])
  return Number.isSafeInteger(time) ? time : null
}
