import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { CHUNKS_RETENTION_MS, topics } from '@aquifer/contracts/topics'
import { createSqliteEventLog } from '@aquifer/event-log/sqlite'
import { startRedis } from '@aquifer/infra/redis'
import { startTestPart } from '@aquifer/infra/test-part'
import { systemClock } from '@aquifer/runtime/clock'
import { createLogger } from '@aquifer/runtime/logger'
import { openRedis } from '@aquifer/stores/redis'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  eventually,
  newDataDir,
  publish,
  removeDataDir,
  request,
  search,
  startServer,
} from './harness/server.ts'
import type { Server } from './harness/server.ts'

const redis = await startTestPart('redis', startRedis)
if (!('missing' in redis)) afterAll(redis.stop)

let dataDir: string
beforeEach(async () => {
  dataDir = await newDataDir()
})
afterEach(async () => {
  await removeDataDir(dataDir)
})

const TEXT = Array.from({ length: 20 }, (_, i) => `## Part ${i}\n\nThe heron of this place is number ${i}.`)
const text = (id: string) => `# ${id}\n\n${TEXT.join('\n\n')}`

interface Document {
  state: string
  visibleVersion: string | null
  title: string | null
  contentType: string | null
  access: string[] | null
  language: string | null
  similar: { id: string }[]
  latest: { error?: { code: string } }
}
const find = async (server: Server, id: string) =>
  await request<Document>(server, 'GET', `/v1/documents/${id}`)
const settledAs = async (server: Server, id: string, state: string) =>
  await eventually(
    `${id} is ${state}`,
    async () => (await find(server, id)).body.state === state && (await find(server, id)).body,
  )

/** The log of a stopped system. */
async function withLog(
  work: (log: ReturnType<typeof createSqliteEventLog>) => Promise<unknown>,
  inMs = 0,
): Promise<void> {
  const clock = { ...systemClock, now: () => Date.now() + inMs }
  const log = createSqliteEventLog({ path: join(dataDir, 'log.db'), clock, maintainEveryMs: null })
  try {
    await work(log)
  } finally {
    await log.close()
  }
}

async function embeddedChunks(server: Server): Promise<number> {
  const { body } = await request<string>(server, 'GET', '/metrics')
  return Number(/^aquifer_chunks_total\{vector="embedded"\} (\d+)/m.exec(body)?.[1] ?? 0)
}

const readAgain = async (server: Server) =>
  await eventually('the log was read again', async () => {
    const { status, body } = await request<{ lag: Record<string, number> }>(server, 'GET', '/v1/status')
    return status === 200 && body.lag['connector'] === 0 && body.lag['embedder'] === 0
  })

const embedded = async () => {
  for (const name of readdirSync(dataDir)) if (/^registry-.*\.db/.test(name)) rmSync(join(dataDir, name))
}
const flushed = async () => {
  const options = { url: redisUrl(), logger: createLogger('silent', 'test'), random: Math.random }
  const connection = await openRedis(options)
  await connection.as('state_unavailable').run(async (client) => await client.flushall())
  await connection.close()
}
const redisUrl = () => ('missing' in redis ? '' : redis.part.url)

