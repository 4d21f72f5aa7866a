import { createCodec, schemaVersions } from '@aquifer/contracts/avro'
import { topicKey } from '@aquifer/contracts/keys'
import { topics } from '@aquifer/contracts/topics'
import type { Indexed } from '@aquifer/contracts/types'
import { formatVersion } from '@aquifer/contracts/version'
import { createMemoryEventLog } from '@aquifer/event-log/memory'
import type { EventLog } from '@aquifer/event-log/port'
import { systemClock } from '@aquifer/runtime/clock'
import { createLogger } from '@aquifer/runtime/logger'
import { createMemoryBlobs } from '@aquifer/stores/blobs-memory'
import { COLLECTION, point } from '@aquifer/stores/conformance/points'
import { createDocumentFiles } from '@aquifer/stores/document-files'
import type { DocumentFiles } from '@aquifer/stores/document-files'
import type { DocumentRecord, Registry, VisibleVersion } from '@aquifer/stores/registry'
import { createMemoryRegistry } from '@aquifer/stores/registry-memory'
import { tellSettled } from '@aquifer/stores/registry-settled'
import type { VectorIndex } from '@aquifer/stores/vector-index'
import { createMemoryVectorIndex } from '@aquifer/stores/vector-index-memory'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { restoreRegistry } from './restore.ts'

const TENANT = 'acme'
const BUILD = 'build-1'
const CHUNKS = 3
const codec = createCodec('indexed')
const [T1, T2, T3, T4] = [1, 2, 3, 4].map((offset) =>
  formatVersion({ appendTimeMs: offset * 1000, topic: topics.documents.name, partition: 0, offset }),
) as [string, string, string, string]

let log: EventLog
let index: VectorIndex
let files: DocumentFiles
/** The registry that will be lost. */
let before: Registry

beforeEach(async () => {
  log = createMemoryEventLog({ clock: systemClock, maintainEveryMs: null })
  await log.ensureTopics(Object.values(topics).map((topic) => ({ ...topic, partitions: 2 })))
  index = await createMemoryVectorIndex().open(COLLECTION)
  files = createDocumentFiles(createMemoryBlobs())
  before = createMemoryRegistry()
})
afterEach(async () => await log.close())

const clock = { ...systemClock, now: () => 99_000 }
const recordIn = async (registry: Registry, id: string) => (await registry.lookUp(TENANT, [id])).get(id)
const about = (documentId: string) => ({
  tenant: TENANT,
  documentId,
  key: Buffer.from(topicKey(TENANT, documentId)),
  headers: {},
})
const UNTOLD = { error: null, embedder: COLLECTION.fingerprint, reusedVectors: 0, publishedAt: 500 }

/** As the consumers do it: points, flip, indexed. */
async function show(id: string, version: string, given: Partial<VisibleVersion> = {}): Promise<void> {
  const visible: VisibleVersion = {
    version,
    build: BUILD,
    chunks: CHUNKS,
    title: `The title of ${id}`,
    contentType: 'text/markdown',
    access: null,
    metadata: { year: 2026, tags: ['a', 'b'] },
    guard: ['personal_data'],
    language: 'pt-BR',
    fingerprint: '0123456789abcdef',
    publishedAt: 500,
    indexedAt: 99_000,
    ...given,
  }
  const { build, title, access, metadata } = visible
  const points = Array.from({ length: CHUNKS }, (_, i) =>
    point({ tenant: TENANT, documentId: id, version, build, index: i, title, access, metadata }),
  )
  await index.upsert(points)
  const key = { tenant: TENANT, documentId: id, version }
  const source = { contentType: visible.contentType!, filename: null, upload: null }
  await files.putSource(key, { ...source, bytes: Buffer.from('bytes') })
  await before.flip(TENANT, id, visible)
  await tell(id, version, 'indexed')
}

async function fail(
  id: string,
  version: string,
  code: string,
  access: readonly string[] | null = null,
): Promise<void> {
  const error = { code, message: 'it failed' }
  const attempt = { version, error, title: null, contentType: null, access, publishedAt: 500 }
  await before.recordAttempt(TENANT, id, { ...attempt, state: 'failed' })
  await tell(id, version, 'failed', error)
}

