import { Index, type Table } from '@lancedb/lancedb'

/** From here on a dense search is approximate. Up to here it passes through every vector: some 10 ms of a core. */
export const APPROXIMATE_FROM_ROWS = 50_000
/** With fewer rows an index on the vectors saves too little. */
const EXACT_FROM_ROWS = 2000
/** Half of the cache of indexes (lancedb.ts): vectors that do not stay in it are read again by each search. */
const MAX_EXACT_BYTES = 128 * 1024 * 1024
/** LanceDB splits a partition of more than 16,384 rows and joins one of less than 1,024: in between it lets them be. */
const EXACT_PARTITION_ROWS = 8192
/** The number of partitions of codes is the root of the rows; it is right for so many times as many. */
const GROWTH = 4
/** Two bits a dimension: a sixteenth of the vectors. One needs twice the candidates, four take twice the memory (bench/NOTES.md). */
const BITS = 2
/** Vectors a partition that its centre is found from; more find no better ones. */
const SAMPLE = 64

type Kind = 'exact' | 'codes'
/** Each upkeep adds a piece of the rows since the last one, and every search goes through all: 16 of them double its time. */
const MAX_PIECES: Readonly<Record<Kind, number>> = { exact: 8, codes: 32 }

const exactPartitions = (rows: number): number => Math.max(1, Math.ceil(rows / EXACT_PARTITION_ROWS))

const CONFIGS: Readonly<Record<Kind, (rows: number) => Index>> = {
  exact: (rows) => Index.ivfFlat({ distanceType: 'cosine', numPartitions: exactPartitions(rows) }),
  codes: (rows) =>
    Index.ivfRq({
      distanceType: 'cosine',
      numPartitions: Math.round(Math.sqrt(rows)),
      numBits: BITS,
      sampleRate: SAMPLE,
    }),
}

export interface NearestIndex {
  /** Begins to make the index, where so many rows want one or another one; never waits for it. */
  grow(rows: number): Promise<void>
  /** Begins to make the one that is there anew, in one piece: LanceDB merges only files that the same pieces cover. `made` rejects where it failed. */
  renew(rows: number): Promise<{ made: Promise<void> }>
  /** Resolves when none is being made. */
  settled(): Promise<void>
  readonly isBuilding: boolean
  /** Whether the index holds the vectors themselves. False while codes are made in their place. */
  readonly isExact: boolean
}

/**
 * The index on the vectors of a table. From some thousands of rows it holds the vectors themselves, which stay in memory and are all
 * passed through; beyond `fromRows` their codes (IVF with RaBitQ; Gao and Long 2024), and searches are approximate.
 *
 *  N1  It is made beside searches and writes, which wait for nothing: it takes about 40 s of one core for a million rows.
 *  N2  Rows that it does not cover yet are passed through by every search, so what was written is found at once.
 *  N3  While it is made, no upkeep runs: merged files would leave it without its rows, and its own files belong to no version yet.
 */
export async function nearestIndex(
  table: Table,
  options: { fromRows: number; dimensions: number; onFailure: (error: unknown) => void },
): Promise<NearestIndex> {
  const { fromRows, dimensions, onFailure } = options
  let building: Promise<void> | null = null
  let isExact = false
  let madeFor = (await present())?.rows ?? 0

  async function present(): Promise<{ name: string; kind: Kind; rows: number; pieces: number } | null> {
    const index = (await table.listIndices()).find(({ columns }) => columns.includes('vector'))
    const stats = index && (await table.indexStats(index.name))
    if (!stats) return null
    const kind = stats.indexType === 'IVF_FLAT' ? 'exact' : 'codes'
    if (!building) isExact = kind === 'exact'
    return { name: index.name, kind, rows: stats.numIndexedRows, pieces: stats.numIndices ?? 1 }
  }

  async function build(kind: Kind, rows: number): Promise<void> {
    // A search of exact ones does not weigh again what it finds: it must not meet codes.
    isExact &&= kind === 'exact'
    try {
      await table.createIndex('vector', { config: CONFIGS[kind](rows) })
      isExact = kind === 'exact'
      madeFor = rows
    } finally {
      building = null
    }
  }

  function begin(kind: Kind, rows: number): Promise<void> {
    building = build(kind, rows)
    building.catch(onFailure)
    return building
  }

  function wanted(rows: number): Kind | null {
    if (rows >= fromRows) return 'codes'
    const fits = rows * dimensions * Float32Array.BYTES_PER_ELEMENT <= MAX_EXACT_BYTES
    return rows >= EXACT_FROM_ROWS && fits ? 'exact' : null
  }

  function isOutgrown(kind: Kind, rows: number): boolean {
    return kind === 'exact' ? exactPartitions(rows) > exactPartitions(madeFor) : rows >= GROWTH * madeFor
  }

  return {
    async grow(rows) {
      const now = await present()
      if (building) return
      const kind = now?.kind === 'codes' ? 'codes' : wanted(rows)
      if (kind === null) {
        // Fewer than wanted one are left to it; more than the cache holds are not.
        if (now && rows >= EXACT_FROM_ROWS) await table.dropIndex(now.name)
      } else if (now?.kind !== kind || now.pieces > MAX_PIECES[kind] || isOutgrown(kind, rows)) {
        void begin(kind, rows)
      }
    },
    async renew(rows) {
      const now = await present()
      const kind = wanted(rows)
      if (now && !building && kind === null) await table.dropIndex(now.name)
      return { made: building ?? (now && kind !== null ? begin(kind, rows) : Promise.resolve()) }
    },
    settled: async () => await building?.catch(() => {}),
    get isBuilding() {
      return building !== null
    },
    get isExact() {
      return isExact
    },
  }
}
