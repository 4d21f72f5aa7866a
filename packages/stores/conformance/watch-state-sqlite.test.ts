import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { WatchState } from '@aquifer/stores/watch-state'
import { openSqliteWatchState } from '@aquifer/stores/watch-state-sqlite'
import { watchStateConformance } from './watch-state.ts'

watchStateConformance('sqlite', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'aquifer-watch-state-'))
  const opened: WatchState[] = []
  return {
    async open() {
      const state = openSqliteWatchState(join(dir, 'watch.db'))
      opened.push(state)
      return state
    },
    async close() {
      for (const state of opened) await state.close()
      await rm(dir, { recursive: true })
    },
  }
})
