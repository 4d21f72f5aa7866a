import { createMemoryRegistry } from '@aquifer/stores/registry-memory'
import { registryConformance } from './registry.ts'

registryConformance('memory', {
  fresh: async () => '',
  open: () => ({ registry: createMemoryRegistry(), close: async () => {} }),
  skips: { 'R4 what resolved is there after kill -9': 'nothing outlives the process' },
})
