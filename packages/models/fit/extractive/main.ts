import { join, resolve } from 'node:path'
import { createOnnxEmbedder } from '../../src/onnx-embedder.ts'
import { DEFAULT_MODEL, pullModel, userModelCache } from '../../src/pull.ts'
import { fit } from './fit.ts'

/**
 * Fits the extractive generator anew and prints its figures: `node packages/models/fit/extractive/main.ts [passages] [weights file]`.
 * Vectors come from the default model, as they do when it serves.
 */
const root = resolve(import.meta.dirname, '../../../..')
const folder = process.env['AQUIFER_DEV_DATA'] ?? resolve(root, '../shared/data')
const cache = userModelCache(process.env)
const model = await pullModel(DEFAULT_MODEL, { cacheDirs: [cache] })
const embedder = await createOnnxEmbedder(model, { device: 'cpu', fallbackDir: cache })
try {
  const embed = async (texts: readonly string[]): Promise<readonly Float32Array[]> => {
    const vectors: Float32Array[] = []
    for (let from = 0; from < texts.length; from += 256) {
      const batch = texts.slice(from, from + 256).map((text) => ({ text }))
      for (const { vector } of await embedder.embed(batch, { lane: 'bulk' })) vectors.push(vector)
    }
    return vectors
  }
  const passages = Number(process.argv[2] ?? 6)
  const weights = process.argv[3] ?? join(root, 'packages/models/src/extractive/weights.json')
  console.log(JSON.stringify(await fit(folder, embed, embedder.name, weights, passages), null, 2))
} finally {
  await embedder.close()
}
