import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCodec } from '@aquifer/contracts/avro'
import { topicKey } from '@aquifer/contracts/keys'
import { topics, VERSION_HEADER } from '@aquifer/contracts/topics'
import type { Chunks } from '@aquifer/contracts/types'
import { formatVersion } from '@aquifer/contracts/version'
import { createMemoryEventLog } from '@aquifer/event-log/memory'
import type { EventLog, LogRecord } from '@aquifer/event-log/port'
import type { Embedder } from '@aquifer/models/embedder'
import { createLexicalEmbedder } from '@aquifer/models/lexical-embedder'
import { systemClock } from '@aquifer/runtime/clock'
import { invalid, unavailable } from '@aquifer/runtime/errors'
import { createLogger } from '@aquifer/runtime/logger'
import { createMetrics } from '@aquifer/runtime/metrics'
import { createTracing } from '@aquifer/runtime/tracing'
import { openFileBlobs } from '@aquifer/stores/blobs-file'
import { createDocumentFiles } from '@aquifer/stores/document-files'
import type { Registry } from '@aquifer/stores/registry'
import { createMemoryRegistry } from '@aquifer/stores/registry-memory'
import type { VectorIndex } from '@aquifer/stores/vector-index'
import { createMemoryVectorIndex } from '@aquifer/stores/vector-index-memory'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createEmbedderService } from './service.ts'
import type { EmbedderService } from './service.ts'
import { createSweeper, isOrphan } from './sweep.ts'

const codec = createCodec('chunks')
const logger = createLogger('silent', 'test')
const TENANT = 'acme'
const BUILD = 'build-1'

interface World {
  log: EventLog
  index: VectorIndex
  registry: Registry
  service: EmbedderService
  writes: string[]
  embedded: string[]
}

let world: World
let dir: string
let closers: (() => Promise<void>)[]

async function start(
  wrap: { index?: (index: VectorIndex) => VectorIndex; embedder?: (embedder: Embedder) => Embedder } = {},
): Promise<World> {
  const log = createMemoryEventLog({ clock: systemClock, maintainEveryMs: null })
  await log.ensureTopics(Object.values(topics).map((topic) => ({ ...topic, partitions: 2 })))
  const lexical = createLexicalEmbedder()
  const embedded: string[] = []
  const counting: Embedder = {
    ...lexical,
    embed: async (passages, options) => {
      embedded.push(...passages.map(({ text }) => text))
      return await lexical.embed(passages, options)
    },
  }
  const embedder = wrap.embedder?.(counting) ?? counting
  const real = await createMemoryVectorIndex().open({
    fingerprint: embedder.fingerprint,
    dimensions: embedder.dimensions,
  })
  const registry = createMemoryRegistry()
  const writes: string[] = []
  const files = createDocumentFiles(await openFileBlobs({ path: dir }))
  const service = createEmbedderService({
    log,
    index: wrap.index?.(real) ?? real,
    registry,
    files,
    embedder,
    clock: systemClock,
    random: () => 0,
    logger,
    metrics: createMetrics(),
    tracing: createTracing(),
    probe: (write, id) => writes.push(`${write} ${id}`),
    sweepEveryMs: 60_000,
    build: BUILD,
    group: 'embedder',
  })
  await service.start()
  closers.push(async () => {
    await service.stop()
    await log.close()
  })
  return { log, index: real, registry, service, writes, embedded }
}

const version = (time: number): string =>
  formatVersion({
    appendTimeMs: Date.now() - 60_000 + time,
    topic: topics.documents.name,
    partition: 0,
    offset: time,
  })
const V = [version(0), version(1), version(2), version(3)]

function chunksOf(v: string, texts: readonly string[], more: Partial<Chunks> = {}): Chunks {
  const chunks = texts.map((text, index) => ({
    index,
    text,
    headings: ['Top'],
    page: null,
    start: index * 100,
    end: index * 100 + text.length,
  }))
  return {
    version: v,
    build: BUILD,
    part: 0,
    parts: 1,
    totalChunks: texts.length,
    title: 'T',
    contentType: 'text/plain',
    metadata: {},
    access: null,
    guard: [],
    language: null,
    fingerprint: null,
    publishedAt: 1,
    chunks,
    ...more,
  }
}

async function send(
  id: string,
  value: Chunks | null,
  options: { deletes?: string; topic?: string } = {},
): Promise<void> {
  const headers = options.deletes === undefined ? {} : { [VERSION_HEADER]: options.deletes }
  await world.log.append(options.topic ?? topics.chunks.name, [
    { key: topicKey(TENANT, id), value: value && codec.encode(value), headers },
  ])
}

