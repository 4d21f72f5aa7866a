import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from '@lancedb/lancedb'
import { expect, test } from 'vitest'
import { openLanceDb } from './lancedb.ts'
import type { IndexHit, Point, VectorIndex } from './port.ts'

const DIMENSIONS = 32
const SPEC = { fingerprint: 'f', dimensions: DIMENSIONS }
const ROWS = 1500
const READERS = ['red', 'blue']

/** In clusters, as the vectors of texts are. */
function vectorOf(i: number): Float32Array {
  const vector = Float32Array.from(
    { length: DIMENSIONS },
    (_, d) => Math.cos((i % 50) * (d + 1)) + 0.3 * Math.sin(i * 12.9898 * (d + 1)),
  )
  const norm = Math.hypot(...vector)
  return vector.map((value) => value / norm)
}

function point(i: number, more: Partial<Point> = {}): Point {
  const place = { tenant: 'acme', documentId: `doc-${i}`, version: 'v', build: 'b', index: 0 }
  const about = { text: '', title: null, headings: [], page: null, start: 0, end: 0, metadata: { n: i } }
  const access = [READERS[i % READERS.length]!]
  const found = { terms: ['word'], vector: vectorOf(i), wordBits: new Uint8Array() }
  return { id: `p${i}`, ...place, ...about, access, ...found, ...more }
}

async function write(index: VectorIndex, from: number, to: number): Promise<void> {
  const { maxBatchPoints } = index.limits
  for (let i = from; i < to; i += maxBatchPoints)
    await index.upsert(Array.from({ length: Math.min(maxBatchPoints, to - i) }, (_, n) => point(i + n)))
}

/** Recall of the ten nearest beside a pass through all the points. */
function recall(found: readonly IndexHit[], points: readonly Point[], vector: Float32Array): number {
  const cosine = (other: Float32Array) => other.reduce((sum, value, d) => sum + value * vector[d]!, 0)
  const nearest = points.toSorted((a, b) => cosine(b.vector) - cosine(a.vector)).slice(0, 10)
  const ids = new Set(found.slice(0, 10).map(({ id }) => id))
  return nearest.filter(({ id }) => ids.has(id)).length / nearest.length
}

test('lancedb: beyond so many rows an index on the vectors is made beside the writes; what is fresh, replaced, deleted or not to be read counts at once', async () => {
  const path = await mkdtemp(join(tmpdir(), 'aquifer-lancedb-'))
  const failures: unknown[] = []
  const onUpkeepFailure = (error: unknown) => failures.push(error)
  const options = { path, approximateFromRows: ROWS / 2, onUpkeepFailure }
  const admin = await openLanceDb(options)
  const index = await admin.open(SPEC)
  await write(index, 0, ROWS)
  await index.compact({ olderThanMs: 0 })
  // Behind the index that this upkeep began.
  await index.compact({ olderThanMs: 0 })

  const connection = await connect(path)
  const table = await connection.openTable((await connection.tableNames())[0]!)
  expect(await table.indexStats('vector_idx')).toMatchObject({ indexType: 'IVF_RQ', numUnindexedRows: 0 })
  connection.close()

  const points = Array.from({ length: ROWS }, (_, i) => point(i))
  const ask = async (vector: Float32Array, groups: string[] | null = null, limit = 10) =>
    (await index.search({ tenant: 'acme', groups, vector, limit })).dense
  let sum = 0
  for (let i = 0; i < 50; i++) sum += recall(await ask(vectorOf(i + 0.5)), points, vectorOf(i + 0.5))
  expect(sum / 50).toBeGreaterThan(0.98)
  for (const group of READERS) {
    const readable = points.filter(({ access }) => access!.includes(group))
    expect(recall(await ask(vectorOf(7.5), [group]), readable, vectorOf(7.5))).toBeGreaterThan(0.8)
  }
  // Few may be read: all of them are found all the same.
  const filter = { field: 'n', op: 'in' as const, value: [1, 2, 3] }
  const few = await index.search({ tenant: 'acme', groups: null, vector: vectorOf(9), filter, limit: 10 })
  expect(few.dense.map(({ id }) => id).sort()).toEqual(['p1', 'p2', 'p3'])

  await index.upsert([point(9000, { vector: vectorOf(4) }), point(5, { vector: vectorOf(4) })])
  await index.delete({ tenant: 'acme', documentId: 'doc-4' })
  const found = (await ask(vectorOf(4), null, 3)).map(({ id }) => id)
  expect(found.slice(0, 2).sort()).toEqual(['p5', 'p9000'])
  expect(found).not.toContain('p4')
  expect(await index.count()).toBe(ROWS)
  await admin.close()
  expect(failures).toEqual([])
  await rm(path, { recursive: true })
}, 120_000)
