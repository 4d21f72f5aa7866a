import { createHash } from 'node:crypto'
import { offlineSchemas } from '@aquifer/contracts/avro'
import { readDocumentEvent } from '@aquifer/contracts/document-input'
import type { DocumentEvent } from '@aquifer/contracts/document-input'
import { REPLAYED_AT_HEADER, topics, VERSION_HEADER } from '@aquifer/contracts/topics'
import type { Document } from '@aquifer/contracts/types'
import { deadLetter } from '@aquifer/event-log/dead-letter'
import type { Batch, LogRecord, Subscription } from '@aquifer/event-log/port'
import { mapInTurns, mapLimited } from '@aquifer/runtime/concurrency'
import { AquiferError, errorMessage, invalid, isMessageFault } from '@aquifer/runtime/errors'
import { backoffMs, createSteady } from '@aquifer/runtime/retry'
import type { DocumentFiles, VersionKey } from '@aquifer/stores/document-files'
import { tellSettled } from '@aquifer/stores/registry-settled'
import type { ConsumerDeps } from './deps.ts'
import { tooMuchToRead } from './parse-pool.ts'
import { toParts } from './parts.ts'
import { createRecovery } from './recover.ts'
import { attemptOf, isDone, isOver, nameOf, toSource, versionOf } from './source-record.ts'
import type { Source } from './source-record.ts'
import { takeContent } from './sources/content.ts'
import { accessRequired, isRestricted } from './sources/publish.ts'
import { checkUri, openUri } from './sources/fetch-uri.ts'

/**
 * document → chunks: one document's whole path, commit last.
 *
 *  C1  The order of writes is attempt, source, text, chunks, commit; each is the same when it is made again.
 *  C2  Events of one document are processed in their order; other documents do not wait for it, but for its partition's commit.
 *  C3  A record at fault is dead-lettered with its cause, its attempt settled as failed or quarantined, before the commit.
 *  C4  A deletion is in effect at the registry before it goes on.
 */
export interface ConnectorService {
  start(): Promise<void>
  stop(): Promise<void>
}

const UNREACHABLE = 'uri_unavailable'
const MAX_FETCHES = 4
/** What a parser is stopped for may be the moment's: a fresh worker tries once more before it is the document's own fault. */
const STOPPED = ['timeout', 'out_of_memory']
const MAX_PARSES = 2
const MAX_MESSAGE = 1000
const MAX_LEAVES = 5

type PublishEvent = Exclude<DocumentEvent, { kind: 'delete' }>

/** A part of half a megabyte is encoded in a millisecond or three; where the machine is busy it takes longer. */
const PARTS_PER_TURN = 1

/** Documents of one batch under way at once: parsing waits for the pool, writing for the stores. */
const CONCURRENCY = 4

