import { offlineSchemas } from '@aquifer/contracts/avro'
import type { Codec, Schemas } from '@aquifer/contracts/avro'
import { parseTopicKey, topicKey } from '@aquifer/contracts/keys'
import { topics } from '@aquifer/contracts/topics'
import type { Indexed } from '@aquifer/contracts/types'
import { formatVersion, parseVersion } from '@aquifer/contracts/version'
import type { EventLog, LogRecord } from '@aquifer/event-log/port'
import { mapLimited } from '@aquifer/runtime/concurrency'
import { isMessageFault } from '@aquifer/runtime/errors'
import type { Logger } from '@aquifer/runtime/logger'
import type { DocumentFiles } from '@aquifer/stores/document-files'
import type { Registry } from '@aquifer/stores/registry'
import type { VectorIndex } from '@aquifer/stores/vector-index'

/**
 * An empty registry, filled from `indexed` and the index before the consumers that follow it start. The documents topics alone
 * would not do: compaction leaves a document's newest record there, which may be one that failed, and then only the index has the
 * version that is visible, and nothing else says who may read it.
 *
 *  F1  What `indexed` names as visible becomes visible where the index holds all of its points, and not otherwise.
 *  F2  Nothing that was deleted becomes visible; the consumers meet the floor before the chunks that are still on the log.
 *  F3  A document whose restriction was the reason of a refusal stays restricted.
 *
 * The consumers then read the log from its start, and apply what `indexed` did not know. A flip that was not told yet was not
 * committed either (the order of writes is points, flip, `indexed`, clean-up, commit), so its chunks are still there and come again.
 *
 * A deletion that was answered for is in force before `indexed` is told. Its tombstone is on the log; where queries wait until the
 * consumers have read that (registry-soundness), it is met there. Where nothing makes them wait, `readDeletions` looks for it here.
 */
export interface RestoreOptions {
  readonly log: EventLog
  readonly index: VectorIndex
  readonly files: DocumentFiles
  /** Empty, and read by nobody yet. */
  readonly registry: Registry
  /** Left out: the offline ones. */
  readonly schemas?: Schemas
  readonly logger: Logger
  /** Also goes through the documents topics, for tombstones alone. */
  readonly readDeletions: boolean
  readonly signal?: AbortSignal
}

/** Documents by what became of them; `left` to the consumers, for the index does not hold all of them. */
export interface Restored {
  visible: number
  deleted: number
  left: number
}

interface Told {
  readonly tenant: string
  readonly documentId: string
  readonly event: Indexed
}

const PAGE = 500
/** Each waits for the index, the blob store and the registry. */
const CONCURRENCY = 32

/** Rejects with what the stores throw; what is filled by then is to be thrown away. */
export async function restoreRegistry(options: RestoreOptions): Promise<Restored> {
  const { log, registry, logger, schemas = offlineSchemas } = options
  const codec = schemas.codec('indexed')
  const restored: Restored = { visible: 0, deleted: 0, left: 0 }
  for await (const page of pages(options, topics.indexed.name)) {
    const told: Told[] = []
    for (const record of page) {
      const read = await readTold(record, codec, logger)
      if (read) told.push(read)
    }
    // A page holds several of one document where nothing was compacted yet: newest first.
    const documents = Map.groupBy(told.reverse(), ({ tenant, documentId }) => topicKey(tenant, documentId))
    await mapLimited([...documents.values()], CONCURRENCY, async (newestFirst) => {
      restored[await restoreDocument(options, newestFirst)]++
    })
  }
  if (options.readDeletions) {
    for (const { name } of [topics.documents, topics.documentsBulk]) {
      for await (const page of pages(options, name)) {
        const tombstones = page.filter(({ key, value }) => key !== null && value === null)
        await mapLimited(tombstones, CONCURRENCY, async (record) => {
          const named = nameOf(record)
          if (named) await registry.raiseFloor(named.tenant, named.id, formatVersion(record))
        })
      }
    }
  }
  logger.info(restored, 'the registry was filled from what is indexed; the log is read for the rest')
  return restored

  /** What a topic holds now, partition by partition. */
  async function* pages({ signal }: RestoreOptions, topic: string): AsyncGenerator<LogRecord[]> {
    for (const { partition, earliest, next } of await log.offsets(topic)) {
      for (let from = earliest; from < next;) {
        signal?.throwIfAborted()
        const page = await log.read(topic, partition, from, PAGE)
        if (page.length === 0) break
        yield page
        from = page.at(-1)!.offset + 1
      }
    }
  }
}

