import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { DocumentRecord, DocumentStateName, ListQuery, Registry } from '@aquifer/stores/registry'
import { killedAfter } from './kill.ts'
import { nearness } from './registry-near.ts'
import { attempt, versionAt, visible } from './registry-values.ts'

export interface RegistryAdapter {
  /** A place for a registry, with nothing in it. */
  fresh(): Promise<string>
  open(location: string): { registry: Registry; close: () => Promise<void> }
  /** URL of the module that exports this object as `registryAdapter`, for a process that is killed. */
  readonly module?: string
  /** Cases that it cannot pass, and why. */
  readonly skips?: Readonly<Record<string, string>>
}

export type Behaviour = (title: string, run: (registry: Registry, location: string) => Promise<void>) => void

export function registryConformance(name: string, adapter: RegistryAdapter): void {
  const skips = new Map(Object.entries(adapter.skips ?? {}))

  function behaviour(title: string, run: (registry: Registry, location: string) => Promise<void>): void {
    const reason = skips.get(title)
    skips.delete(title)
    test.skipIf(reason !== undefined)(reason === undefined ? title : `${title} (${reason})`, async () => {
      const location = await adapter.fresh()
      const { registry, close } = adapter.open(location)
      try {
        await run(registry, location)
      } finally {
        await registry.close()
        await close()
      }
    })
  }

  describe(`registry: ${name}`, () => {
    visibility(behaviour)
    attempts(behaviour)
    lists(behaviour)
    nearness(behaviour)
    laws(behaviour)
    survival(behaviour, adapter)
    test('every case that is skipped exists', () => expect([...skips.keys()]).toEqual([]))
  })
}

async function get(
  registry: Registry,
  documentId = 'doc',
  tenant = 'acme',
): Promise<DocumentRecord | undefined> {
  return (await registry.lookUp(tenant, [documentId])).get(documentId)
}

