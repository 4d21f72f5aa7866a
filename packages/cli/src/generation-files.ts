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
 * gone, there is no instance.
 */
export function createGenerationFiles(dataDir: string, indexDir: string): GenerationFiles {
  mkdirSync(indexDir, { recursive: true })
  const registryName = (instance: string) => `registry-${instance}.db`
  const nameFile = (fingerprint: string) => join(indexDir, `${INSTANCE_PREFIX}${fingerprint}`)

  async function instances(): Promise<Map<string, string>> {
    const registries = await readdir(dataDir)
    const found = new Map<string, string>()
    for (const name of await readdir(indexDir)) {
      if (!name.startsWith(INSTANCE_PREFIX)) continue
      const instance = await readFile(join(indexDir, name), 'utf8')
      if (registries.includes(registryName(instance))) found.set(name.slice(INSTANCE_PREFIX.length), instance)
    }
    return found
  }

  /** Registries whose index is gone with their name, or that were not prepared to the end. */
  async function dropNameless(): Promise<void> {
    const used = [...(await instances()).values()].map(registryName)
    for (const name of await readdir(dataDir))
      if (/^registry-.*\.db/.test(name) && !used.some((each) => name.startsWith(each)))
        await rm(join(dataDir, name), { force: true })
  }

  return {
    instances,
    async renew(fingerprint, lost, prepare) {
      const known = (await instances()).get(fingerprint)
      if (known !== undefined && known !== lost) return known
      const instance = randomUUID().slice(0, 8)
      await prepare(instance)
      await writeFile(nameFile(fingerprint), instance)
      await dropNameless()
      return instance
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
