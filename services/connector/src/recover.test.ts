import { topics } from '@aquifer/contracts/topics'
import { formatVersion } from '@aquifer/contracts/version'
import { createMemoryEventLog } from '@aquifer/event-log/memory'
import type { Clock } from '@aquifer/runtime/clock'
import { createLogger } from '@aquifer/runtime/logger'
import { createMemoryRegistry } from '@aquifer/stores/registry-memory'
import { expect, test } from 'vitest'
import type { ConsumerDeps } from './deps.ts'
import { createRecovery } from './recover.ts'

const DAY = 24 * 60 * 60 * 1000

test('recovery: documents that stay queued, however many, do not hide the ones after them', async () => {
  let now = Date.UTC(2026, 0, 1)
  const clock: Clock = { now: () => now, sleep: async () => {} }
  const log = createMemoryEventLog({ clock, maintainEveryMs: null })
  const topic = topics.documents.name
  await log.ensureTopics([{ ...topics.documents, partitions: 2 }])
  const registry = createMemoryRegistry()
  const ids = Array.from({ length: 250 }, (_, i) => `stuck ${i}`)
  const records = ids.map((id) => ({ key: `acme/${id}`, value: Buffer.from('{}') }))
  for (const [i, position] of (await log.append(topic, records)).entries()) {
    await registry.recordAttempt('acme', ids[i]!, {
      version: formatVersion({ ...position, topic }),
      state: 'queued',
      title: null,
      contentType: null,
      access: null,
      publishedAt: now,
    })
  }
  now += 6.5 * DAY
  const processed: string[] = []
  const deps = { log, registry, clock, logger: createLogger('silent', 'test') } as unknown as ConsumerDeps
  const { recover } = createRecovery(deps, async (record) => {
    processed.push(String(record.key))
  })
  expect(await recover(new AbortController().signal)).toBe(ids.length)
  expect(processed.toSorted()).toEqual(ids.map((id) => `acme/${id}`).toSorted())
  await log.close()
})

test('recovery: a document queued for so long that its chunks expire is processed again at its own version', async () => {
  let now = Date.UTC(2026, 0, 1)
  const clock: Clock = { now: () => now, sleep: async () => {} }
  const log = createMemoryEventLog({ clock, maintainEveryMs: null })
  const topic = topics.documents.name
  await log.ensureTopics([{ ...topics.documents, partitions: 2 }])
  const registry = createMemoryRegistry()
  const attempt = { state: 'queued', title: null, contentType: null, access: null, publishedAt: now } as const
  const publish = async (id: string): Promise<string> => {
    const [position] = await log.append(topic, [{ key: `acme/${id}`, value: Buffer.from('{}') }])
    const version = formatVersion({ ...position!, topic })
    await registry.recordAttempt('acme', id, { ...attempt, version })
    return version
  }
  const stuck = await publish('stuck')
  now += 6.5 * DAY
  await publish('recent')
  const processed: string[] = []
  const deps = { log, registry, clock, logger: createLogger('silent', 'test') } as unknown as ConsumerDeps
  const { recover } = createRecovery(deps, async (record, version) => {
    processed.push(`${record.key?.toString()} ${version}`)
  })
  expect(await recover(new AbortController().signal)).toBe(1)
  expect(processed).toEqual([`acme/stuck ${stuck}`])
  await log.close()
})
