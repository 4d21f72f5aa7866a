import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { errorMessage } from '@aquifer/runtime/errors'
import { DEFAULT_MODEL, type ModelFiles, pullModel, userModelCache } from '../src/pull.ts'

/**
 * The default model, from the user's cache or fetched into it once. Null, with the reason printed, where it cannot be
 * had: the tests that need it are then skipped.
 */
export async function testModel(): Promise<ModelFiles | null> {
  try {
    return await pullModel(DEFAULT_MODEL, { cacheDirs: [userModelCache(process.env)] })
  } catch (error) {
    console.warn(`SKIPPED: tests on the real embedding model, because ${errorMessage(error)}`)
    return null
  }
}

export function temporaryDir(): string {
  return mkdtempSync(join(tmpdir(), 'aquifer-models-'))
}