function visibility(behaviour: Behaviour): void {
  behaviour('R1 a flip moves upward alone and names what it replaced', async (registry) => {
    expect(await registry.flip('acme', 'doc', visible(2))).toEqual({ flipped: true, previous: null })
    expect(await registry.flip('acme', 'doc', visible(1))).toEqual({
      flipped: false,
      reason: 'superseded',
      winner: versionAt(2),
    })
    expect(await registry.flip('acme', 'doc', visible(2, { chunks: 99 }))).toEqual({
      flipped: false,
      reason: 'same',
      winner: versionAt(2),
    })
    expect(await get(registry)).toEqual({
      tenant: 'acme',
      documentId: 'doc',
      visible: visible(2),
      floor: null,
      latest: attempt(2, { state: 'indexed' }),
    })
    expect(await registry.flip('acme', 'doc', visible(2, { build: 'b2' }))).toEqual({
      flipped: true,
      previous: { version: versionAt(2), build: 'b1' },
    })
    expect(await registry.flip('acme', 'doc', visible(3))).toEqual({
      flipped: true,
      previous: { version: versionAt(2), build: 'b2' },
    })
    expect((await get(registry))!.visible).toEqual(visible(3))
  })

  behaviour('R2 what is at or below the floor is hidden, and never rises', async (registry) => {
    await registry.flip('acme', 'doc', visible(3))
    await registry.raiseFloor('acme', 'doc', versionAt(2))
    expect(await get(registry)).toMatchObject({ visible: visible(3), floor: versionAt(2) })
    await registry.raiseFloor('acme', 'doc', versionAt(3))
    expect(await get(registry)).toMatchObject({ visible: null, floor: versionAt(3) })
    for (const n of [1, 3]) {
      expect(await registry.flip('acme', 'doc', visible(n))).toEqual({
        flipped: false,
        reason: 'deleted',
        winner: versionAt(3),
      })
    }
    await registry.raiseFloor('acme', 'doc', versionAt(1))
    expect((await get(registry))!.floor).toBe(versionAt(3))
    expect(await registry.flip('acme', 'doc', visible(4))).toEqual({ flipped: true, previous: null })
    expect(await get(registry)).toMatchObject({ visible: visible(4), floor: versionAt(3) })
  })

  behaviour('R2 an unknown document can be deleted', async (registry) => {
    await registry.raiseFloor('acme', 'doc', versionAt(5))
    const latest = attempt(5, { state: 'deleted', title: null, contentType: null })
    expect(await get(registry)).toEqual({
      tenant: 'acme',
      documentId: 'doc',
      visible: null,
      floor: versionAt(5),
      latest,
    })
    expect(await registry.flip('acme', 'doc', visible(5))).toMatchObject({ reason: 'deleted' })
  })

  behaviour('R3 one look-up answers for 1,000 documents of one tenant', async (registry) => {
    const ids = Array.from({ length: 1000 }, (_, i) => `doc ${i} '😀\u0000"`)
    await Promise.all(ids.map((documentId, i) => registry.flip('acme', documentId, visible(i + 1))))
    await registry.flip('other', ids[0]!, visible(77))
    const found = await registry.lookUp('acme', [...ids, 'unknown', ids[3]!])
    expect([...found.keys()].sort()).toEqual(ids.toSorted())
    ids.forEach((documentId, i) => expect(found.get(documentId)!.visible).toEqual(visible(i + 1)))
    expect((await registry.lookUp('acme', [])).size).toBe(0)
    expect((await registry.lookUp('nobody', ids)).size).toBe(0)
  })

  behaviour('R3 a look-up sees one state', async (registry) => {
    let done = false
    const writing = (async () => {
      for (let n = 1; n <= 60; n++) {
        await registry.flip('acme', 'first', visible(n))
        await registry.flip('acme', 'second', visible(n))
      }
      done = true
    })()
    const finished = (): boolean => done
    while (!finished()) {
      const found = await registry.lookUp('acme', ['second', 'first'])
      const [first, second] = ['first', 'second'].map((id) => found.get(id)?.visible?.version ?? '')
      expect(first! >= second!).toBe(true)
    }
    await writing
  })
}

