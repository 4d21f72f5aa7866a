import { afterAll, test } from 'vitest'
import { startSchemaRegistry } from '@aquifer/infra/schema-registry'
import { startTestPart } from '@aquifer/infra/test-part'
import { schemasConformance } from './schemas.ts'

const registry = await startTestPart('schema-registry', startSchemaRegistry)
if ('missing' in registry) test.skip(`schemas: a real registry (${registry.missing})`)
else {
  afterAll(registry.stop)
  schemasConformance(registry.part.label, registry.part.url)
}
