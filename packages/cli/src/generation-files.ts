import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openDatabase } from '@aquifer/runtime/sqlite'
import type { GenerationRecord, GenerationStore } from '@aquifer/stores/generations'
import type { Registry } from '@aquifer/stores/registry'
import { createSqliteRegistry, registrySchema } from '@aquifer/stores/registry-sqlite'

const CURRENT_FILE = 'generation.json'
const INSTANCE_PREFIX = 'instance-'

/** The registries and generations of a data directory, which has one owner process. */
export interface GenerationFiles extends GenerationStore {
  openRegistry(instance: string): Promise<Registry>
}

/**
 * The name of an instance lies in `indexDir`, so that it goes where the index goes; the registry is a database beside. Where either is
 * gone, `instanceOf` makes a new one.
 */
export function createGenerationFiles(dataDir: string, indexDir: string): GenerationFiles {
  mkdirSync(indexDir, { recursive: true })
  const registryName = (instance: string) => `registry-${instance}.db`
  const nameFile = (fingerprint: string) => join(indexDir, `${INSTANCE_PREFIX}${fingerprint}`)

  async function known(fingerprint: string): Promise<string | null> {
    const instance = await readIfThere(nameFile(fingerprint))
    if (instance === null) return null
    return (await readdir(dataDir)).includes(registryName(instance)) ? instance : null
  }
  async function make(fingerprint: string): Promise<string> {
    const instance = randomUUID().slice(0, 8)
    await writeFile(nameFile(fingerprint), instance)
    await dropNameless()
    return instance
  }

  /** Registries whose index is gone with their name. */
  async function dropNameless(): Promise<void> {
    const used = [...(await instances()).values()].map(registryName)
    for (const name of await readdir(dataDir))
      if (/^registry-.*\.db/.test(name) && !used.some((each) => name.startsWith(each)))
        await rm(join(dataDir, name), { force: true })
  }
  async function instances(): Promise<Map<string, string>> {
    const found = new Map<string, string>()
    for (const name of await readdir(indexDir)) {
      if (!name.startsWith(INSTANCE_PREFIX)) continue
      found.set(name.slice(INSTANCE_PREFIX.length), await readFile(join(indexDir, name), 'utf8'))
    }
    return found
  }

  return {
    instances,
    instanceOf: async (fingerprint) => (await known(fingerprint)) ?? (await make(fingerprint)),
    async renew(fingerprint, lost) {
      const instance = await known(fingerprint)
      return instance !== null && instance !== lost ? instance : await make(fingerprint)
    },
    async forget(fingerprint) {
      await rm(nameFile(fingerprint), { force: true })
      await dropNameless()
    },
    async current() {
      const text = await readIfThere(join(dataDir, CURRENT_FILE))
      return text === null ? null : (JSON.parse(text) as GenerationRecord)
    },
    // The alias switch: one renamed file.
    async setCurrent(record) {
      const path = join(dataDir, CURRENT_FILE)
      await writeFile(`${path}.new`, `${JSON.stringify(record, null, 2)}\n`)
      await rename(`${path}.new`, path)
    },
    async openRegistry(instance) {
      const path = join(dataDir, registryName(instance))
      const database = openDatabase({ path, schema: registrySchema, survives: 'power-loss' })
      const registry = createSqliteRegistry(database)
      return {
        ...registry,
        async close() {
          await registry.close()
          await database.close()
        },
      }
    },
  }
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
