import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openLanceDb } from './lancedb.ts'
import type { IndexHit, Point, VectorIndex } from './port.ts'

const vector = Float32Array.from([1, 0])

function point(index: number, terms: readonly string[]): Point {
  return {
    id: `p${index}`,
    tenant: 'acme',
    documentId: 'doc',
    version: 'v',
    build: 'b',
    index,
    text: '',
    title: null,
    headings: [],
    page: null,
    start: 0,
    end: 0,
    access: null,
    metadata: {},
    terms,
    vector,
    wordBits: new Uint8Array(),
  }
}

async function rare(index: VectorIndex): Promise<IndexHit[]> {
  return (await index.search({ tenant: 'acme', groups: null, terms: ['rare'], limit: 100 })).lexical
}

test('lancedb: once writes pause, scores count what was written since the last upkeep', async () => {
  const path = await mkdtemp(join(tmpdir(), 'aquifer-lancedb-'))
  const pauses: (() => void)[] = []
  const clock = {
    now: () => Date.now(),
    sleep: (_ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        pauses.push(resolve)
        signal?.addEventListener('abort', () => reject(new Error('another write came')))
      }),
  }
  const failures: unknown[] = []
  const admin = await openLanceDb({ path, clock, onUpkeepFailure: (error) => failures.push(error) })
  const index = await admin.open({ fingerprint: 'f', dimensions: 2 })
  await index.upsert(Array.from({ length: 100 }, (_, i) => point(i, [i < 5 ? 'rare' : 'common'])))
  await index.compact({ olderThanMs: 0 })
  pauses.length = 0
  await index.upsert(Array.from({ length: 100 }, (_, i) => point(100 + i, [i < 50 ? 'rare' : 'common'])))
  while (pauses.length === 0) await index.ping()
  for (const end of pauses) end()
  await index.ping()
  // The upkeep is in the queue by now, and this passes behind it.
  await index.delete({ tenant: 'acme', documentId: 'none' })
  const hits = await rare(index)
  const idf = Math.log(1 + (200 - 55 + 0.5) / (55 + 0.5))
  expect(hits).toHaveLength(55)
  for (const { score } of hits) expect(score).toBeCloseTo(idf, 4)
  await admin.close()
  expect(failures).toEqual([])
  await rm(path, { recursive: true })
})
