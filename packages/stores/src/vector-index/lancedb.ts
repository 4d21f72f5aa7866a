import { createHash } from 'node:crypto'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { connect, Session } from '@lancedb/lancedb'
import { systemClock } from '@aquifer/runtime/clock'
import { invalid } from '@aquifer/runtime/errors'
import { checkSame } from './checks.ts'
import { type CollectionDeps, openCollection } from './lancedb-collection.ts'
import { APPROXIMATE_FROM_ROWS } from './lancedb-nearest.ts'
import { ROWS_FORMAT, tableSchema } from './lancedb-rows.ts'
import type { CollectionSpec, VectorIndex, VectorIndexAdmin } from './port.ts'

/** LanceDB would keep up to 7 GB of index and metadata in memory. A search of a million rows goes through some 200 MB: where these are read again each time, it takes three times as long. */
const INDEX_CACHE_BYTES = 256n * 1024n * 1024n
const METADATA_CACHE_BYTES = 32n * 1024n * 1024n

interface Catalog {
  /** Of the rows: tables of another format are dropped, and made again from the log as those of a lost index are. */
  readonly format: number
  readonly collections: readonly CollectionSpec[]
  readonly aliases: Readonly<Record<string, string>>
}

/**
 * The embedded vector index: one LanceDB table a collection, in a directory that one process owns.
 *
 *  L1  A commit of LanceDB is one renamed manifest: a killed upsert is there whole or not at all.
 *  L2  `collections.json` is replaced in one step. A table is made before it is listed there and dropped before it leaves,
 *      so a listed collection always opens, and one that is not listed is empty or was never used.
 */
export async function openLanceDb(
  options: { path: string } & Partial<CollectionDeps>,
): Promise<VectorIndexAdmin> {
  const { clock = systemClock, onUpkeepFailure = () => {} } = options
  const { approximateFromRows = APPROXIMATE_FROM_ROWS } = options
  // A relative path that begins with `db` would name a database in the cloud.
  const path = resolve(options.path)
  await mkdir(path, { recursive: true })
  const session = new Session(INDEX_CACHE_BYTES, METADATA_CACHE_BYTES)
  const connection = await connect(path, { session })
  const catalogPath = join(path, 'collections.json')
  let catalog = await readCatalog(catalogPath)
  if (catalog.format !== ROWS_FORMAT) {
    for (const name of await connection.tableNames()) await connection.dropTable(name)
    await save({ format: ROWS_FORMAT, collections: [], aliases: {} })
  }
  let changes: Promise<unknown> = Promise.resolve()
  const opened = new Map<string, Promise<VectorIndex>>()

  /** One change of the catalog at a time. */
  function inTurn<T>(change: () => Promise<T>): Promise<T> {
    const done = changes.then(change)
    changes = done.catch(() => {})
    return done
  }
  async function save(next: Catalog): Promise<void> {
    await replaceFile(catalogPath, JSON.stringify(next, null, 2))
    catalog = next
  }
  function find(fingerprint: string): CollectionSpec | null {
    return catalog.collections.find((spec) => spec.fingerprint === fingerprint) ?? null
  }

  async function openTable(spec: CollectionSpec): Promise<VectorIndex> {
    const known = find(spec.fingerprint)
    if (known) checkSame(known, spec)
    const name = tableName(spec)
    const made = (await connection.tableNames()).includes(name)
    const table = made
      ? await connection.openTable(name)
      : await connection.createEmptyTable(name, tableSchema(spec.dimensions))
    if (!known) await save({ ...catalog, collections: [...catalog.collections, spec] })
    const index = await openCollection(table, spec, { clock, onUpkeepFailure, approximateFromRows })
    const close = async (): Promise<void> => {
      opened.delete(spec.fingerprint)
      await index.close()
    }
    return { ...index, close }
  }

  return {
    async open(spec) {
      const already = opened.get(spec.fingerprint)
      if (already) {
        checkSame((await already).collection, spec)
        return await already
      }
      const opening = inTurn(() => openTable(spec))
      opened.set(spec.fingerprint, opening)
      opening.catch(() => opened.delete(spec.fingerprint))
      return await opening
    },
    list: async () => [...catalog.collections],
    async alias(name) {
      return Object.hasOwn(catalog.aliases, name) ? find(catalog.aliases[name]!) : null
    },
    switchAlias: (name, { fingerprint }) =>
      inTurn(async () => {
        if (!find(fingerprint)) throw invalid('unknown_collection', `there is no collection ${fingerprint}`)
        await save({ ...catalog, aliases: { ...catalog.aliases, [name]: fingerprint } })
      }),
    drop(spec) {
      const { fingerprint } = spec
      // One that is opened after this call waits for it: that one is not to be waited for here.
      const index = opened.get(fingerprint)
      return inTurn(async () => {
        const alias = Object.keys(catalog.aliases).find((name) => catalog.aliases[name] === fingerprint)
        if (alias !== undefined) {
          throw invalid('collection_in_use', `alias ${alias} names collection ${fingerprint}`, 409)
        }
        await (await index)?.close()
        if ((await connection.tableNames()).includes(tableName(spec))) {
          await connection.dropTable(tableName(spec))
        }
        const collections = catalog.collections.filter((other) => other.fingerprint !== fingerprint)
        await save({ ...catalog, collections })
      })
    },
    async close() {
      await changes
      for (const index of opened.values()) await (await index).close()
      connection.close()
    },
  }
}

function tableName({ fingerprint }: CollectionSpec): string {
  return `points-${createHash('sha256').update(fingerprint).digest('hex').slice(0, 32)}`
}

async function readCatalog(path: string): Promise<Catalog> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Catalog
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      return { format: ROWS_FORMAT, collections: [], aliases: {} }
    throw error
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  const file = await open(`${path}.new`, 'w')
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
}
