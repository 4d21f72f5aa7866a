import { afterAll, test } from 'vitest'
import { startQdrant } from '@aquifer/infra/qdrant'
import { startTestPart } from '@aquifer/infra/test-part'
import { qdrantAdapter } from './adapters/qdrant.ts'
import { vectorIndexConformance } from './vector-index.ts'

const started = await startTestPart('qdrant', startQdrant)
if ('missing' in started) test.skip(`vector index: qdrant (${started.missing})`, () => {})
else {
  const { part, stop } = started
  const adapter = qdrantAdapter(part.url)
  afterAll(async () => {
    await adapter.clear()
    await stop()
  })
  vectorIndexConformance(part.label, adapter)
}
