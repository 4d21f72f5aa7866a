import { offlineSchemas } from '@aquifer/contracts/avro'
import { checkDocumentId, topicKey } from '@aquifer/contracts/keys'
import { topics } from '@aquifer/contracts/topics'
import type { DocumentInput } from '@aquifer/contracts/document-input'
import type { Document } from '@aquifer/contracts/types'
import { formatReceipt, formatVersion } from '@aquifer/contracts/version'
import { createTurns } from '@aquifer/runtime/concurrency'
import { errorMessage, invalid, isMessageFault, unavailable } from '@aquifer/runtime/errors'
import type { DocumentRecord } from '@aquifer/stores/registry'
import type { PublisherDeps } from '../deps.ts'
import { createLanes } from './lanes.ts'

export interface Published {
  readonly id: string
  readonly receipt: string
  readonly version: string
}

/** `interactive` is the usual way; `bulk` has its own topic and gives way to it. */
export type PublishLane = 'interactive' | 'bulk'

/**
 * Puts a document's state, or its deletion, on the log. The log is the truth: what follows in the registry is made again from it
 * by the consumer if the process dies in between.
 */
export function createPublisher(deps: PublisherDeps) {
  const { log, registry, clock, logger, probe, schemas = offlineSchemas } = deps
  const codec = schemas.codec('documents')
  const lanes = createLanes(clock)
  const inTurn = deps.turns ?? createTurns()

  /** Restricted before, and not said now who may read it: refused, so that nothing is opened by forgetting. */
  async function checkAccess(tenant: string, document: Document): Promise<boolean> {
    const known = (await registry.lookUp(tenant, [document.id])).get(document.id)
    if (document.access === null && !document.open && known && isRestricted(known)) {
      throw accessRequired(document.id)
    }
    return known?.visible != null
  }

  /** Takes over the document's upload: where the publication fails for certain, that is removed. */
  async function publish(
    tenant: string,
    document: Document,
    traceparent: string,
    lane?: PublishLane,
  ): Promise<Published> {
    return await append(tenant, document, codec.encode(document), traceparent, lane)
  }

  /** Content elsewhere goes as JSON, as any producer may write it: whoever processes the record fetches it. */
  async function publishUri(
    tenant: string,
    input: DocumentInput,
    about: Omit<Document, 'content' | 'blob'>,
    traceparent: string,
  ): Promise<Published> {
    return await append(
      tenant,
      { ...about, content: null, blob: null },
      Buffer.from(JSON.stringify(input)),
      traceparent,
      'bulk',
    )
  }

  async function append(
    tenant: string,
    document: Document,
    value: Buffer,
    traceparent: string,
    lane?: PublishLane,
  ): Promise<Published> {
    let mayBeThere = false
    try {
      checkDocumentId(document.id)
      // In turn, so that what an earlier publication said of access is known when the next one is checked.
      return await inTurn(topicKey(tenant, document.id), async () => {
        const topic = await chooseTopic(tenant, document, lane)
        mayBeThere = true
        return await appendChecked(topic, tenant, document, value, traceparent)
      })
    } catch (error) {
      if (document.blob !== null) await discard(document.blob, mayBeThere && !isMessageFault(error))
      throw error
    }
  }

  /**
   * Removes the upload of a publication that failed; but where the log's answer was lost the record may be there, and needs it.
   * An upload that stays although no record names it is found by nothing yet, so the log says its name.
   */
  async function discard(blob: string, mayBeNeeded: boolean): Promise<void> {
    if (mayBeNeeded)
      return logger.warn({ blob }, 'the log may hold the publication that failed: its upload stays')
    try {
      await deps.blobs.delete(blob)
    } catch (error) {
      logger.warn({ err: error, blob }, 'the upload of a publication that failed could not be removed')
    }
  }

  async function chooseTopic(tenant: string, document: Document, lane?: PublishLane): Promise<string> {
    const isEdit = await checkAccess(tenant, document)
    const taken = lane ?? lanes.choose(tenant, isEdit)
    return (taken === 'bulk' ? topics.documentsBulk : topics.documents).name
  }

  async function appendChecked(
    topic: string,
    tenant: string,
    document: Document,
    value: Buffer,
    traceparent: string,
  ): Promise<Published> {
    const [position] = await log.append(topic, [
      { key: topicKey(tenant, document.id), value, headers: { traceparent } },
    ])
    probe('append', document.id)
    const version = formatVersion({ ...position!, topic })
    const { title, contentType, access, publishedAt } = document
    try {
      await registry.recordAttempt(tenant, document.id, {
        version,
        state: 'queued',
        title,
        contentType,
        access,
        publishedAt,
      })
      probe('queued', document.id)
    } catch (error) {
      // Accepted all the same: the consumer writes this again.
      logger.warn(
        { err: error, tenant, documentId: document.id },
        'published, but the registry could not be told yet',
      )
    }
    return { id: document.id, receipt: formatReceipt(tenant, document.id, version), version }
  }

  /** Appends the tombstone, raises the floor: from then on no query finds the document. */
  async function remove(tenant: string, id: string, traceparent: string): Promise<Published> {
    checkDocumentId(id)
    const topic = topics.documents.name
    const [position] = await log.append(topic, [
      { key: topicKey(tenant, id), value: null, headers: { traceparent } },
    ])
    probe('append', id)
    const version = formatVersion({ ...position!, topic })
    try {
      for (const each of [registry, ...deps.alsoDelete()]) await each.raiseFloor(tenant, id, version)
      probe('floor', id)
    } catch (cause) {
      throw unavailable(
        'registry_unavailable',
        `the deletion of ${id} is recorded, but not in effect yet: ${errorMessage(cause)}; ask again`,
        cause,
      )
    }
    return { id, receipt: formatReceipt(tenant, id, version), version }
  }

  return { publish, publishUri, remove }
}

export type Publisher = ReturnType<typeof createPublisher>

/** Does an access list hold, of what is visible or of what is on its way? */
export function isRestricted({
  visible,
  latest,
  floor,
}: Pick<DocumentRecord, 'visible' | 'latest' | 'floor'>): boolean {
  if (visible?.access != null) return true
  const gone = latest !== null && floor !== null && latest.version <= floor
  return latest?.access != null && latest.state !== 'deleted' && !gone
}

export function accessRequired(id: string) {
  return invalid(
    'access_required',
    `${id} is restricted: say who may read it from now on (access: a list of groups, or null for the whole tenant)`,
    409,
  )
}
