import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { runConsistency } from '@aquifer/test/consistency'
import { newDataDir, removeDataDir, startServer } from '@aquifer/test/server'

/**
 * Documents change and are deleted under 20 queries a second, and every answer's text is held against what was published. Exit 1
 * on any violation.
 *
 *   node bench/consistency.ts [--seconds 60] [--seed N] [--embedder onnx:all-MiniLM-L6-v2]
 */
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    embedder: { type: 'string', default: 'onnx:all-MiniLM-L6-v2' },
  },
})
const seed = Number(values.seed)
console.log(`seed ${seed}, ${values.seconds} s, ${values.embedder}`)

const dataDir = await newDataDir()
const server = await startServer(dataDir, { AQUIFER_EMBEDDER: values.embedder })
try {
  const options = { seed, seconds: Number(values.seconds), documents: 40, queriesPerSecond: 20 }
  const { counts, violations, byRule } = await runConsistency(server, options)
  console.log(`${JSON.stringify(counts)} (load average ${loadavg()[0]!.toFixed(1)})`)
  console.log(`violations ${JSON.stringify(byRule)}`)
  for (const violation of violations) console.log(`  ${violation}`)
  if (Object.values(byRule).some((count) => count > 0)) process.exitCode = 1
} finally {
  await server.kill('SIGTERM')
  await removeDataDir(dataDir)
}