async function remove(id: string, version: string): Promise<void> {
  await before.raiseFloor(TENANT, id, version)
  await index.delete({ tenant: TENANT, documentId: id, version: { lte: version } })
  await tell(id, version, 'deleted')
}

async function tell(
  id: string,
  version: string,
  state: 'indexed' | 'failed' | 'deleted',
  error: { code: string; message: string } | null = null,
): Promise<void> {
  const settled = { ...UNTOLD, version, state, error }
  await tellSettled({ log, registry: before, codec, clock }, about(id), settled)
}

/** Puts a record that someone told into a partition of the test's choice: its key is of no one else. */
async function toldBy(id: string, event: Partial<Indexed>): Promise<void> {
  const value = codec.encode({
    visibleVersion: null,
    visibleBuild: null,
    version: T1,
    state: 'indexed',
    errorCode: null,
    errorMessage: null,
    chunks: 0,
    embedder: null,
    reusedVectors: 0,
    publishedAt: 1,
    settledAt: 1,
    floor: null,
    guard: [],
    language: null,
    fingerprint: null,
    ...event,
  })
  await log.append(topics.indexed.name, [{ key: topicKey(TENANT, id), value }])
}

/** A new registry, filled; the newest record of each key alone is still there, as after compaction, unless told otherwise. */
async function restore(options: { compacted?: boolean; readDeletions?: boolean } = {}): Promise<Registry> {
  const registry = createMemoryRegistry()
  const { compacted = true, readDeletions = false } = options
  await restoreRegistry({
    log: compacted ? await compact(log) : log,
    index,
    files,
    registry,
    logger: createLogger('silent', 'test'),
    readDeletions,
  })
  return registry
}

async function compact(whole: EventLog): Promise<EventLog> {
  const newest = new Map<string, number>()
  const all = async (topic: string, partition: number) => await whole.read(topic, partition, 0, 10_000)
  for (const { partition } of await whole.offsets(topics.indexed.name))
    for (const { key, offset } of await all(topics.indexed.name, partition))
      newest.set(`${partition} ${String(key)}`, offset)
  return {
    ...whole,
    read: async (topic, partition, from, limit) =>
      (await whole.read(topic, partition, from, 10_000))
        .filter(
          ({ key, offset }) =>
            topic !== topics.indexed.name || newest.get(`${partition} ${String(key)}`) === offset,
        )
        .slice(0, limit),
  }
}

async function expectSame(registry: Registry, id: string): Promise<DocumentRecord | undefined> {
  const restored = await recordIn(registry, id)
  expect(restored?.visible).toEqual((await recordIn(before, id))?.visible)
  return restored
}

