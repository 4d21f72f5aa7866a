import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
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

  it.skipIf(existsSync('/dev/nvidiactl'))(
    'device=cuda without a GPU: stops, and says what is missing',
    async () => {
      const options = { device: 'cuda', fallbackDir: temporaryDir() } as const
      await expect(createOnnxEmbedder(model!, options)).rejects.toMatchObject({
        code: 'embedder_device_unavailable',
        message: expect.stringContaining('CUDA 12') as string,
      })
    },
  )

  it('fingerprints differ between precisions, and are the same again', async () => {
    const embedders = [await open('int8')(), await open('fp32')(), await open('int8')()]
    const [int8, fp32, again] = embedders.map(({ fingerprint }) => fingerprint)
    expect(int8).toBe(again)
    expect(int8).not.toBe(fp32)
    await Promise.all(embedders.map((embedder) => embedder.close()))
  })
})
