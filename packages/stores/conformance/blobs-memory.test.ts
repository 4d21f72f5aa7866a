import { createMemoryBlobs } from '@aquifer/stores/blobs-memory'
import { blobsConformance } from './blobs.ts'

blobsConformance('memory', async () => ({ blobs: createMemoryBlobs(), close: async () => {} }))
