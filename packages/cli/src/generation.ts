import { createHash, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { createConnectorService } from '@aquifer/connector/service'
import type { ConsumerDeps } from '@aquifer/connector/deps'
import { createParsePool } from '@aquifer/connector/parse-pool'
import type { ParsePool } from '@aquifer/connector/parse-pool'
import { topics } from '@aquifer/contracts/topics'
import { createEmbedderService } from '@aquifer/embedder/service'
import type { EventLog } from '@aquifer/event-log/port'
import type { GuardPolicy } from '@aquifer/guard/policy'
import type { Embedder } from '@aquifer/models/embedder'
import type { Config } from '@aquifer/runtime/config'
import { openDatabase } from '@aquifer/runtime/sqlite'
import type { Registry } from '@aquifer/stores/registry'
import { createSqliteRegistry, registrySchema } from '@aquifer/stores/registry-sqlite'
import type { VectorIndex, VectorIndexAdmin } from '@aquifer/stores/vector-index'

/**
 * One way of making the index: an embedder with its collection and registry, and the parser and chunker before it. Its consumer
 * groups carry its id, so a changed parser, chunker or embedder reads the whole log again from its start. While another embedder
 * fills its collection, the old generation goes on serving; vectors of two spaces never meet.
 */
export interface Generation {
  /** Hash of everything that decides the chunks and their vectors. */
  readonly build: string
  readonly embedder: Embedder
  readonly index: VectorIndex
  readonly registry: Registry
  readonly parsePool: ParsePool
  readonly groups: { readonly connector: string; readonly embedder: string }
  readonly registryFile: string
  close(): Promise<void>
}

/** What is kept of a generation, so that the next start can serve from it. */
export interface GenerationRecord {
  readonly build: string
  readonly embedderUrl: string
  readonly fingerprint: string
  readonly dimensions: number
}

const CURRENT_FILE = 'generation.json'

export async function readCurrent(dataDir: string): Promise<GenerationRecord | null> {
  try {
    return JSON.parse(await readFile(join(dataDir, CURRENT_FILE), 'utf8')) as GenerationRecord
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** The alias switch: one renamed file. */
export async function writeCurrent(dataDir: string, record: GenerationRecord): Promise<void> {
  const path = join(dataDir, CURRENT_FILE)
  await writeFile(`${path}.new`, `${JSON.stringify(record, null, 2)}\n`)
  await rename(`${path}.new`, path)
}

function registryPath(dataDir: string, instance: string): string {
  return join(dataDir, `registry-${instance}.db`)
}

/**
 * The name of an index and the registry that belongs to it. Where either is gone, both are new: the consumer groups carry the name, so
 * what was lost is made again from the log.
 */
async function instanceOf(dataDir: string, fingerprint: string): Promise<string> {
  const file = join(dataDir, 'vectors', `instance-${fingerprint.slice(0, 16)}`)
  const known = existsSync(file) ? await readFile(file, 'utf8') : null
  if (known !== null && existsSync(registryPath(dataDir, known))) return known
  const instance = randomUUID().slice(0, 8)
  await writeFile(file, instance)
  return instance
}

/** Removes the collections and registries that no open generation uses: those of an embedder that was replaced. */
export async function dropUnused(
  dataDir: string,
  admin: VectorIndexAdmin,
  open: readonly Generation[],
): Promise<void> {
  for (const collection of await admin.list()) {
    if (open.some(({ embedder }) => embedder.fingerprint === collection.fingerprint)) continue
    await rm(join(dataDir, 'vectors', `instance-${collection.fingerprint.slice(0, 16)}`), { force: true })
    await admin.drop(collection)
  }
  for (const name of await readdir(dataDir)) {
    const used = open.some(({ registryFile }) => name.startsWith(registryFile))
    if (/^registry-.*\.db/.test(name) && !used) await rm(join(dataDir, name), { force: true })
  }
}

export async function openGeneration(options: {
  config: Config
  policy: GuardPolicy
  embedder: Embedder
  admin: VectorIndexAdmin
}): Promise<Generation> {
  const { config, embedder, admin } = options
  const { fingerprint, dimensions } = embedder
  const instance = await instanceOf(config.dataDir, fingerprint)
  const index = await admin.open({ fingerprint, dimensions })
  const database = openDatabase({
    path: registryPath(config.dataDir, instance),
    schema: registrySchema,
    survives: 'power-loss',
  })
  const parsePool = createParsePool({
    tokenizerPath: embedder.tokenizerPath,
    limits: { maxBytes: config.maxDocumentBytes, maxPages: config.maxPages },
    guard: options.policy,
    threads: config.parseThreads,
    timeoutMs: config.parseTimeoutMs,
    memoryMb: config.parseMemoryMb,
  })
  const build = createHash('sha256')
    .update(JSON.stringify([parsePool.build, fingerprint]))
    .digest('hex')
    .slice(0, 16)
  const registry = createSqliteRegistry(database)
  return {
    build,
    embedder,
    index,
    registry,
    parsePool,
    registryFile: basename(registryPath(config.dataDir, instance)),
    groups: {
      connector: `aquifer.connector.${build}.${instance}`,
      embedder: `aquifer.embedder.${build}.${instance}`,
    },
    async close() {
      await parsePool.close()
      await registry.close()
      await database.close()
      await embedder.close()
    },
  }
}

export type Shared = Omit<ConsumerDeps, 'registry' | 'parsePool' | 'build' | 'group'> & {
  readonly sweepEveryMs: number
}

/** The consumers that fill a generation's index. */
export function createConsumers(
  { build, registry, parsePool, groups, index, embedder }: Generation,
  shared: Shared,
) {
  const connector = createConnectorService({ ...shared, registry, parsePool, build, group: groups.connector })
  const filler = createEmbedderService({
    ...shared,
    registry,
    build,
    group: groups.embedder,
    index,
    embedder,
  })
  return {
    async start(): Promise<void> {
      await filler.start()
      await connector.start()
    },
    async stop(): Promise<void> {
      await connector.stop()
      await filler.stop()
    },
  }
}

/** Records of the log that a generation has still to read. */
export async function backlog(
  { groups }: Generation,
  log: EventLog,
): Promise<{ connector: number; embedder: number }> {
  const lag = async (group: string, names: readonly string[]) => {
    const lags = await Promise.all(names.map(async (name) => await log.lag(group, name)))
    return lags.reduce((sum, own) => sum + own, 0)
  }
  return {
    connector: await lag(groups.connector, [
      topics.documents.name,
      topics.documentsBulk.name,
      topics.documentsRetry.name,
    ]),
    embedder: await lag(groups.embedder, [topics.chunks.name, topics.chunksBulk.name]),
  }
}
