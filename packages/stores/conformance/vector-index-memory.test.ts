import { createMemoryVectorIndex } from '@aquifer/stores/vector-index-memory'
import { vectorIndexConformance } from './vector-index.ts'

vectorIndexConformance('memory', {
  fresh: async () => '',
  open: async () => createMemoryVectorIndex(),
  skips: {
    'V1 what was acknowledged is there after kill -9, nothing doubled': 'nothing outlives the process',
    'V1 everything is there after reopening': 'nothing outlives the process',
    'V5 after compaction deleted text is no longer on the disk': 'there is no disk',
  },
})
