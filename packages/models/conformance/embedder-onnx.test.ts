import { describe } from 'vitest'
import { createOnnxEmbedder } from '../src/onnx-embedder.ts'
import { embedderConformance } from './embedder.ts'
import { temporaryDir, testModel } from './test-model.ts'

const model = await testModel()

describe.skipIf(!model)('with all-MiniLM-L6-v2', () => {
  const open = (precision: 'fp32' | 'int8') => () =>
    createOnnxEmbedder(model!, { precision, device: 'cpu', documentWorkers: 2, fallbackDir: temporaryDir() })
  // Texts run alone, so not even the rounding differs.
  embedderConformance({ name: 'onnx int8', open: open('int8'), noise: 0 })
  // Short texts share a run, and sums of other shapes round differently.
  embedderConformance({ name: 'onnx fp32', open: open('fp32'), noise: 1e-6 })
})
