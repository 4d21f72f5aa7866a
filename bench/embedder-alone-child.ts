import { openEmbedder } from '@aquifer/models/open'
import type { Passage } from '@aquifer/models/embedder'
import { readConfig } from '@aquifer/runtime/config'

/** A process with the embedder and nothing else: told passages, it tells the seconds that their vectors took. */
const [url, dataDir] = process.argv.slice(2) as [string, string]
const { embedThreads: threads } = readConfig(process.env, dataDir)
const embedder = await openEmbedder(url, { dataDir, env: process.env, threads })
const lane = 'bulk'
const words = 'bits'
await embedder.embed([{ text: 'A first passage.' }], { lane, words })

process.on('message', (passages: Passage[]) => {
  void (async () => {
    const started = performance.now()
    await embedder.embed(passages, { lane, words })
    process.send!((performance.now() - started) / 1000)
  })()
})
process.once('disconnect', () => void embedder.close())
process.send!('ready')