export function createConnectorService(deps: ConsumerDeps): ConnectorService {
  const { log, registry, files, blobs, metrics, logger, probe, schemas = offlineSchemas } = deps
  const documents = schemas.codec('documents')
  const chunksCodec = schemas.codec('chunks')
  const indexed = schemas.codec('indexed')
  const subscriptions: Subscription[] = []
  const recovery = createRecovery(
    deps,
    async (record, version, signal) =>
      await processRecord(toSource(record, version, topics.chunksBulk.name, signal)),
  )

  const steady = createSteady('connector', deps)

  async function processBatch(batch: Batch, chunksTopic: string): Promise<void> {
    const byKey = Map.groupBy(batch.records, ({ key }) => key?.toString('base64') ?? '')
    await mapLimited([...byKey.values()], CONCURRENCY, async (records) => {
      for (const record of records) {
        await processUnlessForeign(record, chunksTopic, batch.signal)
      }
    })
    await steady(batch.signal, () => batch.commit(batch.records.at(-1)!.offset))
    for (const record of batch.records) probe('commit', record.key?.toString() ?? '')
  }

  async function processUnlessForeign(
    record: LogRecord,
    chunksTopic: string,
    signal: AbortSignal,
  ): Promise<void> {
    let version: string
    try {
      version = versionOf(record)
    } catch (error) {
      if (!isMessageFault(error)) throw error
      // A replay that we did not write: it has no version, so there is no attempt to settle.
      return await steady(signal, () => deadLetter(log, topics.documentsDlq.name, record, error))
    }
    await processRecord(toSource(record, version, chunksTopic, signal))
  }

  async function processRecord(source: Source): Promise<void> {
    const { record, signal } = source
    let event: DocumentEvent
    try {
      event = await steady(signal, () => readDocumentEvent(record, documents))
    } catch (error) {
      if (!isMessageFault(error)) throw error
      return await reject(source, error, null)
    }
    await deps.tracing.span(
      'connect document',
      record.headers['traceparent'],
      { 'aquifer.kind': event.kind },
      async ({ traceparent, traceId }) => {
        if (event.kind === 'delete') return await passDeletion(source, event, traceparent)
        try {
          await passDocument(source, event, traceparent)
        } catch (error) {
          if (signal.aborted) {
            await leave(source, event)
            throw signal.reason
          }
          if (!isMessageFault(error)) throw error
          logger.info(
            { traceId, tenant: event.tenant, documentId: event.id, code: error.code },
            `document failed: ${error.message}`,
          )
          await reject(source, error, event)
          await steady(signal, () => dropIfOver(source, event))
        }
      },
    )
  }

  /** Who comes late, after a pause or with a slow write, may have written files of what others have finished and cleaned up. */
  async function dropIfOver({ version }: Source, event: PublishEvent): Promise<void> {
    const { tenant, id, document } = event
    const known = (await registry.lookUp(tenant, [id])).get(id)
    if (isOver(known, version)) await files.remove(tenant, id, (held) => held === version, document.blob)
  }

  /** The partition is lost: nothing is waited for any longer, but what was written is not left behind. */
  async function leave(source: Source, event: PublishEvent): Promise<void> {
    for (let attempt = 1; attempt <= MAX_LEAVES; attempt++) {
      try {
        return await dropIfOver(source, event)
      } catch (error) {
        logger.warn(
          { err: error, attempt },
          'what was written after a partition was lost could not be checked',
        )
        await deps.clock.sleep(backoffMs(attempt, deps.random))
      }
    }
  }

  async function passDeletion(
    source: Source,
    { tenant, id }: DocumentEvent,
    traceparent: string,
  ): Promise<void> {
    await steady(source.signal, () => registry.raiseFloor(tenant, id, source.version))
    probe('floor', id)
    const headers = { traceparent, [VERSION_HEADER]: source.version }
    await steady(source.signal, () =>
      log.append(source.chunksTopic, [{ key: source.record.key, value: null, headers }]),
    )
    probe('chunks', id)
  }

  async function passDocument(source: Source, event: PublishEvent, traceparent: string): Promise<void> {
    const { tenant, id } = event
    const { version, signal } = source
    const known = await steady(signal, async () => (await registry.lookUp(tenant, [id])).get(id))
    // Nothing of it is shown any more: what was uploaded for it goes, and what an earlier delivery left.
    if (isOver(known, version)) return await steady(signal, () => dropIfOver(source, event))
    if (isDone(known, version, deps.build)) return
    // Whatever brings it again, a replay, a redelivery or a new build: it is on its way, and no sweep may take its points.
    const { latest } = known ?? {}
    if (latest?.version === version && latest.state !== 'queued')
      source.replayedAt = Math.max(source.replayedAt, (latest.replayedAt ?? 0) + 1)
    const { access, open } = event.document
    // Of this very version, what was refused before holds the list that it was refused for.
    const before = known?.latest && known.latest.version > version ? { ...known, latest: null } : known
    const key = { tenant, documentId: id, version }
    if (access === null && !open && before && isRestricted(before)) {
      // Noted under its version, so that what was uploaded for it goes when the version does.
      if (event.document.blob !== null)
        await steady(signal, () => putSource(files, key, event.document, null))
      throw accessRequired(id)
    }
    await steady(signal, () =>
      registry.recordAttempt(tenant, id, attemptOf(source, event.document, 'queued')),
    )
    probe('queued', id)
    const document = event.kind === 'fetch' ? await fetchContent(source, event) : event.document
    // First, so that an upload which cannot be read goes with its version too.
    await steady(signal, () => putSource(files, key, document, document.content))
    probe('source', id)
    const bytes = await steady(signal, () => contentOf(document))
    const parsed = await parse(source, document, bytes)
    if (parsed.guard.action === 'quarantine') {
      throw new AquiferError(
        'quarantined',
        `the first screen found ${parsed.guard.verdicts.join(', ')}; an admin can look at it in the dead-letter queue`,
        { status: 422 },
      )
    }
    const contentType = knownType(document.contentType, parsed.mediaType)
    if (contentType !== document.contentType)
      await steady(signal, () => putSource(files, key, { ...document, contentType }, null))
    await steady(signal, () => files.putText(key, parsed.text))
    probe('text', id)
    const common = {
      version,
      build: deps.build,
      totalChunks: parsed.chunks.length,
      title: parsed.title,
      contentType,
      metadata: document.metadata,
      access,
      guard: parsed.guard.verdicts,
      language: parsed.language,
      fingerprint: parsed.fingerprint,
      publishedAt: document.publishedAt,
    }
    const replayed = source.replayedAt === 0 ? {} : { [REPLAYED_AT_HEADER]: String(source.replayedAt) }
    const commonBytes = chunksCodec.encode({ ...common, part: 0, parts: 1, chunks: [] }).length
    const parts = toParts(parsed.chunks, commonBytes, deps.limits.maxPartBytes)
    const records = await mapInTurns(parts, PARTS_PER_TURN, (chunks, part) => {
      const value = chunksCodec.encode({ ...common, part, parts: parts.length, chunks })
      return { key: source.record.key, value, headers: { traceparent, ...replayed } }
    })
    await steady(signal, () => log.append(source.chunksTopic, records))
    probe('chunks', id)
  }

  async function parse(source: Source, { contentType, filename, title }: Document, bytes: Buffer) {
    const { signal } = source
    const stopTimer = metrics.parseSeconds.startTimer()
    try {
      return await tried(source, MAX_PARSES, STOPPED, () =>
        deps.parsePool.parse({ bytes, contentType, filename, title }, signal),
      )
    } finally {
      stopTimer()
    }
  }

  /** A host elsewhere is the document's own affair: it is asked a few times, then the document fails, so that no other waits for it. */
  async function fetchContent(
    source: Source,
    event: Extract<DocumentEvent, { kind: 'fetch' }>,
  ): Promise<Document> {
    const url = checkUri(event.uri, deps.limits.uriHosts)
    return await tried(source, MAX_FETCHES, [UNREACHABLE], () =>
      fetchOnce(event, url, source.version, source.signal),
    )
  }

  /** A dependency is waited for; a failure of one of the codes is tried again, so often in all. */
  async function tried<T>(
    source: Source,
    max: number,
    codes: readonly string[],
    step: () => Promise<T>,
  ): Promise<T> {
    const { signal } = source
    for (source.attempts = 1; ; source.attempts++) {
      try {
        return await steady(signal, step)
      } catch (error) {
        const again = error instanceof AquiferError && codes.includes(error.code) && source.attempts < max
        if (!again) throw error
        logger.warn({ code: error.code, attempt: source.attempts }, `tried again: ${error.message}`)
        await deps.clock.sleep(backoffMs(source.attempts, deps.random), signal)
      }
    }
  }

  async function fetchOnce(
    event: Extract<DocumentEvent, { kind: 'fetch' }>,
    url: URL,
    version: string,
    signal: AbortSignal,
  ): Promise<Document> {
    const unreachable = (cause: unknown) =>
      cause instanceof AquiferError && cause.code !== UNREACHABLE
        ? cause
        : invalid(UNREACHABLE, `${event.uri} could not be read: ${errorMessage(cause)}`, 422, cause)
    const { content, contentType } = await openUri(url, signal).catch((cause: unknown) => {
      throw unreachable(cause)
    })
    // The same blob whenever it is fetched again.
    const name = createHash('sha256').update(`${event.id}\n${version}`).digest('hex')
    let broken: unknown = null
    content.once('error', (cause) => (broken = cause))
    const taken = await takeContent(deps, event.tenant, content, name).catch((cause: unknown) => {
      throw broken === null ? cause : unreachable(broken)
    })
    const declared = event.document.contentType
    return {
      ...event.document,
      ...taken,
      contentType: declared === 'application/octet-stream' ? (contentType ?? declared) : declared,
    }
  }

  async function contentOf(document: Document): Promise<Buffer> {
    if (document.content !== null) return document.content
    const source = await blobs.stream(document.blob!)
    if (source === null)
      throw new AquiferError(
        'missing_content',
        `the blob ${document.blob} of ${document.id} is not there: publish it again`,
      )
    const slices: Buffer[] = []
    let sizeBytes = 0
    for await (const slice of source as AsyncIterable<Buffer>) {
      sizeBytes += slice.length
      if (sizeBytes > deps.parsePool.maxBytes) throw tooMuchToRead(deps.parsePool.maxBytes)
      slices.push(slice)
    }
    return Buffer.concat(slices, sizeBytes)
  }

  /** Dead-letters a record, and settles the attempt of the document that its key names, if it names one. */
  async function reject(source: Source, error: AquiferError, event: DocumentEvent | null): Promise<void> {
    const { record, signal, version } = source
    const named = event ?? nameOf(record)
    const state = error.code === 'quarantined' ? 'quarantined' : 'failed'
    const dlq = topics.documentsDlq.name
    metrics.deadLetters.inc({ topic: dlq, code: error.code })
    await steady(signal, () => deadLetter(log, dlq, record, error, source.attempts))
    probe('dlq', named?.id ?? '')
    if (!named) return
    const document = event && event.kind !== 'delete' ? event.document : null
    const before = await steady(signal, async () =>
      (await registry.lookUp(named.tenant, [named.id])).get(named.id),
    )
    const failure = { code: error.code, message: error.message.slice(0, MAX_MESSAGE) }
    const attempt = {
      ...attemptOf(source, document, state),
      // What was refused or did not read says nothing of who may read: the list that held goes on holding.
      access: document?.open ? null : (document?.access ?? before?.latest?.access ?? null),
      error: failure,
    }
    await steady(signal, () => registry.recordAttempt(named.tenant, named.id, attempt))
    probe('failed', named.id)
    metrics.documents.inc({ state })
    const { publishedAt } = attempt
    const { traceparent } = record.headers
    await steady(signal, () =>
      tellSettled(
        { log, registry, codec: indexed, clock: deps.clock },
        {
          tenant: named.tenant,
          documentId: named.id,
          key: record.key,
          headers: traceparent === undefined ? {} : { traceparent },
        },
        { version, state, error: failure, embedder: null, reusedVectors: 0, publishedAt },
      ),
    )
  }

  return {
    async start() {
      for (const [topic, chunksTopic] of [
        [topics.documents.name, topics.chunks.name],
        [topics.documentsBulk.name, topics.chunksBulk.name],
        [topics.documentsRetry.name, topics.chunksBulk.name],
      ] as const) {
        const options = {
          group: deps.group,
          topics: [topic],
          maxBatchRecords: 16,
          onError: (error: unknown) => logger.error({ err: error }, 'connector'),
        }
        subscriptions.push(
          await log.subscribe(options, async (batch) => await processBatch(batch, chunksTopic)),
        )
      }
      recovery.start()
    },
    async stop() {
      await recovery.stop()
      await Promise.all(subscriptions.map(async (subscription) => await subscription.stop()))
    },
  }
}

/** As declared, for that may name a charset; where it was read as another type, that. */
function knownType(declared: string, readAs: string): string {
  return declared.split(';')[0]!.trim().toLowerCase() === readAs ? declared : readAs
}

async function putSource(
  files: DocumentFiles,
  key: VersionKey,
  { blob, contentType, filename }: Document,
  bytes: Buffer | null,
): Promise<void> {
  await files.putSource(key, { bytes, upload: blob, contentType, filename })
}