function attempts(behaviour: Behaviour): void {
  behaviour('R5 the latest attempt is that of the highest version', async (registry) => {
    await registry.recordAttempt('acme', 'doc', attempt(2))
    await registry.recordAttempt('acme', 'doc', attempt(1, { state: 'failed' }))
    expect((await get(registry))!.latest).toEqual(attempt(2))
    const error = { code: 'unreadable', message: 'not a PDF' }
    await registry.recordAttempt('acme', 'doc', attempt(3, { state: 'failed', error, access: ['a'] }))
    expect((await get(registry))!.latest).toEqual(attempt(3, { state: 'failed', error, access: ['a'] }))
  })

  behaviour('R5 of one version a settled state wins over queued, in any order', async (registry) => {
    for (const state of ['failed', 'quarantined'] as const) {
      await registry.recordAttempt('acme', state, attempt(1))
      await registry.recordAttempt('acme', state, attempt(1, { state }))
      await registry.recordAttempt('acme', state, attempt(1))
      expect((await get(registry, state))!.latest).toEqual(attempt(1, { state }))
    }
    await registry.flip('acme', 'doc', visible(1))
    await registry.recordAttempt('acme', 'doc', attempt(1))
    expect((await get(registry))!.latest!.state).toBe('indexed')
  })

  behaviour(
    'R5 a replay opens what failed again, once for each; not what is indexed or deleted',
    async (registry) => {
      const failed = attempt(1, { state: 'failed', error: { code: 'timeout', message: 'too long' } })
      await registry.recordAttempt('acme', 'doc', failed)
      await registry.recordAttempt('acme', 'doc', attempt(1, { replayedAt: 20 }))
      expect((await get(registry))!.latest).toEqual(attempt(1, { replayedAt: 20 }))
      await registry.recordAttempt('acme', 'doc', { ...failed, replayedAt: 20 })
      for (const replayedAt of [20, 10])
        await registry.recordAttempt('acme', 'doc', attempt(1, { replayedAt }))
      await registry.recordAttempt('acme', 'doc', attempt(1))
      expect((await get(registry))!.latest).toEqual({ ...failed, replayedAt: 20 })
      await registry.recordAttempt('acme', 'doc', attempt(1, { replayedAt: 30 }))
      expect((await get(registry))!.latest!.state).toBe('queued')
      await registry.flip('acme', 'doc', visible(1))
      await registry.recordAttempt('acme', 'doc', attempt(1, { replayedAt: 40 }))
      expect((await get(registry))!.latest).toEqual(attempt(1, { state: 'indexed' }))
      await registry.raiseFloor('acme', 'doc', versionAt(1))
      await registry.recordAttempt('acme', 'doc', attempt(1, { replayedAt: 50 }))
      expect((await get(registry))!.latest!.state).toBe('deleted')
    },
  )

  behaviour('a flip settles attempts up to its version, and leaves a later one', async (registry) => {
    await registry.recordAttempt('acme', 'doc', attempt(1, { state: 'failed' }))
    await registry.flip('acme', 'doc', visible(2))
    expect((await get(registry))!.latest).toEqual(attempt(2, { state: 'indexed' }))
    await registry.recordAttempt('acme', 'doc', attempt(4))
    await registry.flip('acme', 'doc', visible(3))
    expect((await get(registry))!.latest).toEqual(attempt(4))
  })

  behaviour(
    'a deletion settles attempts up to its version, keeps no title and the access',
    async (registry) => {
      await registry.recordAttempt('acme', 'doc', attempt(1, { access: ['a', 'é'] }))
      await registry.raiseFloor('acme', 'doc', versionAt(2))
      const deleted = attempt(2, { state: 'deleted', title: null, contentType: null, access: ['a', 'é'] })
      expect((await get(registry))!.latest).toEqual({ ...deleted, publishedAt: attempt(1).publishedAt })
      await registry.recordAttempt('acme', 'doc', attempt(2, { state: 'failed' }))
      await registry.recordAttempt('acme', 'doc', attempt(1, { state: 'failed' }))
      expect((await get(registry))!.latest!.state).toBe('deleted')
      await registry.recordAttempt('acme', 'doc', attempt(3))
      await registry.raiseFloor('acme', 'doc', versionAt(2))
      expect((await get(registry))!.latest).toEqual(attempt(3))
    },
  )
}

async function listAll(registry: Registry, query: Omit<ListQuery, 'limit' | 'cursor'>): Promise<string[]> {
  const ids: string[] = []
  let cursor: string | undefined
  do {
    const page = await registry.list('acme', { ...query, limit: 2, ...(cursor ? { cursor } : {}) })
    expect(page.documents.length).toBeLessThanOrEqual(2)
    ids.push(...page.documents.map(({ documentId }) => documentId))
    cursor = page.cursor
  } while (cursor)
  return ids
}

