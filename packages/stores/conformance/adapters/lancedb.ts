import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLanceDb } from '@aquifer/stores/lancedb'
import type { VectorIndexAdapter } from '../vector-index-kit.ts'

export const adapter: VectorIndexAdapter = {
  fresh: () => mkdtemp(join(tmpdir(), 'aquifer-lancedb-')),
  open: (location) =>
    openLanceDb({
      path: location,
      onUpkeepFailure(error) {
        // Uncaught, so that the run fails.
        queueMicrotask(() => {
          throw error
        })
      },
    }),
  module: import.meta.url,
  directory: (location) => location,
}