async function until<T>(what: string, probe: () => Promise<T | false | undefined>): Promise<T> {
  const deadline = Date.now() + 10_000
  for (;;) {
    const found = await probe()
    if (found) return found
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const recordOf = async (id: string) => (await world.registry.lookUp(TENANT, [id])).get(id)
const settled = async (): Promise<void> => {
  await until('the lag is gone', async () => {
    const sources = [topics.chunks, topics.chunksBulk, topics.chunksRetry]
    const lags = await Promise.all(sources.map(({ name }) => world.log.lag('embedder', name)))
    return lags.every((lag) => lag === 0)
  })
}
const textsOf = async (id: string) =>
  (await world.index.fetch({ tenant: TENANT, documentId: id }, 1000)).map(({ text }) => text)

async function readTopic(topic: string): Promise<LogRecord[]> {
  const partitions = await world.log.offsets(topic)
  return (
    await Promise.all(
      partitions.map(({ partition, earliest }) => world.log.read(topic, partition, earliest, 1000)),
    )
  ).flat()
}

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'aquifer-embedder-'))
  closers = []
})
afterEach(async () => {
  for (const close of closers) await close()
  await rm(dir, { recursive: true, force: true })
})

describe('embedder service', () => {
  test('E1 the writes come in the order points, flip, indexed, clean-up, commit', async () => {
    world = await start()
    await send('a', chunksOf(V[0]!, ['one', 'two']))
    await settled()
    expect(world.writes).toEqual(['points a', 'flip a', 'indexed a', 'cleanup a', 'commit a'])
    expect((await recordOf('a'))?.visible).toMatchObject({ version: V[0], build: BUILD, chunks: 2 })
    expect(await readTopic(topics.indexed.name)).toHaveLength(1)
  })

  test('E2 a version of several parts becomes visible with its last part, and not before', async () => {
    world = await start()
    await send('a', chunksOf(V[0]!, ['old']))
    await settled()
    const whole = chunksOf(V[1]!, ['one', 'two', 'three'])
    const part = (n: number): Chunks => ({ ...whole, part: n, parts: 3, chunks: [whole.chunks[n]!] })
    await send('a', part(0))
    await send('a', part(1))
    await settled()
    expect((await recordOf('a'))?.visible?.version).toBe(V[0])
    await send('a', part(2))
    await settled()
    expect((await recordOf('a'))?.visible?.version).toBe(V[1])
    expect(await textsOf('a')).toEqual(['one', 'two', 'three'])
  })

  test('E2 a part that comes twice counts once', async () => {
    world = await start()
    const whole = chunksOf(V[0]!, ['one', 'two'])
    const first: Chunks = { ...whole, parts: 2, chunks: [whole.chunks[0]!] }
    await send('a', first)
    await send('a', first)
    await settled()
    expect((await recordOf('a'))?.visible ?? null).toBeNull()
  })

  test('E3 an older version that comes late leaves nothing behind', async () => {
    world = await start()
    await send('a', chunksOf(V[2]!, ['new']))
    await settled()
    await send('a', chunksOf(V[1]!, ['late', 'later']), { topic: topics.chunksBulk.name })
    await settled()
    expect((await recordOf('a'))?.visible?.version).toBe(V[2])
    expect(await textsOf('a')).toEqual(['new'])
  })

  test('E3 nothing rises from below a floor, and what is above it does', async () => {
    world = await start()
    await send('a', chunksOf(V[0]!, ['old']))
    await send('a', null, { deletes: V[2]! })
    await send('a', chunksOf(V[1]!, ['late']))
    await settled()
    expect(await textsOf('a')).toEqual([])
    expect(await recordOf('a')).toMatchObject({ visible: null, floor: V[2] })
    await send('a', chunksOf(V[3]!, ['again']))
    await settled()
    expect(await textsOf('a')).toEqual(['again'])
  })

  test('only changed text is embedded', async () => {
    world = await start()
    await send('a', chunksOf(V[0]!, ['one', 'two', 'three']))
    await settled()
    world.embedded.length = 0
    await send('a', chunksOf(V[1]!, ['inserted', 'one', 'two', 'three']))
    await settled()
    expect(world.embedded).toEqual(['T > Top: inserted'])
    expect(await textsOf('a')).toEqual(['inserted', 'one', 'two', 'three'])
  })

  test('text under another heading is embedded anew', async () => {
    world = await start()
    const first = chunksOf(V[0]!, ['one'])
    await send('a', first)
    await settled()
    world.embedded.length = 0
    await send('a', { ...first, version: V[1]!, chunks: [{ ...first.chunks[0]!, headings: ['Other'] }] })
    await settled()
    expect(world.embedded).toEqual(['T > Other: one'])
  })

  test('E4 a dependency that fails is waited for, and nothing is dead-lettered', async () => {
    let failures = 5
    world = await start({
      index: (index) => ({
        ...index,
        upsert: async (points) => {
          if (failures-- > 0) throw unavailable('index_down', 'down')
          await index.upsert(points)
        },
      }),
    })
    await send('a', chunksOf(V[0]!, ['one']))
    await settled()
    expect(failures).toBeLessThan(0)
    expect(await textsOf('a')).toEqual(['one'])
    expect(await readTopic(topics.chunksDlq.name)).toEqual([])
  })

  test('E4 a record that does not read is dead-lettered untouched, and the next one goes on', async () => {
    world = await start()
    const poison = Buffer.from([0, 1, 2, 3, 4, 5])
    const [place] = await world.log.append(topics.chunks.name, [
      { key: topicKey(TENANT, 'a'), value: poison, headers: { traceparent: 'kept' } },
    ])
    await send('a', chunksOf(V[0]!, ['one']))
    await settled()
    const [dead] = await readTopic(topics.chunksDlq.name)
    expect(dead?.value).toEqual(poison)
    expect(dead?.headers).toMatchObject({
      traceparent: 'kept',
      '__connect.errors.topic': topics.chunks.name,
      '__connect.errors.partition': String(place!.partition),
      '__connect.errors.offset': String(place!.offset),
      '__connect.errors.exception.class.name': 'unknown_schema',
    })
    expect(await textsOf('a')).toEqual(['one'])
  })

  test('E4 a text that the model refuses fails its own document alone', async () => {
    world = await start({
      embedder: (embedder) => ({
        ...embedder,
        embed: async (passages, options) => {
          if (passages.some(({ text }) => text.includes('refuse')))
            throw invalid('text_refused', 'the model refuses it')
          return await embedder.embed(passages, options)
        },
      }),
    })
    await world.log.append(
      topics.chunks.name,
      ['a', 'b', 'c'].map((id) => ({
        key: topicKey(TENANT, id),
        value: codec.encode(chunksOf(V[0]!, [id === 'b' ? 'refuse' : id])),
        headers: {},
      })),
    )
    await settled()
    expect(await recordOf('b')).toMatchObject({
      visible: null,
      latest: { state: 'failed', error: { code: 'text_refused' } },
    })
    expect(await textsOf('a')).toEqual(['a'])
    expect(await textsOf('c')).toEqual(['c'])
    expect(await readTopic(topics.chunksDlq.name)).toHaveLength(1)
  })

  test('E4 a replay settles the attempt that it opened, of what is visible already too', async () => {
    world = await start()
    const chunks = chunksOf(V[0]!, ['one'])
    const attempt = { version: V[0]!, title: null, contentType: null, access: null, publishedAt: 1 }
    await send('a', chunks)
    await settled()
    await world.registry.recordAttempt(TENANT, 'a', { ...attempt, state: 'failed' })
    await world.registry.recordAttempt(TENANT, 'a', { ...attempt, state: 'queued', replayedAt: 5 })
    await send('a', chunks, { topic: topics.chunksRetry.name })
    await settled()
    expect(await recordOf('a')).toMatchObject({ visible: { version: V[0] }, latest: { state: 'indexed' } })
  })

  test('chunks of another build are another generation’s', async () => {
    world = await start()
    await send('a', chunksOf(V[0]!, ['one'], { build: 'build-0' }))
    await settled()
    expect(await textsOf('a')).toEqual([])
  })
})

