import { join } from 'node:path'
import { openEmbedder } from '@aquifer/models/open'
import { openLanceDb } from '@aquifer/stores/lancedb'
import { terms } from '@aquifer/text/terms'

/**
 * What a search is at the least, in a process of its own: the question embedded by the same pool, the index asked through the same
 * adapter for the same lists. Arguments: a copy of the data directory, the folder of the model's files.
 */
export interface BareQuestion {
  readonly question: string
  readonly mode: 'dense' | 'hybrid'
  readonly limit: number
}

const [dataDir, modelDir] = process.argv.slice(2) as [string, string]
const embedder = await openEmbedder('onnx:all-MiniLM-L6-v2', { dataDir: modelDir, env: process.env })
const admin = await openLanceDb({ path: join(dataDir, 'vectors') })
const index = await admin.open(embedder)

process.on('message', ({ question, mode, limit }: BareQuestion) => void answer(question, mode, limit))
process.on('disconnect', () => process.exit(0))
process.send!('ready')

async function answer(question: string, mode: BareQuestion['mode'], limit: number): Promise<void> {
  const started = performance.now()
  const [embedding] = await embedder.embed([{ text: question }], { lane: 'query' })
  await index.search({
    tenant: 'default',
    groups: null,
    vector: embedding!.vector,
    ...(mode === 'hybrid' ? { terms: terms(question) } : {}),
    limit,
  })
  process.send!(performance.now() - started)
}
