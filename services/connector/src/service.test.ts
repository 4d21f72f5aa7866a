import { MAX_INLINE_BYTES, REPLAYED_AT_HEADER, topics, VERSION_HEADER } from '@aquifer/contracts/topics'
import { formatVersion } from '@aquifer/contracts/version'
import { unavailable } from '@aquifer/runtime/errors'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createParsePool } from './parse-pool.ts'
import type { ParsePool } from './parse-pool.ts'
import { avroDocument, chunksCodec, createWorld, TENANT, until } from './world.fixture.ts'
import type { World } from './world.fixture.ts'

const DOCUMENTS = topics.documents.name

let parsePool: ParsePool
let world: World

beforeAll(() => {
  parsePool = createParsePool({ tokenizerPath: null })
})
afterAll(async () => await parsePool.close())
beforeEach(async () => {
  world = await createWorld()
})
afterEach(async () => await world.close())

const text = (content: string, more: object = {}) => ({ content, contentType: 'text/plain', ...more })
const versionOf = (
  position: { partition: number; offset: number; appendTimeMs: number },
  topic = DOCUMENTS,
) => formatVersion({ ...position, topic })

describe('connector: the way of a document', () => {
  test('C1 the writes come in the order attempt, source, text, chunks, commit', async () => {
    await world.start({ parsePool })
    const version = versionOf(await world.send(DOCUMENTS, 'a', text('The heron waits.')))
    await world.settled()
    expect(world.writes).toEqual(['queued a', 'source a', 'text a', 'chunks a', `commit ${TENANT}/a`])
    const [chunks] = await world.chunksOf('a')
    expect(chunks).toMatchObject({ version, build: 'build-1', part: 0, parts: 1, totalChunks: 1 })
    const key = { tenant: TENANT, documentId: 'a', version }
    expect(await world.files.text(key)).toContain('The heron waits.')
    expect(await world.record('a')).toMatchObject({ latest: { version, state: 'queued' }, visible: null })
  })

  test('C2 the events of one document come out in their order, whatever comes between', async () => {
    const versions: string[] = []
    for (let round = 0; round < 6; round++) {
      versions.push(versionOf(await world.send(DOCUMENTS, 'a', text(`round ${round}`))))
      await world.send(DOCUMENTS, `other-${round}`, text(`${'word '.repeat(2000)} ${round}`))
    }
    await world.send(DOCUMENTS, 'a', null)
    await world.start({ parsePool })
    await world.settled()
    const passed = await world.chunksOf('a')
    expect(passed.map((chunks) => chunks?.version ?? null)).toEqual([...versions, null])
    expect(passed.slice(0, -1).map((chunks) => chunks!.chunks[0]!.text)).toEqual(
      versions.map((_, round) => `round ${round}`),
    )
  })

  test('plain JSON, CloudEvents and Avro say the same', async () => {
    await world.start({ parsePool })
    await world.send(DOCUMENTS, 'json', { content: '# Reeds\n\nThey bend.', contentType: 'text/markdown' })
    await world.send(DOCUMENTS, 'event', Buffer.from('# Reeds\n\nThey bend.'), {
      ce_specversion: '1.0',
      ce_id: '1',
      ce_source: '/test',
      ce_type: 'document',
      'content-type': 'text/markdown',
    })
    await world.send(
      DOCUMENTS,
      'avro',
      avroDocument('avro', '# Reeds\n\nThey bend.', { contentType: 'text/markdown' }),
    )
    await world.settled()
    const [json, event, avro] = await Promise.all(
      ['json', 'event', 'avro'].map(async (id) => (await world.chunksOf(id))[0]!.chunks),
    )
    expect(json!.length).toBeGreaterThan(0)
    expect(event).toEqual(json)
    expect(avro).toEqual(json)
  })

  test.each([
    ['application/octet-stream', 'reeds.md', '# Reeds', 'text/markdown'],
    ['text/plain', 'reeds.html', '<!doctype html><p>They bend.</p>', 'text/html'],
    ['text/plain; charset=utf-8', null, 'They bend.', 'text/plain; charset=utf-8'],
  ])('what is declared as %s and called %s shows the type that it was read as', async (...of) => {
    const [contentType, filename, content, known] = of
    await world.start({ parsePool })
    const value = avroDocument('a', content, { contentType, filename })
    const version = versionOf(await world.send(DOCUMENTS, 'a', value))
    await world.settled()
    expect((await world.chunksOf('a'))[0]).toMatchObject({ contentType: known })
    // From here a registry is restored, and the original served.
    const source = await world.files.source({ tenant: TENANT, documentId: 'a', version })
    expect(source).toMatchObject({ contentType: known, filename })
    expect((await source!.content.toArray()).join('')).toBe(content)
  })

  test('the bulk topic and replays go to the bulk chunks, a replay at its origin’s version', async () => {
    await world.start({ parsePool })
    const bulk = versionOf(
      await world.send(topics.documentsBulk.name, 'b', text('in bulk')),
      topics.documentsBulk.name,
    )
    const origin = formatVersion({ appendTimeMs: 5, topic: DOCUMENTS, partition: 1, offset: 7 })
    await world.send(topics.documentsRetry.name, 'r', text('again'), { [VERSION_HEADER]: origin })
    await world.settled()
    expect((await world.chunksOf('b', topics.chunksBulk.name)).map((chunks) => chunks?.version)).toEqual([
      bulk,
    ])
    expect((await world.chunksOf('r', topics.chunksBulk.name)).map((chunks) => chunks?.version)).toEqual([
      origin,
    ])
    expect(await world.read(topics.chunks.name)).toEqual([])
  })

  test('a replay whose version does not read is dead-lettered, and the next one goes on', async () => {
    await world.start({ parsePool })
    await world.send(topics.documentsRetry.name, 'r', text('again'), { [VERSION_HEADER]: 'nonsense' })
    const origin = formatVersion({ appendTimeMs: 5, topic: DOCUMENTS, partition: 1, offset: 7 })
    await world.send(topics.documentsRetry.name, 'r', text('again'), { [VERSION_HEADER]: origin })
    await world.settled()
    expect(await world.read(topics.documentsDlq.name)).toHaveLength(1)
    expect((await world.chunksOf('r', topics.chunksBulk.name)).map((chunks) => chunks?.version)).toEqual([
      origin,
    ])
  })

  test('a large document goes in parts of at most 512 KiB, whatever its fields take', async () => {
    await world.start({ parsePool })
    const body = Array.from(
      { length: 24_000 },
      (_, i) => `Sentence ${i} speaks of the river délta 😀 again.`,
    ).join('\n\n')
    await world.blobs.put(`uploads/${TENANT}/big`, Buffer.from(body))
    const document = avroDocument('big', '', {
      content: null,
      blob: `uploads/${TENANT}/big`,
      title: 'é'.repeat(1000),
      metadata: { filler: 'm'.repeat(16_000) },
      access: Array.from({ length: 256 }, (_, i) => `${i}${'g'.repeat(250)}`),
    })
    await world.send(DOCUMENTS, 'big', document)
    await world.settled()
    const records = await world.read(topics.chunks.name)
    expect(records.length).toBeGreaterThan(2)
    for (const { value } of records) expect(value!.length).toBeLessThanOrEqual(MAX_INLINE_BYTES)
    const parts = records.map(({ value }) => chunksCodec.decode(value!))
    expect(parts.map(({ part }) => part)).toEqual(parts.map((_, i) => i))
    expect(new Set(parts.map((part) => part.parts))).toEqual(new Set([parts.length]))
    const indexes = parts.flatMap((part) => part.chunks.map(({ index }) => index))
    expect(indexes).toEqual(Array.from({ length: parts[0]!.totalChunks }, (_, i) => i))
  })

  test('killed after the chunks and before the commit: the redelivery writes the same again', async () => {
    const version = versionOf(await world.send(DOCUMENTS, 'a', text('Twice the same.', { title: 'T' })))
    let crashed = false
    await world.start({
      parsePool,
      onWrite: (write) => {
        if (write === 'chunks' && !crashed) world.crash()
        crashed ||= write === 'chunks'
      },
    })
    await until('the first process is dead', async () => crashed)
    await world.start({ parsePool })
    await world.settled()
    const records = await world.read(topics.chunks.name)
    expect(records).toHaveLength(2)
    expect(records[1]!.value).toEqual(records[0]!.value)
    expect(await world.record('a')).toMatchObject({ latest: { version, state: 'queued' } })
    expect(await world.read(topics.documentsDlq.name)).toEqual([])
  })
})

