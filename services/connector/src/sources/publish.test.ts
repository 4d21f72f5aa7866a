import { topics } from '@aquifer/contracts/topics'
import type { Document } from '@aquifer/contracts/types'
import { createMemoryEventLog } from '@aquifer/event-log/memory'
import { systemClock } from '@aquifer/runtime/clock'
import { createLogger } from '@aquifer/runtime/logger'
import { createMetrics } from '@aquifer/runtime/metrics'
import { createTracing } from '@aquifer/runtime/tracing'
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

test('publish: two at once cannot open a document by forgetting its access list', async () => {
  const log = createMemoryEventLog({ clock: systemClock, maintainEveryMs: null })
  await log.ensureTopics(Object.values(topics).map((topic) => ({ ...topic, partitions: 2 })))
  const stores = { log, registry: createMemoryRegistry(), clock: systemClock, alsoDelete: () => [] }
  const tools = {
    logger: createLogger('silent', 'test'),
    metrics: createMetrics(),
    tracing: createTracing(),
    probe: () => {},
  }
  const { publish } = createPublisher({ ...stores, ...tools } as unknown as PublisherDeps)
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
