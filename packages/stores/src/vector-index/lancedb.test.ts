import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { heldClock } from './lancedb.fixture.ts'
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

/** 5 of the first hundred rows are rare, and 50 of the second, which no index covers yet. */
const SECOND = Array.from({ length: 100 }, (_, i) => point(100 + i, [i < 50 ? 'rare' : 'common']))
async function writeFirst(index: VectorIndex): Promise<void> {
  await index.upsert(Array.from({ length: 100 }, (_, i) => point(i, [i < 5 ? 'rare' : 'common'])))
  await index.compact({ olderThanMs: 0 })
}

async function expectScoresOfAll(index: VectorIndex): Promise<void> {
  const hits = await rare(index)
  const idf = Math.log(1 + (200 - 55 + 0.5) / (55 + 0.5))
  expect(hits).toHaveLength(55)
  for (const { score } of hits) expect(score).toBeCloseTo(idf, 4)
}

test('lancedb: once writes pause, scores count what was written since the last upkeep', async () => {
  const path = await mkdtemp(join(tmpdir(), 'aquifer-lancedb-'))
  const { clock, pauses, end } = heldClock()
  const failures: unknown[] = []
  const admin = await openLanceDb({ path, clock, onUpkeepFailure: (error) => failures.push(error) })
  const index = await admin.open({ fingerprint: 'f', dimensions: 2 })
  await writeFirst(index)
  pauses.length = 0
  await index.upsert(SECOND)
  await end(index)
  await expectScoresOfAll(index)
  await admin.close()
  expect(failures).toEqual([])
  await rm(path, { recursive: true })
})

test('lancedb: what a process left when it ended before its upkeep is brought in by the next one, without a write', async () => {
  const path = await mkdtemp(join(tmpdir(), 'aquifer-lancedb-'))
  const before = await openLanceDb({ path, clock: heldClock().clock })
  const left = await before.open({ fingerprint: 'f', dimensions: 2 })
  await writeFirst(left)
  await left.upsert(SECOND)
  await before.close()

  const { clock, pauses, end } = heldClock()
  const failures: unknown[] = []
  const admin = await openLanceDb({ path, clock, onUpkeepFailure: (error) => failures.push(error) })
  const index = await admin.open({ fingerprint: 'f', dimensions: 2 })
  expect(pauses).toHaveLength(1)
  expect(await rare(index)).toHaveLength(55)
  await end(index)
  await expectScoresOfAll(index)
  await admin.close()
  expect(failures).toEqual([])
  await rm(path, { recursive: true })
})
