import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { matchesFilter } from '@aquifer/contracts/filter'
import type { VectorIndex, VectorIndexAdmin } from '@aquifer/stores/vector-index'
import { anyFilter, anyMetadata } from './filters.ts'
import { killedAfter } from './kill.ts'
import { COLLECTION, ids, point, version } from './points.ts'
import { ALL, type Behaviour, type Context, everything, type VectorIndexAdapter } from './vector-index-kit.ts'
import { scores, searches } from './vector-index-searches.ts'
import { selectors, writes } from './vector-index-writes.ts'

export function vectorIndexConformance(name: string, adapter: VectorIndexAdapter): void {
  const skips = new Map(Object.entries(adapter.skips ?? {}))

  function behaviour(title: string, run: (index: VectorIndex, context: Context) => Promise<void>): void {
    const reason = skips.get(title)
    skips.delete(title)
    test.skipIf(reason !== undefined)(reason === undefined ? title : `${title} (${reason})`, async () => {
      const location = await adapter.fresh()
      const admin = await adapter.open(location)
      try {
        await run(await admin.open(COLLECTION), { admin, location, adapter })
      } finally {
        await admin.close()
      }
    })
  }

  describe(`vector index: ${name}`, () => {
    writes(behaviour)
    searches(behaviour)
    scores(behaviour)
    selectors(behaviour)
    collections(behaviour)
    survival(behaviour)
    filters(adapter)
    test('every case that is skipped exists', () => expect([...skips.keys()]).toEqual([]))
  })
}

function collections(behaviour: Behaviour): void {
  behaviour('V6 collections are apart, and an alias moves in one step', async (first, { admin }) => {
    const other = { fingerprint: "another/8 '😀", dimensions: 8 }
    await first.upsert([point()])
    expect(await admin.alias('live')).toBeNull()
    await admin.switchAlias('live', COLLECTION)
    const second = await admin.open(other)
    expect(second.collection).toEqual(other)
    expect(await second.count()).toBe(0)
    expect(await admin.list()).toEqual([COLLECTION, other])
    await second.upsert(version({}, 3))
    expect(await admin.alias('live')).toEqual(COLLECTION)
    await admin.switchAlias('live', other)
    expect(await admin.alias('live')).toEqual(other)
    await expect(admin.drop(other)).rejects.toMatchObject({ code: 'collection_in_use' })
    await admin.drop(COLLECTION)
    expect(await admin.list()).toEqual([other])
    const [, again] = await Promise.all([admin.drop(COLLECTION), admin.open(COLLECTION)])
    expect(await again.count()).toBe(0)
    expect(await second.count()).toBe(3)
    await expect(admin.switchAlias('live', { ...other, fingerprint: 'none' })).rejects.toMatchObject({
      code: 'unknown_collection',
    })
    await expect(admin.open({ ...other, dimensions: 4 })).rejects.toMatchObject({
      code: 'dimension_mismatch',
    })
  })

  behaviour('a closed index refuses, and says that a retry may help', async (index) => {
    await index.ping()
    await index.close()
    await expect(index.upsert([point()])).rejects.toMatchObject({ retryable: true })
    await expect(index.ping()).rejects.toMatchObject({ retryable: true })
  })
}

