import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { topics } from '@aquifer/contracts/topics'
import { createSqliteEventLog } from '@aquifer/event-log/sqlite'
import { systemClock } from '@aquifer/runtime/clock'
import { readConfig } from '@aquifer/runtime/config'
import { createLogger } from '@aquifer/runtime/logger'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startSystem } from './system.ts'
import type { System } from './system.ts'

const logger = createLogger('silent', 'test')
let dataDir: string
let running: System | null

async function start(): Promise<System> {
  const env = { AQUIFER_DATA_DIR: dataDir, AQUIFER_EMBEDDER: 'lexical:', AQUIFER_PORT: '0' }
  running = await startSystem({ config: readConfig(env, dataDir), logger })
  return running
}
async function stop(): Promise<void> {
  const system = running
  running = null
  await system?.stop()
}

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'aquifer-system-'))
  running = null
})
afterEach(async () => {
  await stop()
  await rm(dataDir, { recursive: true, force: true })
})

async function publish({ url }: System, id: string, text: string, headers = {}): Promise<string> {
  const response = await fetch(`${url}/v1/documents/${id}`, {
    method: 'PUT',
    headers: { 'Content-Type': 'text/plain', ...headers },
    body: text,
  })
  expect(response.status).toBe(202)
  return ((await response.json()) as { receipt: string }).receipt
}
async function post({ url }: System, path: string, body: object, headers = {}): Promise<Response> {
  return await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}
async function until<T>(what: string, probe: () => Promise<T | false | null>): Promise<T> {
  const deadline = Date.now() + 20_000
  for (;;) {
    const found = await probe()
    if (found) return found
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
const traceparent = (traceId: string) => `00-${traceId}-00f067aa0ba902b7-01`

test('system: one trace id goes from a publication to the index, and from a question to its evaluation', async () => {
  const [published, asked] = ['1'.repeat(32), '2'.repeat(32)]
  const system = await start()
  const receipt = await publish(system, 'river', 'The river rises in spring.', {
    traceparent: traceparent(published),
  })
  const response = await post(
    system,
    '/v1/chat/completions',
    {
      messages: [{ role: 'user', content: 'When does the river rise?' }],
      aquifer: { after: receipt, timeoutMs: 20_000 },
    },
    { traceparent: traceparent(asked) },
  )
  const { aquifer } = (await response.json()) as {
    aquifer: { answerId: string; traceId: string; fresh: boolean }
  }
  expect(aquifer).toMatchObject({ traceId: asked, fresh: true })
  await until('it is evaluated', async () => {
    const kept = await fetch(`${system.url}/v1/answers/${aquifer.answerId}`)
    return ((await kept.json()) as { evaluation: object | null }).evaluation
  })
  await stop()

  const log = createSqliteEventLog({ path: join(dataDir, 'log.db'), clock: systemClock })
  const tracesOf = async (topic: string): Promise<string[]> => {
    const partitions = await log.offsets(topic)
    const records = await Promise.all(partitions.map(({ partition }) => log.read(topic, partition, 0, 100)))
    return records.flat().map(({ headers }) => headers['traceparent']?.split('-')[1] ?? 'none')
  }
  try {
    for (const topic of [topics.documents, topics.chunks, topics.indexed])
      expect([topic.name, await tracesOf(topic.name)]).toEqual([topic.name, [published]])
    for (const topic of [topics.answersSampled, topics.evaluations])
      expect([topic.name, await tracesOf(topic.name)]).toEqual([topic.name, [asked]])
  } finally {
    await log.close()
  }
})

test('system: a stop while documents come in and an answer streams loses neither', async () => {
  const system = await start()
  const ids = Array.from({ length: 24 }, (_, i) => `doc-${i}`)
  const receipts = await Promise.all(
    ids.map(
      async (id) =>
        await publish(
          system,
          id,
          `Document ${id} speaks of the heron.\n\n${`Reeds of ${id} bend. `.repeat(50)}`,
        ),
    ),
  )
  const streaming = post(system, '/v1/chat/completions', {
    messages: [{ role: 'user', content: 'What does the document speak of?' }],
    stream: true,
    aquifer: { after: receipts, timeoutMs: 8000 },
  })
  // Its answer comes after the question has arrived: connections are taken in their order.
  await fetch(`${system.url}/livez`)
  const stopped = stop()
  const response = await streaming
  const text = await response.text()
  expect([
    response.status,
    text.includes('"finish_reason":"stop"'),
    text.trimEnd().endsWith('[DONE]'),
  ]).toEqual([200, true, true])
  await stopped
  await expect(fetch(`${system.url}/livez`)).rejects.toThrow()

  const again = await start()
  for (const [i, id] of ids.entries()) {
    const found = await post(again, '/v1/search', {
      query: `heron ${id}`,
      after: receipts[i],
      timeoutMs: 20_000,
      limit: 100,
    })
    const { fresh, hits } = (await found.json()) as { fresh: boolean; hits: { documentId: string }[] }
    expect([id, fresh, hits.some(({ documentId }) => documentId === id)]).toEqual([id, true, true])
  }
})

test('system: documents accepted just before the stop are indexed after the next start', async () => {
  const system = await start()
  const receipts = await Promise.all(
    Array.from(
      { length: 40 },
      async (_, i) => await publish(system, `late-${i}`, `late number ${i} of the heron`),
    ),
  )
  await stop()
  const again = await start()
  const found = await post(again, '/v1/search', {
    query: 'heron',
    after: receipts,
    timeoutMs: 20_000,
    limit: 100,
  })
  const { fresh, hits } = (await found.json()) as { fresh: boolean; hits: { documentId: string }[] }
  expect([fresh, new Set(hits.map(({ documentId }) => documentId)).size]).toEqual([true, 40])
})

test('system: a data directory has one owner', async () => {
  await start()
  const config = readConfig(
    { AQUIFER_DATA_DIR: dataDir, AQUIFER_EMBEDDER: 'lexical:', AQUIFER_PORT: '0' },
    dataDir,
  )
  await expect(startSystem({ config, logger })).rejects.toMatchObject({ code: 'data_dir_in_use' })
})
