import { registryAdapter } from './adapters/sqlite.ts'
import { registryConformance } from './registry.ts'

registryConformance('sqlite', registryAdapter)