function survival(behaviour: Behaviour): void {
  behaviour('V1 everything is there after reopening', async (index, { admin, location, adapter }) => {
    await index.upsert(version({}, 5))
    await admin.switchAlias('live', COLLECTION)
    await admin.close()
    const again = await adapter.open(location)
    try {
      expect(await again.alias('live')).toEqual(COLLECTION)
      const { dense, lexical } = await (
        await again.open(COLLECTION)
      ).search({ ...everything, tenant: 'acme' })
      expect([dense.length, lexical.length]).toEqual([5, 5])
    } finally {
      await again.close()
    }
  })

  behaviour(
    'V1 what was acknowledged is there after kill -9, nothing doubled',
    async (first, { admin, location, adapter }) => {
      await first.close()
      await admin.close()
      const acknowledged = new Set<string>()
      // The second lot is long enough for upkeep to be under way.
      for (const after of [3, 150]) {
        const written = await killedAfter(after, 'vector-index-child.ts', [adapter.module!, location])
        for (const documentId of written) acknowledged.add(documentId)
        const again = await adapter.open(location)
        const index = await again.open(COLLECTION)
        const documents = await index.scan({ limit: 100_000 })
        const found = new Map(
          documents.map(({ documentId, builds }) => [documentId, builds.map(({ points }) => points)]),
        )
        for (const documentId of acknowledged) expect(found.get(documentId)).toEqual([5])
        const points = [...found.values()].flat()
        expect(Math.max(...points)).toBe(5)
        const { dense, lexical } = await index.search({ ...everything, tenant: 'acme', terms: ['kill'] })
        const expected = Math.min(
          ALL,
          points.reduce((sum, count) => sum + count, 0),
        )
        expect([dense.length, lexical.length]).toEqual([expected, expected])
        expect(new Set(ids(dense)).size).toBe(expected)
        await again.close()
      }
    },
  )

  behaviour(
    'V5 after compaction deleted text is no longer on the disk',
    async (index, { location, adapter }) => {
      const nonce = 'nonce-8c1f2b'
      const secret = { text: `the secret ${nonce}`, terms: [nonce], metadata: { note: nonce }, title: nonce }
      await index.upsert(version({ documentId: 'kept' }, 400))
      await index.upsert([point({ documentId: 'gone', ...secret })])
      // Merged into one file with what is kept, so that a few deleted rows alone do not make it worth rewriting.
      await index.compact({ olderThanMs: 0 })
      expect(await filesWith(nonce, adapter.directory!(location))).not.toEqual([])
      await index.delete({ tenant: 'acme', documentId: 'gone' })
      await index.compact({ olderThanMs: 0 })
      expect(await filesWith(nonce, adapter.directory!(location))).toEqual([])
      expect(await index.count()).toBe(400)
    },
  )
}

/** Files below a directory that hold the text, in any of the ways it may be written there. */
async function filesWith(text: string, directory: string): Promise<string[]> {
  const forms = [Buffer.from(text), Buffer.from(text, 'utf16le')]
  const needles = forms.flatMap((form) => [form, Buffer.from(form.toString('hex'))])
  const found: string[] = []
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const content = await readFile(path)
    if (needles.some((needle) => content.includes(needle))) found.push(path)
  }
  return found
}

function filters(adapter: VectorIndexAdapter): void {
  describe('filters', () => {
    let admin: VectorIndexAdmin
    let index: VectorIndex
    let tenants = 0
    beforeAll(async () => {
      admin = await adapter.open(await adapter.fresh())
      index = await admin.open(COLLECTION)
    })
    afterAll(() => admin.close())

    // Some of the points are in the index's structures, the rest fresh.
    test('V3 a filter of any depth selects what matchesFilter does, dense and lexical', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(anyMetadata, { minLength: 1, maxLength: 24 }),
          fc.array(anyFilter, { minLength: 1, maxLength: 6 }),
          async (metadatas, given) => {
            const tenant = `t${tenants++}`
            const points = metadatas.map((metadata, i) => point({ tenant, index: i, metadata }))
            await index.upsert(points.slice(0, points.length / 2))
            if (tenants % 8 === 0) await index.compact({ olderThanMs: 0 })
            await index.upsert(points.slice(points.length / 2))
            for (const filter of given) {
              const { dense, lexical } = await index.search({ ...everything, tenant, filter })
              const expected = ids(points.filter(({ metadata }) => matchesFilter(filter, metadata)))
              expect(ids(dense)).toEqual(expected)
              expect(ids(lexical)).toEqual(expected)
            }
          },
        ),
        { numRuns: 60 },
      )
    })
  })
}
