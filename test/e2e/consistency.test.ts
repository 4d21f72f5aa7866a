import { afterAll, beforeAll, expect, test } from 'vitest'
import { runConsistency } from './harness/consistency.ts'
import { newDataDir, removeDataDir, startServer } from './harness/server.ts'
import type { Server } from './harness/server.ts'

let dataDir: string
let server: Server
beforeAll(async () => {
  dataDir = await newDataDir()
  server = await startServer(dataDir, { AQUIFER_EMBEDDER: 'lexical:' })
})
afterAll(async () => {
  await server.kill('SIGTERM')
  await removeDataDir(dataDir)
})

test('documents that change under queries: no answer mixes versions, shows what was deleted, goes back, or misses what exists', async () => {
  const seed = Date.now() % 1_000_000
  const result = await runConsistency(server, { seed, seconds: 20, documents: 24, queriesPerSecond: 20 })
  expect(result.violations, `seed ${seed}`).toEqual([])
  // Far less than any machine does; a run that did nothing would hold every promise.
  const { searches, answers, streams, confirmed, deletions } = result.counts
  expect(Math.min(searches, answers, streams, confirmed)).toBeGreaterThan(20)
  expect(deletions).toBeGreaterThan(2)
})
