import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '@aquifer/runtime/sqlite'
import { createSqliteRegistry, registrySchema } from '@aquifer/stores/registry-sqlite'
import type { RegistryAdapter } from '../registry.ts'

const fresh = async (): Promise<string> => join(await mkdtemp(join(tmpdir(), 'aquifer-state-')), 'state.db')

export const registryAdapter: RegistryAdapter = {
  fresh,
  open(location) {
    const database = openDatabase({ path: location, schema: registrySchema, survives: 'kill' })
    return { registry: createSqliteRegistry(database), close: () => database.close() }
  },
  module: import.meta.url,
}
