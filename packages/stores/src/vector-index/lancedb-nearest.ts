import { Index, type Table } from '@lancedb/lancedb'

/** Up to here a search passes through every vector: some 60 ms of a core. */
export const APPROXIMATE_FROM_ROWS = 50_000
/** The number of partitions is the root of the rows; it is right for so many times as many. */
const GROWTH = 4
/** Two bits a dimension: a sixteenth of the vectors. One needs twice the candidates, four take twice the memory (bench/NOTES.md). */
const BITS = 2
/** Vectors a partition that its centre is found from; more find no better ones. */
const SAMPLE = 64

export interface NearestIndex {
  /** Begins to make the index, where so many rows want one or another one; never waits for it. */
  grow(rows: number): void
  /** Resolves when none is being made. */
  settled(): Promise<void>
  readonly isBuilding: boolean
}

/**
 * The approximate index on the vectors (IVF with RaBitQ codes; Gao and Long 2024) of a table that is large enough to want one.
 *
 *  N1  It is made beside searches and writes, which wait for nothing: it takes about 40 s of one core for a million rows.
 *  N2  Rows that it does not cover yet are passed through by every search, so what was written is found at once.
 *  N3  While it is made, no upkeep runs: merged files would leave it without its rows, and its own files belong to no version yet.
 */
export async function nearestIndex(
  table: Table,
  { fromRows, onFailure }: { fromRows: number; onFailure: (error: unknown) => void },
): Promise<NearestIndex> {
  const present = (await table.listIndices()).find(({ columns }) => columns.includes('vector'))
  let madeFor = present ? ((await table.indexStats(present.name))?.numIndexedRows ?? 0) : 0
  let building: Promise<void> | null = null

  async function build(rows: number): Promise<void> {
    const config = Index.ivfRq({
      distanceType: 'cosine',
      numPartitions: Math.round(Math.sqrt(rows)),
      numBits: BITS,
      sampleRate: SAMPLE,
    })
    try {
      await table.createIndex('vector', { config })
      madeFor = rows
    } catch (error) {
      onFailure(error)
    } finally {
      building = null
    }
  }

  return {
    grow(rows) {
      if (!building && rows >= fromRows && rows >= GROWTH * madeFor) building = build(rows)
    },
    settled: async () => await building?.catch(() => {}),
    get isBuilding() {
      return building !== null
    },
  }
}
