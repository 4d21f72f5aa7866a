import { randomUUID } from 'node:crypto'
import { openQdrant } from '@aquifer/stores/qdrant'
import { dropCollections } from '../../src/vector-index/qdrant.fixture.ts'
import type { VectorIndexAdapter } from '../vector-index-kit.ts'

/** Of a server at `url`: each place is a namespace of its own, and `clear` removes them all. */
export function qdrantAdapter(url: string): VectorIndexAdapter & { clear(): Promise<void> } {
  const run = `test.${randomUUID()}`.replaceAll('-', '')
  let places = 0
  return {
    async fresh() {
      const place = new URL(url)
      place.searchParams.set('namespace', `${run}.${places++}`)
      return place.href
    },
    clear: () => dropCollections(url, run),
    open: (location) => openQdrant({ url: location }),
    module: import.meta.url,
    skips: {
      'V5 after compaction deleted text is no longer on the disk':
        'Qdrant rewrites its segments and log when it sees fit, and has no request for it',
    },
  }
}

/** For a process that is killed: it opens what `fresh` gave. */
export const adapter = qdrantAdapter('')
