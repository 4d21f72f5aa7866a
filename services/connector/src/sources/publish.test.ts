import { topics } from '@aquifer/contracts/topics'
import type { Document } from '@aquifer/contracts/types'
import { createMemoryEventLog } from '@aquifer/event-log/memory'
import type { EventLog } from '@aquifer/event-log/port'
import { systemClock } from '@aquifer/runtime/clock'
import { invalid, unavailable } from '@aquifer/runtime/errors'
import { createLogger } from '@aquifer/runtime/logger'
import { createMetrics } from '@aquifer/runtime/metrics'
import { createTracing } from '@aquifer/runtime/tracing'
import { createMemoryBlobs } from '@aquifer/stores/blobs-memory'
import { createMemoryRegistry } from '@aquifer/stores/registry-memory'
import { expect, test } from 'vitest'
import type { PublisherDeps } from '../deps.ts'
import { createPublisher } from './publish.ts'

const document: Document = {
  id: 'a',
  content: Buffer.from('text'),
  blob: null,
  contentType: 'text/plain',
  filename: null,
  title: null,
  metadata: {},
  access: null,
  open: false,
  publishedAt: 0,
}

const stores = async () => {
  const log = createMemoryEventLog({ clock: systemClock, maintainEveryMs: null })
  await log.ensureTopics(Object.values(topics).map((topic) => ({ ...topic, partitions: 2 })))
  return { log, registry: createMemoryRegistry(), blobs: createMemoryBlobs() }
}
/** A publisher on these stores. */
const publisherOn = (given: Pick<PublisherDeps, 'log' | 'registry' | 'blobs'>) =>
  createPublisher({
    ...given,
    clock: systemClock,
    alsoDelete: () => [],
    logger: createLogger('silent', 'test'),
    metrics: createMetrics(),
    tracing: createTracing(),
    probe: () => {},
  } as unknown as PublisherDeps)

test('publish: an upload goes where the publication failed for certain, and stays where the log may hold it', async () => {
  const { log, registry, blobs } = await stores()
  const blob = 'uploads/acme/u'
  const large = { ...document, content: null, blob }
  const attempt = async (wrong: Partial<EventLog>, of: Document = large) => {
    await blobs.put(blob, Buffer.from('content'))
    const { publish } = publisherOn({ log: { ...log, ...wrong }, registry, blobs })
    await expect(publish('acme', of, '')).rejects.toThrow()
    return String(await blobs.get(blob))
  }
  const answerLost = async (...appended: Parameters<EventLog['append']>): Promise<never> => {
    await log.append(...appended)
    throw unavailable('log_unavailable', 'the answer was lost')
  }
  const refused = async (): Promise<never> => {
    throw invalid('record_too_large', 'refused')
  }
  expect(await attempt({ append: answerLost })).toBe('content')
  expect(await attempt({ append: refused })).toBe('null')
  expect(await attempt({}, { ...large, id: '' })).toBe('null')
  await publisherOn({ log, registry, blobs }).publish('acme', { ...document, access: ['hr'] }, '')
  expect(await attempt({})).toBe('null')
  await log.close()
})

test('publish: two at once cannot open a document by forgetting its access list', async () => {
  const { log, registry, blobs } = await stores()
  const { publish } = publisherOn({ log, registry, blobs })
  const [restricted, forgotten, other] = await Promise.allSettled([
    publish('acme', { ...document, access: ['hr'] }, ''),
    publish('acme', document, ''),
    publish('globex', document, ''),
  ])
  expect(restricted.status).toBe('fulfilled')
  expect(forgotten).toMatchObject({ status: 'rejected', reason: { code: 'access_required' } })
  expect(other.status).toBe('fulfilled')
  await log.close()
})
