import { openDatabase } from '@aquifer/runtime/sqlite'
import { cacheSchema, createSqliteCache } from '@aquifer/stores/cache-sqlite'
import { cacheConformance } from './cache.ts'

cacheConformance('sqlite', async () => {
  let nowMs = 1_700_000_000_000
  const database = openDatabase({ path: ':memory:', schema: cacheSchema, survives: 'kill' })
  const clock = { now: () => nowMs, sleep: async () => {} }
  return {
    cache: createSqliteCache(database, { clock }),
    advance: async (ms) => void (nowMs += ms),
    close: () => database.close(),
  }
})