/**
 * The order of the records does not matter, for a key may have lain on another partition before some were added: a flip moves only
 * upward, and of one version the index holds one build for long.
 */
async function restoreDocument(
  options: RestoreOptions,
  newestFirst: readonly Told[],
): Promise<keyof Restored> {
  const { registry } = options
  const { tenant, documentId, event: newest } = newestFirst[0]!
  const floors = newestFirst.flatMap(({ event }) => floorOf(event) ?? [])
  const floor = floors.toSorted().at(-1)
  if (floor !== undefined) await registry.raiseFloor(tenant, documentId, floor)
  // The highest first; and another embedder, which fills its own index, tells the same topic: a record may name what only that one holds.
  const highestFirst = newestFirst.toSorted(
    (a, b) => Number(visibleIn(a) < visibleIn(b)) - Number(visibleIn(a) > visibleIn(b)),
  )
  let shown = false
  for (const told of highestFirst) if ((shown = await show(options, told))) break
  await recordFailure(registry, tenant, documentId, newest)
  if (shown) return 'visible'
  return newest.visibleVersion === null && floor !== undefined ? 'deleted' : 'left'
}

const visibleIn = ({ event }: Told): string => event.visibleVersion ?? ''

/** Makes visible what the event names, where the index holds all of it. */
async function show(
  { index, files, registry }: RestoreOptions,
  { tenant, documentId, event }: Told,
): Promise<boolean> {
  const { visibleVersion: version, visibleBuild: build, chunks, guard, language, fingerprint } = event
  // Without a point nothing says who may read it.
  if (version === null || build === null || chunks === 0) return false
  const points = { tenant, documentId, version: { eq: version }, build: { eq: build } }
  if ((await index.count(points)) !== chunks) return false
  const [point] = await index.fetch(points, 1)
  if (!point) return false
  const { title, access, metadata } = point
  const meta = await files.meta({ tenant, documentId, version })
  const { appendTimeMs } = parseVersion(version)
  const { publishedAt, settledAt: indexedAt } =
    event.version === version ? event : { publishedAt: appendTimeMs, settledAt: appendTimeMs }
  const contentType = meta?.contentType ?? null
  const said = { guard, language, fingerprint }
  const about = { title, contentType, access, metadata, ...said, publishedAt, indexedAt }
  await registry.flip(tenant, documentId, { version, build, chunks, ...about })
  return true
}

/** The latest attempt, where it is one that failed (R5), but not over one that another record shows as visible. */
async function recordFailure(
  registry: Registry,
  tenant: string,
  documentId: string,
  event: Indexed,
): Promise<void> {
  const { version, state, errorCode, errorMessage, publishedAt } = event
  if (state !== 'failed' && state !== 'quarantined') return
  const visible = (await registry.lookUp(tenant, [documentId])).get(documentId)?.visible
  if (visible?.version === version) return
  await registry.recordAttempt(tenant, documentId, {
    version,
    state,
    ...(errorCode === null ? {} : { error: { code: errorCode, message: errorMessage ?? '' } }),
    title: null,
    contentType: null,
    // Refused because it was restricted, it is, though nothing says for whom: then for admins alone. Its record comes again.
    access: visible?.access ?? (errorCode === 'access_required' ? [] : null),
    publishedAt,
  })
}

/** Of records from before the floor was told, a deletion names it. */
function floorOf({ floor, state, version }: Indexed): string | null {
  return floor ?? (state === 'deleted' ? version : null)
}

/** Null of what is not ours to read: nothing of it was visible by us. */
async function readTold(record: LogRecord, codec: Codec<Indexed>, logger: Logger): Promise<Told | null> {
  if (record.value === null) return null
  try {
    const { tenant, id: documentId } = parseTopicKey(record.key)
    return { tenant, documentId, event: await codec.decode(record.value) }
  } catch (error) {
    if (!isMessageFault(error)) throw error
    const { topic, partition, offset } = record
    logger.warn({ err: error, topic, partition, offset }, 'left out of what is restored')
    return null
  }
}

function nameOf(record: LogRecord): { tenant: string; id: string } | null {
  try {
    return parseTopicKey(record.key)
  } catch {
    return null
  }
}
