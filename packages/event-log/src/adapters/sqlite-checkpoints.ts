import type { Database } from '@aquifer/runtime/sqlite'

/** Of records, between two checkpoints: of 1 KiB each, they are some 1,600 pages of the write-ahead log. */
const CHECKPOINT_BYTES = 2 * 1024 * 1024
/**
 * With so many pages (16 MB) there, a commit makes the checkpoint after all. It also has to where appends never pause, for only
 * then does the write-ahead log start over, but it finds most pages copied already.
 */
export const COMMIT_CHECKPOINT_PAGES = 4000

export interface Checkpoints {
  /** Told after each commit what it wrote. */
  written(bytes: number): void
  close(): Promise<void>
}

/**
 * Copies what was committed from the write-ahead log into the file, on a connection and a thread of its own, opened when it is first
 * needed: in the commits themselves, that and its two fsyncs were a quarter of an append's time. One that fails leaves it to them.
 */
export function createCheckpoints(open: () => Database): Checkpoints {
  let database: Database | null = null
  let uncopiedBytes = 0
  let running: Promise<unknown> | null = null

  return {
    written(bytes) {
      uncopiedBytes += bytes
      if (running || uncopiedBytes < CHECKPOINT_BYTES) return
      uncopiedBytes = 0
      database ??= open()
      running = database
        .all('PRAGMA wal_checkpoint(PASSIVE)')
        .catch(() => {})
        .finally(() => (running = null))
    },
    async close() {
      await running
      await database?.close()
    },
  }
}