describe.each([
  { where: 'a file', missing: null, env: () => ({}), lose: embedded },
  {
    where: 'redis',
    missing: 'missing' in redis ? redis.missing : null,
    env: () => ({ AQUIFER_STATE: redisUrl() }),
    lose: flushed,
  },
])('a lost registry in $where', ({ missing, env, lose }) => {
  const start = async () => {
    const options = { AQUIFER_EMBEDDER: 'lexical:', AQUIFER_PARTITIONS: '2', ...env() }
    const server = await startServer(dataDir, options)
    await eventually('it answers', async () => (await request(server, 'GET', '/v1/status')).status === 200)
    return server
  }

  test('comes back from what is indexed, with what compaction took from the log, and nothing is embedded again', async (context) => {
    if (missing !== null) context.skip(missing)
    const first = await start()
    const headers = { 'Aquifer-Title': 'A title', 'Aquifer-Metadata': JSON.stringify({ year: 2026 }) }
    await publish(first, 'plain', text('plain'), headers)
    await publish(first, 'broken', text('broken'))
    await publish(first, 'secret', text('secret'), { 'Aquifer-Access': 'hr' })
    await publish(first, 'gone', text('gone'))
    for (const id of ['plain', 'broken', 'secret', 'gone']) await settledAs(first, id, 'indexed')
    expect((await request(first, 'DELETE', '/v1/documents/gone')).status).toBe(202)
    await readAgain(first)
    await first.kill('SIGTERM')
    await withLog(
      async (log) =>
        await log.append(topics.documents.name, [
          { key: 'default/secret', value: Buffer.from(JSON.stringify({ content: 'for whom?' })) },
          { key: 'default/broken', value: Buffer.from('{') },
        ]),
    )
    const second = await start()
    await settledAs(second, 'broken', 'failed')
    await settledAs(second, 'secret', 'failed')
    await readAgain(second)
    const before = new Map<string, Document>()
    for (const id of ['plain', 'broken', 'secret']) before.set(id, (await find(second, id)).body)
    await second.kill('SIGTERM')

    // As of a log that was compacted, and keeps no chunks any more.
    await withLog(async (log) => {
      await log.maintain()
      const keysOf = async (topic: string) =>
        (await Promise.all([0, 1].map((p) => log.read(topic, p, 0, 100))))
          .flat()
          .map(({ key }) => String(key))
      const all = ['broken', 'gone', 'plain', 'secret'].map((id) => `default/${id}`)
      expect((await keysOf(topics.documents.name)).toSorted()).toEqual(all)
      expect(await keysOf(topics.chunks.name)).toEqual([])
    }, 2 * CHUNKS_RETENTION_MS)
    await lose()
    const third = await start()
    try {
      await readAgain(third)
      for (const [id, shown] of before) {
        const { visibleVersion, title, contentType, access, state, language } = shown
        const now = await settledAs(third, id, state)
        expect([id, now]).toMatchObject([id, { visibleVersion, title, contentType, access, language }])
        expect(language).toBe('en')
        expect(visibleVersion).not.toBeNull()
      }
      for (const [id, { similar }] of before) {
        expect((await find(third, id)).body.similar).toEqual(similar)
        expect(similar).toHaveLength(2)
      }
      expect((await find(third, 'secret')).body.latest.error?.code).toBe('access_required')
      expect((await find(third, 'gone')).body).toMatchObject({ state: 'deleted', visibleVersion: null })
      const filter = { field: 'year', op: 'eq', value: 2026 }
      expect((await search(third, 'heron', { filter })).hits[0]?.documentId).toBe('plain')
      const shown = new Set((await search(third, 'heron', { limit: 100 })).hits.map((hit) => hit.documentId))
      expect(shown).toEqual(new Set(['plain', 'broken', 'secret']))
      expect(await embeddedChunks(third)).toBe(0)
    } finally {
      await third.kill('SIGTERM')
    }
  })

  test('shows nothing that was deleted, though its deletion was not told yet', async (context) => {
    if (missing !== null) context.skip(missing)
    const first = await start()
    await publish(first, 'a', text('a'))
    await settledAs(first, 'a', 'indexed')
    await first.kill('SIGTERM')
    // As of a process that died after the append, before its consumers had it.
    await withLog(async (log) => await log.append(topics.documents.name, [{ key: 'default/a', value: null }]))
    await lose()
    const second = await start()
    try {
      expect((await search(second, 'heron')).hits).toEqual([])
    } finally {
      await second.kill('SIGTERM')
    }
  })
})

test('a registry in redis that is lost while the system runs comes back without a restart', async (context) => {
  if ('missing' in redis) context.skip(redis.missing)
  const server = await startServer(dataDir, { AQUIFER_EMBEDDER: 'lexical:', AQUIFER_STATE: redisUrl() })
  try {
    const answers = async (id: string) =>
      await eventually(`${id} is found`, async () => {
        const body = { query: 'heron', limit: 100 }
        const answer = await request<{ hits: { documentId: string }[] }>(server, 'POST', '/v1/search', {
          body,
        })
        return answer.status === 200 && answer.body.hits.some(({ documentId }) => documentId === id)
      })
    await eventually('it takes documents', async () => {
      const headers = { 'Content-Type': 'text/markdown' }
      return (await request(server, 'PUT', '/v1/documents/a', { raw: text('a'), headers })).status === 202
    })
    await answers('a')
    const before = await embeddedChunks(server)
    await flushed()
    await answers('a')
    await eventually('it takes documents again', async () => {
      const headers = { 'Content-Type': 'text/markdown' }
      return (await request(server, 'PUT', '/v1/documents/b', { raw: 'One.', headers })).status === 202
    })
    await readAgain(server)
    expect(await embeddedChunks(server)).toBe(before + 1)
  } finally {
    await server.kill('SIGTERM')
  }
})
