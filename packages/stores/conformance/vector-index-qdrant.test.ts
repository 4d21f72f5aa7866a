import { afterAll, test } from 'vitest'
import { startQdrant } from '@aquifer/infra/qdrant'
import { startTestPart } from '@aquifer/infra/test-part'
import { qdrantAdapter } from './adapters/qdrant.ts'
import { vectorIndexConformance } from './vector-index.ts'

const started = await startTestPart('qdrant', startQdrant)
if ('missing' in started) test.skip(`vector index: qdrant (${started.missing})`, () => {})
else {
  afterAll(started.stop)
  vectorIndexConformance(started.part.label, qdrantAdapter(started.part.url))
}