describe('sweeper', () => {
  test('removes builds that nothing shows, and keeps what is visible or on its way', async () => {
    world = await start()
    await send('a', chunksOf(V[1]!, ['shown']))
    await settled()
    const [shown] = await world.index.fetch({ tenant: TENANT, documentId: 'a' }, 1)
    const other = (id: string, v: string, build: string) => ({
      ...shown!,
      id,
      version: v,
      build,
      text: `${v} ${build}`,
    })
    const pending = other('00000000-0000-4000-8000-000000000003', V[2]!, BUILD)
    await world.index.upsert([
      other('00000000-0000-4000-8000-000000000001', V[0]!, BUILD),
      other('00000000-0000-4000-8000-000000000002', V[1]!, 'build-0'),
      pending,
    ])
    const sweeper = createSweeper({
      index: world.index,
      registry: world.registry,
      clock: systemClock,
      logger,
      sweepEveryMs: 1,
    })
    expect(await sweeper.sweep()).toBe(2)
    expect(await textsOf('a')).toEqual(['shown', pending.text])
  })

  test('a version that failed, is below the floor or too old to be completed is an orphan', () => {
    const build = { version: V[2]!, build: BUILD }
    const attempt = { version: V[2]!, title: null, contentType: null, access: null, publishedAt: 0 }
    const now = Date.now()
    expect(isOrphan(build, undefined, now)).toBe(false)
    expect(isOrphan(build, { visible: null, floor: V[2]!, latest: null }, now)).toBe(true)
    expect(
      isOrphan(build, { visible: null, floor: null, latest: { ...attempt, state: 'failed' } }, now),
    ).toBe(true)
    expect(
      isOrphan(build, { visible: null, floor: null, latest: { ...attempt, state: 'queued' } }, now),
    ).toBe(false)
    const week = now + 8 * 24 * 60 * 60 * 1000
    expect(isOrphan(build, undefined, week)).toBe(true)
    // Replayed so late, it is on its way all the same.
    const queued = { ...attempt, state: 'queued' as const, replayedAt: week }
    expect(isOrphan(build, { visible: null, floor: null, latest: queued }, week)).toBe(false)
  })
})