function lists(behaviour: Behaviour): void {
  behaviour(
    'list walks the documents of a tenant by id, of a state alone where one is asked for',
    async (registry) => {
      const ids = ['é', 'z', 'a', '😀', "b'", 'a\u0000']
      for (const id of ids) await registry.flip('acme', id, visible(1))
      await registry.flip('other', 'theirs', visible(1))
      await registry.recordAttempt('acme', 'failed', attempt(1, { state: 'failed' }))
      await registry.raiseFloor('acme', 'z', versionAt(2))
      const sorted = [...ids, 'failed'].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      expect(await listAll(registry, { groups: null })).toEqual(sorted)
      expect(await listAll(registry, { groups: [] })).toEqual(sorted)
      expect(await listAll(registry, { groups: null, state: 'failed' })).toEqual(['failed'])
      expect(await listAll(registry, { groups: null, state: 'deleted' })).toEqual(['z'])
      expect(await listAll(registry, { groups: null, state: 'queued' })).toEqual([])
      const exact = await registry.list('acme', { limit: 7, groups: null })
      expect(exact.documents).toHaveLength(7)
      expect(exact.cursor).toBeUndefined()
    },
  )

  behaviour(
    'list shows a restricted document to its groups alone, by its latest and its visible access',
    async (registry) => {
      await registry.flip('acme', 'open', visible(1))
      await registry.flip('acme', 'admins', visible(1, { access: [] }))
      await registry.flip('acme', 'red', visible(1, { access: ['red', "o'x"] }))
      // Once restricted, about to be open, and the other way round: until the flip, both count.
      await registry.flip('acme', 'opening', visible(1, { access: ['red'] }))
      await registry.recordAttempt('acme', 'opening', attempt(2))
      await registry.flip('acme', 'closing', visible(1))
      await registry.recordAttempt('acme', 'closing', attempt(2, { access: ['blue'] }))
      await registry.recordAttempt('acme', 'queued', attempt(1, { access: ['blue'] }))
      await registry.flip('acme', 'deleted', visible(1, { access: ['red'] }))
      await registry.raiseFloor('acme', 'deleted', versionAt(2))
      expect(await listAll(registry, { groups: null })).toHaveLength(7)
      expect(await listAll(registry, { groups: [] })).toEqual(['open'])
      expect(await listAll(registry, { groups: ['red'] })).toEqual(['deleted', 'open', 'opening', 'red'])
      expect(await listAll(registry, { groups: ['blue', "o'x"] })).toEqual([
        'closing',
        'open',
        'queued',
        'red',
      ])
      expect(await listAll(registry, { groups: ['red'], state: 'queued' })).toEqual(['opening'])
    },
  )

  behaviour('counts are of the latest states, and of visible chunks', async (registry) => {
    const zero = { queued: 0, indexed: 0, failed: 0, quarantined: 0, deleted: 0, chunks: 0 }
    expect(await registry.counts('acme')).toEqual(zero)
    await registry.flip('acme', 'a', visible(3))
    await registry.flip('acme', 'b', visible(4))
    await registry.recordAttempt('acme', 'b', attempt(5))
    await registry.recordAttempt('acme', 'c', attempt(1, { state: 'quarantined' }))
    await registry.flip('acme', 'd', visible(9))
    await registry.raiseFloor('acme', 'd', versionAt(10))
    const counts = { ...zero, indexed: 1, queued: 1, quarantined: 1, deleted: 1, chunks: 7 }
    expect(await registry.counts('acme')).toEqual(counts)
  })

  behaviour(
    'what is still queued from before a version is told, oldest first, of all tenants',
    async (registry) => {
      await registry.recordAttempt('acme', 'old', attempt(2))
      await registry.recordAttempt('other', 'older', attempt(1))
      await registry.recordAttempt('acme', 'new', attempt(5))
      await registry.recordAttempt('acme', 'failed', attempt(1, { state: 'failed' }))
      await registry.flip('acme', 'shown', visible(1))
      const old = { tenant: 'acme', documentId: 'old', version: versionAt(2) }
      const older = { tenant: 'other', documentId: 'older', version: versionAt(1) }
      expect(await registry.queuedBefore(versionAt(5), 10)).toEqual([older, old])
      expect(await registry.queuedBefore(versionAt(5), 1)).toEqual([older])
      expect(await registry.queuedBefore(versionAt(5), 1, older.version)).toEqual([old])
      expect(await registry.queuedBefore(versionAt(5), 1, old.version)).toEqual([])
    },
  )

  behaviour('recent lags are those of the newest flips', async (registry) => {
    for (let n = 1; n <= 3; n++) {
      await registry.flip('acme', `doc ${n}`, visible(n, { indexedAt: visible(n).publishedAt + n * 100 }))
    }
    await registry.recordAttempt('acme', 'waiting', attempt(9))
    expect(await registry.recentLags('acme')).toEqual([300, 200, 100])
    expect(await registry.recentLags('other')).toEqual([])
  })
}

