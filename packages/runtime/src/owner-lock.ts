import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { invalid } from './errors.ts'

/**
 * Makes this process the only owner of a data directory. The lock is SQLite's file lock, so it ends with the process
 * however that dies. Returns what releases it. Throws `data_dir_in_use`.
 */
export function ownDataDir(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true })
  const lock = new DatabaseSync(join(dataDir, 'owner.lock'))
  try {
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE')
  } catch (cause) {
    lock.close()
    throw invalid(
      'data_dir_in_use',
      `another process owns the data directory ${dataDir}. Embedded stores have one owner: stop that process, set ` +
        'AQUIFER_DATA_DIR to another directory, or set AQUIFER_EVENT_LOG, AQUIFER_VECTOR_INDEX and AQUIFER_STATE to servers ' +
        'that many processes can share.',
      409,
      cause,
    )
  }
  return () => lock.close()
}
