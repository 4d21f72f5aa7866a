import { offlineSchemas } from '@aquifer/contracts/avro'
import type { Schemas } from '@aquifer/contracts/avro'
import { topicKey } from '@aquifer/contracts/keys'
import { topics } from '@aquifer/contracts/topics'
import type { Batch, EventLog, LogRecord, Subscription } from '@aquifer/event-log/port'
import type { Embedder, Lane } from '@aquifer/models/embedder'
import type { Clock } from '@aquifer/runtime/clock'
import { mapInTurns, mapLimited } from '@aquifer/runtime/concurrency'
import { errorMessage, isMessageFault } from '@aquifer/runtime/errors'
import type { AquiferError } from '@aquifer/runtime/errors'
import type { Logger } from '@aquifer/runtime/logger'
import type { Metrics } from '@aquifer/runtime/metrics'
import type { Probe } from '@aquifer/runtime/probe'
import { createSteady } from '@aquifer/runtime/retry'
import type { Tracing } from '@aquifer/runtime/tracing'
import type { DocumentFiles } from '@aquifer/stores/document-files'
import type { Attempt, DocumentRecord, Registry } from '@aquifer/stores/registry'
import { tellSettled } from '@aquifer/stores/registry-settled'
import type { Point, VectorIndex } from '@aquifer/stores/vector-index'
import { deadLetter } from '@aquifer/event-log/dead-letter'
import { readWork } from './work.ts'
import type { Deletion, Part, Work } from './work.ts'
import { createPointMaker } from './points.ts'
import { createSweeper } from './sweep.ts'

/**
 * chunks → vectors, registry, indexed.
 *
 *  E1  The order of writes is points, flip, indexed, clean-up, commit; a redelivery repeats what follows the last.
 *  E2  A version becomes visible only when the index holds every point of its build.
 *  E3  The loser of a race removes its own points; the winner removes what is older than itself, never what is newer.
 *  E4  A dependency's failure is waited for; only a message's own failure is dead-lettered, before its commit.
 */
export interface EmbedderService {
  start(): Promise<void>
  /** Finishes the batches under way, commits them, leaves the group. */
  stop(): Promise<void>
}

export interface EmbedderDeps {
  readonly log: EventLog
  /** Left out: the offline ones. */
  readonly schemas?: Schemas
  readonly index: VectorIndex
  readonly registry: Registry
  /** What the sweep goes by, where that is another one: a registry that is still being made again would condemn what it needs. */
  readonly sweepRegistry?: Registry
  readonly files: DocumentFiles
  readonly embedder: Embedder
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly metrics: Metrics
  readonly tracing: Tracing
  readonly probe: Probe
  readonly sweepEveryMs: number
  /** Chunks of another build are another generation's. */
  readonly build: string
  /** Consumer group. */
  readonly group: string
}

type DocumentLane = Exclude<Lane, 'query'>
interface Made {
  readonly points: Point[]
  /** Chunks whose vectors were there already. */
  readonly reused: number
}

/** Small enough that an urgent document never waits long behind a batch, large enough to fill the model's batches. */
const BATCH_RECORDS: Record<DocumentLane, number> = { interactive: 16, bulk: 8 }
/** A part of half a megabyte is decoded in a millisecond or three. */
const PARTS_PER_TURN = 2

