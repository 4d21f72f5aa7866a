import { adapter } from './adapters/lancedb.ts'
import { vectorIndexConformance } from './vector-index.ts'

vectorIndexConformance('lancedb', adapter)