type Write =
  | { readonly kind: 'flip'; readonly n: number; readonly build: string }
  | { readonly kind: 'floor'; readonly n: number }
  | { readonly kind: 'attempt'; readonly n: number; readonly state: DocumentStateName }

const n = fc.integer({ min: 1, max: 8 })
const anyWrite: fc.Arbitrary<Write> = fc.oneof(
  fc.record({ kind: fc.constant('flip'), n, build: fc.constantFrom('b1', 'b2') }),
  fc.record({ kind: fc.constant('floor'), n }),
  fc.record({ kind: fc.constant('attempt'), n, state: fc.constantFrom('queued', 'failed') }),
)

function laws(behaviour: Behaviour): void {
  behaviour(
    'R1 R2 R5 any interleaving of flips, floors and attempts ends at the highest of each',
    async (registry) => {
      let documents = 0
      await fc.assert(
        fc.asyncProperty(fc.array(anyWrite, { minLength: 1, maxLength: 14 }), async (writes) => {
          const documentId = `doc ${documents++}`
          let floorSeen = ''
          await Promise.all(
            writes.map(async (write) => {
              await apply(registry, documentId, write)
              const { floor, visible: now } = (await get(registry, documentId))!
              expect((floor ?? '') >= floorSeen).toBe(true)
              floorSeen = floor ?? ''
              if (now && floor) expect(now.version > floor).toBe(true)
            }),
          )
          const highest = (kinds: readonly Write['kind'][]): string | null =>
            writes
              .filter(({ kind }) => kinds.includes(kind))
              .map((write) => versionAt(write.n))
              .sort()
              .at(-1) ?? null
          const [floor, flipped] = [highest(['floor']), highest(['flip'])]
          const record = (await get(registry, documentId))!
          expect(record.floor).toBe(floor)
          const expected = flipped !== null && (floor === null || flipped > floor) ? flipped : null
          expect(record.visible?.version ?? null).toBe(expected)
          // A flip that lost to a floor or to a higher flip leaves no trace.
          expect(record.latest!.version >= (highest(['floor', 'attempt']) ?? '')).toBe(true)
          if (expected === record.latest!.version)
            expect(['indexed', 'failed']).toContain(record.latest!.state)
          if (floor === record.latest!.version) expect(record.latest!.state).toBe('deleted')
        }),
        { numRuns: 150 },
      )
    },
  )
}

async function apply(registry: Registry, documentId: string, write: Write): Promise<void> {
  if (write.kind === 'floor') await registry.raiseFloor('acme', documentId, versionAt(write.n))
  else if (write.kind === 'attempt') {
    await registry.recordAttempt('acme', documentId, attempt(write.n, { state: write.state }))
  } else {
    const result = await registry.flip('acme', documentId, visible(write.n, { build: write.build }))
    if (result.flipped) expect((result.previous?.version ?? '') <= versionAt(write.n)).toBe(true)
    else expect(result.winner >= versionAt(write.n)).toBe(true)
  }
}

function survival(behaviour: Behaviour, adapter: RegistryAdapter): void {
  behaviour('R4 what resolved is there after kill -9', async (_registry, location) => {
    const written = await killedAfter(100, 'registry-child.ts', [adapter.module!, location])
    const { registry, close } = adapter.open(location)
    for (let document = 0; document < 7; document++) {
      // The last write to each document that had resolved; a later one may be there too, unacknowledged.
      const last = written.map(Number).findLast((number) => number % 7 === document)!
      const record = (await get(registry, `doc-${document}`))!
      expect(record.latest!.version >= versionAt(last)).toBe(true)
      if (last % 5 === 0) expect(record.floor! >= versionAt(last)).toBe(true)
      else expect((record.visible?.version ?? record.floor)! >= versionAt(last)).toBe(true)
    }
    await close()
  })
}