test('what failed and comes again is on its way: it shows as queued', async () => {
  const v = versionOf(await world.send(DOCUMENTS, 'a', text('The heron waits.')))
  const attempt = { version: v, title: null, contentType: null, access: null, publishedAt: 1 }
  await world.registry.recordAttempt(TENANT, 'a', { ...attempt, state: 'failed', replayedAt: 7 })
  await world.start({ parsePool })
  await world.settled()
  expect((await world.record('a'))?.latest).toMatchObject({ state: 'queued', replayedAt: 8 })
  const [record] = await world.read(topics.chunks.name)
  expect(record!.headers[REPLAYED_AT_HEADER]).toBe('8')
})

describe('connector: deletions', () => {
  test('C4 the floor is raised before the tombstone goes on', async () => {
    let failures = 4
    let tombstonesBefore = -1
    await world.start({
      parsePool,
      registry: (registry) => ({
        ...registry,
        raiseFloor: async (...of) => {
          tombstonesBefore = (await world.chunksOf('a')).filter((chunks) => chunks === null).length
          if (failures-- > 0) throw unavailable('registry_down', 'down')
          await registry.raiseFloor(...of)
        },
      }),
    })
    await world.send(DOCUMENTS, 'a', text('here today'))
    const version = versionOf(await world.send(DOCUMENTS, 'a', null))
    await world.settled()
    expect(tombstonesBefore).toBe(0)
    expect(world.writes.filter((write) => !write.startsWith('commit')).slice(-2)).toEqual([
      'floor a',
      'chunks a',
    ])
    const tombstone = (await world.read(topics.chunks.name)).at(-1)!
    expect([tombstone.value, tombstone.headers[VERSION_HEADER]]).toEqual([null, version])
    expect(await world.record('a')).toMatchObject({ floor: version, latest: { state: 'deleted' } })
  })

  test('what is below the floor is not processed any more', async () => {
    await world.send(DOCUMENTS, 'a', text('too late'))
    await world.registry.raiseFloor(
      TENANT,
      'a',
      formatVersion({ appendTimeMs: Date.now() + 60_000, topic: DOCUMENTS, partition: 0, offset: 0 }),
    )
    await world.start({ parsePool })
    await world.settled()
    expect(await world.read(topics.chunks.name)).toEqual([])
    expect(await world.record('a')).toMatchObject({ latest: { state: 'deleted' } })
  })
})

