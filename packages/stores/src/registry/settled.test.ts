import { createCodec } from '@aquifer/contracts/avro'
import { topics } from '@aquifer/contracts/topics'
import type { Indexed } from '@aquifer/contracts/types'
import { createMemoryEventLog } from '@aquifer/event-log/memory'
import type { EventLog } from '@aquifer/event-log/port'
import { systemClock } from '@aquifer/runtime/clock'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { attempt, versionAt, visible } from '../../conformance/registry-values.ts'
import { createMemoryRegistry } from './memory.ts'
import type { Registry } from './port.ts'
import { tellSettled } from './settled.ts'

const codec = createCodec('indexed')
let log: EventLog
let registry: Registry
beforeEach(async () => {
  log = createMemoryEventLog({ clock: systemClock, maintainEveryMs: null })
  await log.ensureTopics([{ ...topics.indexed, partitions: 1 }])
  registry = createMemoryRegistry()
})
afterEach(async () => await log.close())

const told = async (): Promise<Indexed[]> =>
  (await log.read(topics.indexed.name, 0, 0, 100)).map(({ value }) => codec.decode(value!))

async function tell(n: number, state: 'indexed' | 'failed', through: Registry = registry): Promise<void> {
  await tellSettled(
    { log, registry: through, codec, clock: systemClock },
    { tenant: 'acme', documentId: 'a', key: Buffer.from('acme/a'), headers: {} },
    { version: versionAt(n), state, error: null, embedder: null, reusedVectors: 0, publishedAt: 1 },
  )
}

describe('the record of indexed that stays', () => {
  test('says what is visible, although that came between the look and the append of another', async () => {
    await registry.recordAttempt('acme', 'a', attempt(2, { state: 'failed' }))
    let looks = 0
    const raced: Registry = {
      ...registry,
      async lookUp(tenant, ids) {
        const seen = await registry.lookUp(tenant, ids)
        if (looks++ === 0) {
          await registry.flip('acme', 'a', visible(1))
          await tell(1, 'indexed')
        }
        return seen
      },
    }
    await tell(2, 'failed', raced)
    expect((await told()).at(-1)).toMatchObject({
      version: versionAt(2),
      state: 'failed',
      visibleVersion: versionAt(1),
    })
  })

  test('names the latest attempt, although that failed before this one settled', async () => {
    const error = { code: 'access_required', message: 'say who may read it' }
    await registry.recordAttempt('acme', 'a', attempt(2, { state: 'failed', error }))
    await tell(2, 'failed')
    await registry.flip('acme', 'a', visible(1))
    await tell(1, 'indexed')
    const all = await told()
    expect(all.map(({ version }) => version)).toEqual([2, 1, 2].map(versionAt))
    expect(all.at(-1)).toMatchObject({
      state: 'failed',
      errorCode: 'access_required',
      visibleVersion: versionAt(1),
    })
  })

  test('names the floor, also after a version that failed since', async () => {
    await registry.raiseFloor('acme', 'a', versionAt(1))
    await registry.recordAttempt('acme', 'a', attempt(2, { state: 'failed' }))
    await tell(2, 'failed')
    expect(await told()).toMatchObject([{ floor: versionAt(1), visibleVersion: null }])
  })
})
