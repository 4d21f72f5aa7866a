import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type IndexStatistics } from '@lancedb/lancedb'
import { expect, test } from 'vitest'
import { heldClock } from './lancedb.fixture.ts'
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

async function statsOf(path: string): Promise<IndexStatistics | undefined> {
  const connection = await connect(path)
  const table = await connection.openTable((await connection.tableNames())[0]!)
  const stats = await table.indexStats('vector_idx')
  connection.close()
  return stats
}

/** Files below the directory that hold these numbers. */
async function filesWith(vector: Float32Array, directory: string): Promise<string[]> {
  const bytes = Buffer.from(vector.buffer)
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
  const found = await Promise.all(paths.map(async (path) => (await readFile(path)).includes(bytes)))
  return paths.filter((_, i) => found[i])
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

  expect(await statsOf(path)).toMatchObject({ indexType: 'IVF_RQ', numUnindexedRows: 0 })

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

/** The best scores of a pass through all the points. */
function exactScores(points: Iterable<Point>, vector: Float32Array, limit: number): number[] {
  const scores = [...points].map((other) =>
    other.vector.reduce((sum, value, d) => sum + value * vector[d]!, 0),
  )
  return scores.sort((a, b) => b - a).slice(0, limit)
}

test('lancedb: with an index that holds the vectors, searches are exact whatever is written, deleted and brought in', async () => {
  const path = await mkdtemp(join(tmpdir(), 'aquifer-lancedb-'))
  const failures: unknown[] = []
  const { clock, end } = heldClock()
  const admin = await openLanceDb({ path, clock, onUpkeepFailure: (error) => failures.push(error) })
  const index = await admin.open(SPEC)
  const points = new Map<string, Point>()
  const put = async (from: number, to: number, vectorFrom = 0) => {
    const made = Array.from({ length: to - from }, (_, n) =>
      point(from + n, { vector: vectorOf(vectorFrom + from + n) }),
    )
    for (let i = 0; i < made.length; i += 512) await index.upsert(made.slice(i, i + 512))
    for (const each of made) points.set(each.id, each)
  }
  const remove = async (i: number) => {
    await index.delete({ tenant: 'acme', documentId: `doc-${i}` })
    points.delete(`p${i}`)
  }
  const expectExact = async () => {
    // The last lies between the clusters, so that its nearest are in every partition.
    const between = new Float32Array(DIMENSIONS).fill(DIMENSIONS ** -0.5)
    for (const vector of [vectorOf(0.5), vectorOf(4021.5), between]) {
      for (const groups of [null, [READERS[0]!]]) {
        const { dense } = await index.search({ tenant: 'acme', groups, vector, limit: 500 })
        const readable = [...points.values()].filter(({ access }) => !groups || access!.includes(groups[0]!))
        const expected = exactScores(readable, vector, 500)
        expect(dense).toHaveLength(expected.length)
        dense.forEach(({ score }, i) => expect(score).toBeCloseTo(expected[i]!, 5))
      }
    }
    expect(await index.count()).toBe(points.size)
  }

  await put(0, 2500)
  await index.compact({ olderThanMs: 0 })
  for (let round = 0; round < 10; round++) {
    const fresh = 10_000 + 40 * round
    await put(fresh, fresh + 40)
    // Replaced: the same ids at other places, some of them in pieces that are to be merged.
    await put(100 * round, 100 * round + 20, 5000)
    if (round > 0) await put(fresh - 40, fresh - 30, 7000)
    for (const gone of [100 * round + 50, fresh + 5]) await remove(gone)
    await expectExact()
    await end(index)
    await expectExact()
    const stats = await statsOf(path)
    expect(stats).toMatchObject({ indexType: 'IVF_FLAT' })
    expect(stats!.numIndices).toBeLessThanOrEqual(9)
  }
  // Enough for a second partition.
  await put(20_000, 26_500)
  await end(index)
  await expectExact()
  await remove(20_007)
  await index.compact({ olderThanMs: 0 })
  await expectExact()
  expect(await statsOf(path)).toMatchObject({ numIndices: 1, numUnindexedRows: 0 })
  await admin.close()
  expect(failures).toEqual([])
  await rm(path, { recursive: true })
}, 120_000)

test.each([
  { kind: 'IVF_FLAT', approximateFromRows: 50_000 },
  { kind: 'IVF_RQ', approximateFromRows: 2500 },
])(
  'lancedb: after compaction no vector of a deleted row is in its files ($kind)',
  async ({ kind, approximateFromRows }) => {
    const path = await mkdtemp(join(tmpdir(), 'aquifer-lancedb-'))
    const { clock, end } = heldClock()
    const admin = await openLanceDb({ path, clock, approximateFromRows })
    const index = await admin.open(SPEC)
    await write(index, 0, 2500)
    await index.compact({ olderThanMs: 0 })
    // Each upkeep brings in a piece of its own.
    for (let i = 2500; i < 2800; i += 100) {
      await write(index, i, i + 100)
      await end(index)
    }
    expect(await statsOf(path)).toMatchObject({ indexType: kind })
    const gone = [7, 2507, 2707]
    for (const i of gone) {
      expect(await filesWith(vectorOf(i), path)).not.toEqual([])
      await index.delete({ tenant: 'acme', documentId: `doc-${i}` })
    }
    await index.compact({ olderThanMs: 0 })
    for (const i of gone) expect(await filesWith(vectorOf(i), path)).toEqual([])
    expect(await filesWith(vectorOf(8), path)).not.toEqual([])
    expect(await statsOf(path)).toMatchObject({ indexType: kind, numIndexedRows: 2797, numUnindexedRows: 0 })
    await admin.close()
    await rm(path, { recursive: true })
  },
)