describe('connector: what is visible already', () => {
  test('is not parsed again by the build that made it, unless something waits for it', async () => {
    const visible = {
      chunks: 1,
      title: null,
      contentType: 'text/plain',
      access: null,
      metadata: {},
      guard: [],
      language: null,
      fingerprint: null,
    }
    const show = async (id: string, build: string): Promise<string> => {
      const version = formatVersion({ ...(await world.send(DOCUMENTS, id, text('seen'))), topic: DOCUMENTS })
      await world.registry.flip(TENANT, id, { ...visible, version, build, publishedAt: 1, indexedAt: 2 })
      return version
    }
    await show('same', 'build-1')
    await show('other', 'build-0')
    const replayed = await show('replayed', 'build-1')
    const attempt = { version: replayed, title: null, contentType: null, access: null, publishedAt: 1 }
    await world.registry.recordAttempt(TENANT, 'replayed', { ...attempt, state: 'failed' })
    await world.start({ parsePool })
    await world.settled()
    const parsed = await Promise.all(['same', 'other', 'replayed'].map((id) => world.chunksOf(id)))
    expect(parsed.map((chunks) => chunks.length)).toEqual([0, 1, 1])
  })
})

describe('connector: access lists', () => {
  test('a restricted document is not opened by leaving the list out, once or twice', async () => {
    await world.start({ parsePool })
    await world.send(DOCUMENTS, 'a', text('for hr', { access: ['hr'] }))
    await world.send(DOCUMENTS, 'a', text('forgotten'))
    await world.send(DOCUMENTS, 'a', text('forgotten again'))
    await world.send(DOCUMENTS, 'a', Buffer.from('{'))
    await world.send(DOCUMENTS, 'a', text('forgotten once more'))
    await world.settled()
    expect((await world.chunksOf('a')).map((chunks) => chunks?.access)).toEqual([['hr']])
    expect(await world.record('a')).toMatchObject({
      latest: { error: { code: 'access_required' }, access: ['hr'] },
    })
  })

  test('it is opened by saying so', async () => {
    await world.start({ parsePool })
    await world.send(DOCUMENTS, 'a', text('for hr', { access: ['hr'] }))
    await world.send(DOCUMENTS, 'a', text('for all', { access: null }))
    await world.settled()
    expect((await world.chunksOf('a')).map((chunks) => chunks?.access)).toEqual([['hr'], null])
  })
})

