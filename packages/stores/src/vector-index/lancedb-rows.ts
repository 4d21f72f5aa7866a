import {
  Binary,
  type Data,
  Field,
  FixedSizeList,
  Float32,
  Int32,
  List,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  Utf8,
  type Vector,
  vectorFromArray,
} from 'apache-arrow'
import { mapInTurns } from '@aquifer/runtime/concurrency'
import { metadataColumns } from './filter-sql.ts'
import type { IndexHit, Point } from './port.ts'

/**
 * Points as rows of a LanceDB table and back. What is filtered or sorted on has a column; a hit is read from `payload`, which repeats
 * what is needed of them, for each column of text that a search brings costs it 2 ms.
 */
const HIT = ['payload', 'vector', 'word_bits'] as const
export const columns = { hit: HIT, point: [...HIT, 'terms'] } as const
/** Goes up when the columns change. */
export const ROWS_FORMAT = 2

/** In `readers` of a point that its whole tenant may read. A group's name has a mark before it. */
export const EVERYONE = '*'
export const readerOf = (group: string): string => `=${group}`

const TEXTS = ['id', 'tenant', 'document', 'version', 'build', 'scalars', 'terms', 'payload'] as const
const LISTS = ['readers', 'facets'] as const

export function tableSchema(dimensions: number): Schema {
  const item = new Field('item', new Utf8(), false)
  return new Schema([
    ...TEXTS.map((name) => new Field(name, new Utf8(), false)),
    ...LISTS.map((name) => new Field(name, new List(item), false)),
    new Field('place', new Int32(), false),
    new Field('word_bits', new Binary(), false),
    new Field('vector', new FixedSizeList(dimensions, new Field('item', new Float32(), false)), false),
  ])
}

export function toTable(points: readonly Point[], schema: Schema): Table {
  const rows = points.map((point) => {
    const { id, tenant, documentId, version, build, index, terms, access, metadata } = point
    const readers = access === null ? [EVERYONE] : access.map(readerOf)
    const { terms: _terms, vector: _vector, wordBits, ...payload } = point
    const { facets, scalars } = metadataColumns(metadata)
    return {
      id,
      tenant,
      document: documentId,
      version,
      build,
      place: index,
      terms: terms.join(' '),
      readers,
      facets,
      scalars,
      payload: JSON.stringify(payload satisfies Payload),
      word_bits: wordBits,
    }
  })
  const children = schema.fields.map(({ name, type }): Data =>
    name === 'vector'
      ? vectorData(points, type as FixedSizeList<Float32>)
      : vectorFromArray(
          rows.map((row) => row[name as keyof (typeof rows)[number]]),
          type,
        ).data[0]!,
  )
  const struct = makeData({
    type: new Struct(schema.fields),
    length: rows.length,
    nullCount: 0,
    children,
  })
  return new Table(schema, [new RecordBatch(schema, struct)])
}

function vectorData(points: readonly Point[], type: FixedSizeList<Float32>): Data {
  const data = new Float32Array(points.length * type.listSize)
  points.forEach(({ vector }, i) => data.set(vector, i * type.listSize))
  const child = makeData({ type: new Float32(), data, length: data.length, nullCount: 0 })
  return makeData({ type, length: points.length, nullCount: 0, child })
}

type Payload = Omit<Point, 'terms' | 'vector' | 'wordBits'>

/** Rows of `columns.hit`, with a score from each row's `scoreColumn`. Their vectors are views of the whole result, for they live as long as a search. */
export function toHits(table: Table, scoreColumn: string, score: (raw: number) => number): IndexHit[] {
  const raw = table.getChild(scoreColumn)
  return rows(table, (view) => view).map((row, i) =>
    Object.assign(row, { score: score(Number(raw!.get(i))) }),
  )
}

/** Rows of `columns.point`; a document has many, so that each batch takes a turn of its own. */
export async function toPoints(table: Table): Promise<Point[]> {
  const batches = await mapInTurns(table.batches, 1, (batch) =>
    // Copies: views would keep the whole result in memory.
    rows(batch, (view) => view.slice() as typeof view).map((row, i) => {
      const terms = String(batch.getChild('terms')!.get(i))
      return Object.assign(row, { terms: terms === '' ? [] : terms.split(' ') })
    }),
  )
  return batches.flat()
}

function rows(
  table: Table | RecordBatch,
  keep: <T extends Float32Array | Uint8Array>(view: T) => T,
): Omit<Point, 'terms'>[] {
  const [payloads, vectors, wordBits] = HIT.map((name) => table.getChild(name)!)
  return Array.from({ length: table.numRows }, (_, i) => ({
    ...(JSON.parse(String(payloads!.get(i))) as Payload),
    vector: keep((vectors!.get(i) as Vector<Float32>).toArray()),
    wordBits: keep(wordBits!.get(i) as Uint8Array),
  }))
}
