import { offlineSchemas } from '@aquifer/contracts/avro'
import type { Schemas } from '@aquifer/contracts/avro'
import { readDocumentEvent } from '@aquifer/contracts/document-input'
import { parseTopicKey } from '@aquifer/contracts/keys'
import { deadLetterTopics, topics, VERSION_HEADER } from '@aquifer/contracts/topics'
import { formatVersion, parseVersion } from '@aquifer/contracts/version'
import { readCause, replayHeaders, toReplay } from '@aquifer/event-log/dead-letter'
import type { EventLog, LogRecord, NewRecord } from '@aquifer/event-log/port'
import { isMessageFault } from '@aquifer/runtime/errors'
import type { Logger } from '@aquifer/runtime/logger'
import type { Blobs } from '@aquifer/stores/blobs'
import type { Registry } from '@aquifer/stores/registry'

/** Why a dead letter is not replayed: nothing would come of it, or nobody can say what it is. */
export interface Refusal {
  readonly code:
    | 'no_origin'
    | 'no_document'
    | 'content_gone'
    | 'deleted'
    | 'superseded'
    | 'already_indexed'
    | 'unknown_dead_letter'
  readonly message: string
}

/** What a replay appends, and the document's version that it brings, if it brings one. */
export interface Replay {
  readonly topic: string
  readonly record: NewRecord
  readonly version: { readonly tenant: string; readonly documentId: string; readonly version: string } | null
}

type Planned = { readonly refusal: Refusal } | { readonly replay: Replay }

export interface ReplayDeps {
  readonly log: EventLog
  readonly registry: Registry
  readonly blobs: Blobs
  readonly logger: Logger
  /** Left out: the offline ones. */
  readonly schemas?: Schemas
}

/**
 * Puts dead letters on the retry topic of where they came from, at their origin's version: it is never the source that is written, so
 * an old state cannot win. A part of a version's chunks is replayed as its document: the sweep took the other parts when this one
 * failed, and a newer build cuts the text otherwise.
 */
export function createReplayer({ log, registry, blobs, logger, schemas = offlineSchemas }: ReplayDeps) {
  const documents = schemas.codec('documents')
  const chunks = schemas.codec('chunks')

  /** What a replay of the dead letter would be, or why there is none. */
  async function plan(dead: LogRecord): Promise<Planned> {
    const about = deadLetterTopics.find(({ dlq }) => dlq === dead.topic)
    const { origin, attempts } = readCause(dead.headers)
    if (!about || !origin || !about.sources.some((topic) => topic === origin.topic))
      return refuse(
        'no_origin',
        'its headers do not name the record it was made of: Aquifer did not write it',
      )
    if (!isKey(dead.key))
      return refuse('no_document', 'its key names no document: publish it under tenant/id')
    if (about.subject === 'documents') {
      const headers = { ...toReplay(dead).headers, [VERSION_HEADER]: formatVersion(origin) }
      return await planDocument(formatVersion(origin), { ...toReplay(dead), headers })
    }
    const version = about.subject === 'chunks' ? await versionOfPart(dead) : null
    if (version === null) return { replay: { topic: about.retry, record: toReplay(dead), version: null } }
    return await planSource(dead, version, attempts ?? 1)
  }

  async function planSource(part: LogRecord, version: string, attempts: number): Promise<Planned> {
    const { topic, partition, offset } = parseVersion(version)
    const gone = refuse(
      'superseded',
      'its document’s record is not in the log any more: a newer one took its place',
    )
    if (topic !== topics.documents.name && topic !== topics.documentsBulk.name) return gone
    const [source] = await log.read(topic, partition, offset, 1)
    if (source?.offset !== offset || !part.key || !source.key?.equals(part.key)) return gone
    const headers = { ...replayHeaders(source, attempts), [VERSION_HEADER]: version }
    return await planDocument(version, { key: source.key, value: source.value, headers })
  }

  async function planDocument(version: string, record: NewRecord): Promise<Planned> {
    const key = Buffer.from(record.key!)
    const { tenant, id: documentId } = parseTopicKey(key)
    const known = (await registry.lookUp(tenant, [documentId])).get(documentId)
    if (known?.floor && version <= known.floor)
      return refuse('deleted', 'the document was deleted since, at this version or a later one')
    if (known?.visible && version < known.visible.version)
      return refuse('superseded', 'a later version of the document is visible')
    if (known?.latest?.version === version && known.latest.state === 'indexed')
      return refuse('already_indexed', 'this version is visible')
    const blob = await blobOf({ key, value: record.value, headers: record.headers ?? {} })
    if (blob !== null && !(await isThere(blob)))
      return refuse('content_gone', `its content, the blob ${blob}, is not there any more: publish it again`)
    return { replay: { topic: topics.documentsRetry.name, record, version: { tenant, documentId, version } } }
  }

  async function blobOf(source: Pick<LogRecord, 'key' | 'value' | 'headers'>): Promise<string | null> {
    try {
      const event = await readDocumentEvent({ ...source, appendTimeMs: 0 }, documents)
      return event.kind === 'publish' ? event.document.blob : null
    } catch (error) {
      // What could not be read may be readable to a later release: its replay will say.
      if (isMessageFault(error)) return null
      throw error
    }
  }

  async function isThere(blob: string): Promise<boolean> {
    const content = await blobs.stream(blob)
    content?.destroy()
    return content !== null
  }

  /** Null of a deletion, and of what does not read. */
  async function versionOfPart(dead: LogRecord): Promise<string | null> {
    if (dead.value === null) return null
    try {
      const { version } = await chunks.decode(dead.value)
      parseVersion(version)
      return version
    } catch (error) {
      if (isMessageFault(error)) return null
      throw error
    }
  }

  /** Appends it; from then on its version shows as queued, and who waits for it waits. */
  async function send({ topic, record, version }: Replay): Promise<void> {
    const [position] = await log.append(topic, [record])
    if (!version) return
    const { tenant, documentId } = version
    try {
      const latest = (await registry.lookUp(tenant, [documentId])).get(documentId)?.latest
      if (latest?.version !== version.version) return
      const { error: _error, ...attempt } = latest
      const replayedAt = position!.appendTimeMs
      await registry.recordAttempt(tenant, documentId, { ...attempt, state: 'queued', replayedAt })
    } catch (error) {
      // It is on its way all the same: the consumer writes this again.
      logger.warn({ err: error, tenant, documentId }, 'replayed, but the registry could not be told yet')
    }
  }

  return { plan, send }
}

function refuse(code: Refusal['code'], message: string): { refusal: Refusal } {
  return { refusal: { code, message } }
}

function isKey(key: Buffer | null): boolean {
  try {
    parseTopicKey(key)
    return true
  } catch {
    return false
  }
}