describe('connector: a dependency that fails', () => {
  test('the blob store and the registry are waited for, and nothing is dead-lettered', async () => {
    let blobFailures = 3
    let registryFailures = 3
    await world.blobs.put(`uploads/${TENANT}/b`, Buffer.from('in the store'))
    await world.start({
      parsePool,
      blobs: (blobs) => ({
        ...blobs,
        get: async (key) => {
          if (blobFailures-- > 0) throw unavailable('blob_store_failed', 'down')
          return await blobs.get(key)
        },
        put: async (...of) => {
          if (blobFailures-- > -3) throw unavailable('blob_store_failed', 'down')
          return await blobs.put(...of)
        },
      }),
      registry: (registry) => ({
        ...registry,
        recordAttempt: async (...of) => {
          if (registryFailures-- > 0) throw new Error('connection reset')
          await registry.recordAttempt(...of)
        },
      }),
    })
    await world.send(DOCUMENTS, 'a', avroDocument('a', '', { content: null, blob: `uploads/${TENANT}/b` }))
    await world.settled()
    expect((await world.chunksOf('a')).map((chunks) => chunks?.chunks[0]?.text)).toEqual(['in the store'])
    expect([blobFailures < -2, registryFailures < 0]).toEqual([true, true])
    expect(await world.read(topics.documentsDlq.name)).toEqual([])
  })

  test('a host elsewhere is none: after a few attempts its document fails, and the next goes on', async () => {
    await world.start({ parsePool, limits: { uriHosts: ['aquifer-test.invalid', 'localhost'] } })
    await world.send(DOCUMENTS, 'a', { uri: 'https://aquifer-test.invalid/a.txt' })
    await world.send(DOCUMENTS, 'private', { uri: 'https://localhost/a.txt' })
    await world.send(DOCUMENTS, 'next', text('the stream goes on'))
    await world.settled()
    expect((await world.record('a'))?.latest).toMatchObject({
      state: 'failed',
      error: { code: 'uri_unavailable' },
    })
    expect((await world.record('private'))?.latest).toMatchObject({
      state: 'failed',
      error: { code: 'invalid_uri' },
    })
    expect(await world.chunksOf('next')).toHaveLength(1)
  })
})