export function createEmbedderService(deps: EmbedderDeps): EmbedderService {
  const { log, index, registry, files, metrics, logger, probe, schemas = offlineSchemas } = deps
  const chunksCodec = schemas.codec('chunks')
  const indexed = schemas.codec('indexed')
  const makePoints = createPointMaker(deps)
  const sweeper = createSweeper({ ...deps, registry: deps.sweepRegistry ?? registry })
  const subscriptions: Subscription[] = []

  const steady = createSteady('embedder', deps)

  async function processBatch(batch: Batch, lane: DocumentLane): Promise<void> {
    const work: Work[] = []
    await mapInTurns(batch.records, PARTS_PER_TURN, async (record) => {
      try {
        const item = await steady(batch.signal, () => readWork(record, chunksCodec))
        if (item.kind === 'delete' || item.chunks.build === deps.build) work.push(item)
      } catch (error) {
        await reject(batch, record, error)
      }
    })
    const parts = work.filter((item) => item.kind === 'part')
    const known = await steady(batch.signal, () => lookUp(parts))
    // Bulk fills commits of the index together; an urgent document waits for no other's vectors.
    const groups = lane === 'bulk' ? [work] : byDocument(work)
    await mapLimited(groups, groups.length, (group) => processTogether(batch, lane, group, known))
    await steady(batch.signal, () => batch.commit(batch.records.at(-1)!.offset))
    for (const item of work) probe('commit', item.documentId)
  }

  /** All that the batch has of some documents. */
  async function processTogether(
    batch: Batch,
    lane: DocumentLane,
    work: readonly Work[],
    known: ReadonlyMap<Part, DocumentRecord>,
  ): Promise<void> {
    const parts = work.filter((item) => item.kind === 'part')
    const wanted = new Set(parts.filter((part) => isWanted(part, known.get(part))))
    const made = await embedParts(batch, lane, [...wanted], known)
    const points = [...made.values()].flatMap((entry) => entry.points)
    for (let from = 0; from < points.length; from += index.limits.maxBatchPoints) {
      await steady(batch.signal, () => index.upsert(points.slice(from, from + index.limits.maxBatchPoints)))
    }
    for (const part of made.keys()) probe('points', part.documentId)
    // Documents side by side, so that their writes to the index share commits; one document's records in their order.
    await mapLimited(byDocument(work), work.length, async (items) => {
      for (const item of items) {
        if (item.kind === 'delete') await finishDeletion(batch, item)
        else if (made.has(item)) await finishPart(batch, item, made.get(item)!.reused)
        else if (!wanted.has(item)) await steady(batch.signal, () => removeLoser(item))
      }
    })
  }

  /** How the documents of parts stand, in one look-up a tenant. */
  async function lookUp(parts: readonly Part[]): Promise<Map<Part, DocumentRecord>> {
    const known = new Map<Part, DocumentRecord>()
    for (const [tenant, owned] of Map.groupBy(parts, (part) => part.tenant)) {
      const records = await registry.lookUp(tenant, [...new Set(owned.map(({ documentId }) => documentId))])
      for (const part of owned) {
        const record = records.get(part.documentId)
        if (record) known.set(part, record)
      }
    }
    return known
  }

  /** The points of parts, their texts embedded together. A part that the model refuses is dead-lettered, and left out. */
  async function embedParts(
    batch: Batch,
    lane: DocumentLane,
    parts: readonly Part[],
    known: ReadonlyMap<Part, DocumentRecord>,
    attempt = 1,
  ): Promise<Map<Part, Made>> {
    if (parts.length === 0) return new Map()
    const stopTimer = metrics.embedSeconds.startTimer({ lane })
    try {
      const made = await steady(batch.signal, () => makePoints(parts, known, lane, batch.signal))
      return new Map(parts.map((part, i) => [part, made[i]!]))
    } catch (error) {
      if (!isMessageFault(error)) throw error
      if (parts.length > 1) {
        const made = new Map<Part, Made>()
        for (const half of [parts.slice(0, parts.length >> 1), parts.slice(parts.length >> 1)])
          for (const entry of await embedParts(batch, lane, half, known, attempt + 1)) made.set(...entry)
        return made
      }
      await failPart(batch, parts[0]!, error, attempt)
      return new Map()
    } finally {
      stopTimer()
    }
  }

  async function failPart(batch: Batch, part: Part, cause: AquiferError, attempts: number): Promise<void> {
    const error = { code: cause.code, message: cause.message }
    await reject(batch, part.record, cause, attempts)
    await steady(batch.signal, () =>
      registry.recordAttempt(part.tenant, part.documentId, { ...attemptOf(part, 'failed'), error }),
    )
    await steady(batch.signal, () => appendIndexed(part, 'failed', error, 0))
    metrics.documents.inc({ state: 'failed' })
  }

  async function finishPart(batch: Batch, part: Part, reused: number): Promise<void> {
    const { tenant, documentId, chunks } = part
    const { version, build } = chunks
    if (!(await steady(batch.signal, () => isComplete(part)))) {
      // Another version may have won, and cleaned up, while these points were on their way.
      const known = (await steady(batch.signal, () => lookUp([part]))).get(part)
      if (!isWanted(part, known)) await steady(batch.signal, () => removeLoser(part))
      return
    }
    const indexedAt = deps.clock.now()
    const result = await steady(batch.signal, () =>
      registry.flip(tenant, documentId, {
        version,
        build,
        chunks: chunks.totalChunks,
        title: chunks.title,
        contentType: chunks.contentType,
        access: chunks.access,
        metadata: chunks.metadata,
        guard: chunks.guard,
        language: chunks.language,
        fingerprint: chunks.fingerprint,
        publishedAt: chunks.publishedAt,
        indexedAt,
      }),
    )
    probe('flip', documentId)
    if (!result.flipped && result.reason !== 'same') {
      await steady(batch.signal, () => removeLoser(part))
      return
    }
    // Visible already, its replay is settled by this alone.
    if (!result.flipped)
      await steady(batch.signal, () => registry.recordAttempt(tenant, documentId, attemptOf(part, 'indexed')))
    await steady(batch.signal, () => appendIndexed(part, 'indexed', null, reused))
    probe('indexed', documentId)
    await steady(batch.signal, async () => {
      await Promise.all([
        index.delete({ tenant, documentId, version: { lt: version } }),
        index.delete({ tenant, documentId, version: { eq: version }, build: { ne: build } }),
      ])
      await files.remove(tenant, documentId, (held) => held < version)
    })
    probe('cleanup', documentId)
    metrics.documents.inc({ state: 'indexed' })
    metrics.chunks.inc({ vector: 'reused' }, reused)
    metrics.chunks.inc({ vector: 'embedded' }, chunks.chunks.length - reused)
    metrics.freshnessSeconds.observe(Math.max(0, indexedAt - chunks.publishedAt) / 1000)
  }

  async function isComplete({ tenant, documentId, chunks }: Part): Promise<boolean> {
    if (chunks.parts === 1) return true
    const { version, build, totalChunks } = chunks
    return (
      (await index.count({ tenant, documentId, version: { eq: version }, build: { eq: build } })) ===
      totalChunks
    )
  }

  /** Another version won, or the document is deleted: this build's points and files go, the winner's stay. */
  async function removeLoser({ tenant, documentId, chunks }: Part): Promise<void> {
    await index.delete({ tenant, documentId, version: { eq: chunks.version }, build: { eq: chunks.build } })
    await files.remove(tenant, documentId, (held) => held === chunks.version)
  }

  async function finishDeletion(batch: Batch, deletion: Deletion): Promise<void> {
    const { tenant, documentId, version } = deletion
    await steady(batch.signal, () => registry.raiseFloor(tenant, documentId, version))
    probe('flip', documentId)
    await steady(batch.signal, () => appendIndexed(deletion, 'deleted', null, 0))
    probe('indexed', documentId)
    await steady(batch.signal, async () => {
      await index.delete({ tenant, documentId, version: { lte: version } })
      await files.remove(tenant, documentId, (held) => held <= version)
    })
    probe('cleanup', documentId)
    metrics.documents.inc({ state: 'deleted' })
  }

  async function appendIndexed(
    item: Work,
    state: 'indexed' | 'failed' | 'deleted',
    error: { code: string; message: string } | null,
    reusedVectors: number,
  ): Promise<void> {
    const { tenant, documentId, record } = item
    const version = item.kind === 'delete' ? item.version : item.chunks.version
    await deps.tracing.span(
      'index document',
      record.headers['traceparent'],
      { 'aquifer.state': state },
      async (trace) => {
        const headers = { traceparent: trace.traceparent }
        await tellSettled(
          { log, registry, codec: indexed, clock: deps.clock },
          { tenant, documentId, key: record.key, headers },
          {
            version,
            state,
            error,
            embedder: deps.embedder.fingerprint,
            reusedVectors,
            publishedAt: item.kind === 'delete' ? record.appendTimeMs : item.chunks.publishedAt,
          },
        )
        logger.info({ traceId: trace.traceId, tenant, documentId, version, state }, 'document settled')
      },
    )
  }

  async function reject(batch: Batch, record: LogRecord, error: unknown, attempts = 1): Promise<void> {
    if (!isMessageFault(error)) throw error
    logger.warn(
      { err: error, topic: record.topic, partition: record.partition, offset: record.offset },
      'dead-lettered',
    )
    metrics.deadLetters.inc({ topic: topics.chunksDlq.name, code: error.code })
    await steady(batch.signal, () => deadLetter(log, topics.chunksDlq.name, record, error, attempts))
  }

  return {
    async start() {
      for (const [topic, lane] of [
        [topics.chunks.name, 'interactive'],
        [topics.chunksBulk.name, 'bulk'],
        [topics.chunksRetry.name, 'bulk'],
      ] as const) {
        const options = {
          group: deps.group,
          topics: [topic],
          maxBatchRecords: BATCH_RECORDS[lane],
          onError: (error: unknown) => logger.error({ err: error }, `embedder: ${errorMessage(error)}`),
        }
        subscriptions.push(await log.subscribe(options, async (batch) => await processBatch(batch, lane)))
      }
      sweeper.start()
    },
    async stop() {
      await sweeper.stop()
      await Promise.all(subscriptions.map(async (subscription) => await subscription.stop()))
    },
  }
}

function byDocument(work: readonly Work[]): Work[][] {
  return [...Map.groupBy(work, ({ tenant, documentId }) => topicKey(tenant, documentId)).values()]
}

/** False for a version that can no longer become visible. */
function isWanted({ chunks }: Part, known: DocumentRecord | undefined): boolean {
  if (!known) return true
  if (known.floor !== null && chunks.version <= known.floor) return false
  return known.visible === null || chunks.version >= known.visible.version
}

function attemptOf({ chunks, replayedAt }: Part, state: 'indexed' | 'failed'): Attempt {
  const { version, title, contentType, access, publishedAt } = chunks
  const attempt = { version, state, title, contentType, access, publishedAt }
  return replayedAt === null ? attempt : { ...attempt, replayedAt }
}