describe('a restored registry', () => {
  test('F1 shows what was visible, as it was', async () => {
    for (const id of ['a', 'b/with/slashes', 'ü']) await show(id, T1, { access: id === 'a' ? ['hr'] : null })
    const registry = await restore()
    for (const id of ['a', 'b/with/slashes', 'ü'])
      expect(await recordIn(registry, id)).toEqual(await recordIn(before, id))
  })

  test('F1 shows the version before one that failed, whose own record is compacted away', async () => {
    await show('a', T1)
    await fail('a', T2, 'unreadable')
    const registry = await restore()
    const { visible, latest } = (await recordIn(registry, 'a'))!
    expect(visible).toEqual({
      ...(await recordIn(before, 'a'))!.visible,
      // Its own record is gone; its version says when it was appended.
      publishedAt: 1000,
      indexedAt: 1000,
    })
    expect(latest).toEqual((await recordIn(before, 'a'))!.latest)
  })

  test('F1 leaves out what the index holds in part, and does not take one build for another', async () => {
    await show('a', T1)
    await index.delete({ tenant: TENANT, documentId: 'a' })
    await index.upsert([point({ tenant: TENANT, documentId: 'a', version: T1, build: BUILD })])
    await toldBy('b', { visibleVersion: T1, visibleBuild: BUILD, chunks: 1 })
    await index.upsert([point({ tenant: TENANT, documentId: 'b', version: T1, build: 'build-2' })])
    const registry = await restore()
    for (const id of ['a', 'b']) expect((await recordIn(registry, id))?.visible ?? null).toBeNull()
  })

  test('F1 finds what it holds although another embedder, which fills its own index, told the topic last', async () => {
    await show('a', T1)
    await toldBy('a', { visibleVersion: T1, visibleBuild: 'of another embedder', chunks: 9 })
    await expectSame(await restore({ compacted: false }), 'a')
  })

  test('F1 is the same whatever the order in which partitions tell of a document', async () => {
    await show('a', T1)
    await show('a', T2)
    await toldBy('a', { visibleVersion: T1, visibleBuild: BUILD, chunks: CHUNKS })
    await toldBy('a', { version: T2, state: 'failed', errorCode: 'unreadable' })
    const registry = await restore({ compacted: false })
    expect(await recordIn(registry, 'a')).toMatchObject({
      visible: { version: T2 },
      latest: { version: T2, state: 'indexed' },
    })
  })

  test('F2 keeps floors: of what is deleted, and of what failed to come back since', async () => {
    await show('a', T1)
    await remove('a', T2)
    await show('b', T1)
    await remove('b', T2)
    await fail('b', T3, 'unreadable')
    await show('c', T1)
    await remove('c', T2)
    await show('c', T3)
    const registry = await restore()
    for (const id of ['a', 'b']) {
      expect(await recordIn(registry, id)).toMatchObject({ visible: null, floor: T2 })
      const late = { ...(await recordIn(before, 'c'))!.visible!, version: T1 }
      expect(await registry.flip(TENANT, id, late)).toMatchObject({ reason: 'deleted' })
    }
    expect(await recordIn(registry, 'a')).toMatchObject({ latest: { state: 'deleted' } })
    expect(await recordIn(registry, 'b')).toMatchObject({ latest: { version: T3, state: 'failed' } })
    expect(await recordIn(registry, 'c')).toMatchObject({ visible: { version: T3 }, floor: T2 })
  })

  test('F2 reads records from before they named a floor', async () => {
    const [first] = schemaVersions('indexed')
    const event = { visibleVersion: null, visibleBuild: null, version: T2, state: 'deleted', chunks: 0 }
    const body = first!.type.toBuffer({
      ...event,
      errorCode: null,
      errorMessage: null,
      embedder: null,
      reusedVectors: 0,
      publishedAt: 1,
      settledAt: 1,
    })
    const header = Buffer.alloc(5)
    header.writeUInt32BE(first!.id, 1)
    await log.append(topics.indexed.name, [
      { key: topicKey(TENANT, 'a'), value: Buffer.concat([header, body]) },
    ])
    expect(await recordIn(await restore(), 'a')).toMatchObject({ floor: T2 })
  })

  test('F2 finds a deletion that was answered for, and not told yet, where nothing else would in time', async () => {
    await show('a', T1)
    await log.append(topics.documentsBulk.name, [{ key: topicKey(TENANT, 'a'), value: null }])
    expect((await recordIn(await restore(), 'a'))?.visible).not.toBeNull()
    const registry = await restore({ readDeletions: true })
    expect(await recordIn(registry, 'a')).toMatchObject({ visible: null, latest: { state: 'deleted' } })
  })

  test('F3 keeps who may read it, where a version that did not say so was refused', async () => {
    await show('a', T1, { access: ['hr'] })
    await fail('a', T2, 'access_required', ['hr'])
    await fail('b', T2, 'access_required', ['hr'])
    await show('c', T1)
    await fail('c', T3, 'access_required', ['hr'])
    const registry = await restore()
    expect(await recordIn(registry, 'a')).toMatchObject({
      visible: { version: T1, access: ['hr'] },
      latest: { version: T2, access: ['hr'] },
    })
    // For whom is not known of these: nobody but admins, until it is said.
    for (const id of ['b', 'c'])
      expect(await recordIn(registry, id)).toMatchObject({ latest: { access: [] } })
  })

  test('what does not read is left out, and hides nothing else', async () => {
    await log.append(topics.indexed.name, [
      { key: 'no-document', value: Buffer.from('x') },
      { key: topicKey(TENANT, 'a'), value: Buffer.from('not avro') },
      { key: topicKey(TENANT, 'a'), value: null },
    ])
    await show('b', T4)
    await expectSame(await restore(), 'b')
  })
})
