import { parentPort, workerData } from 'node:worker_threads'
import { env, pipeline } from '@huggingface/transformers'

/** transformers.js as its documentation has it for embeddings, in a thread of its own. */
export interface PeerSetup {
  /** Holds the model's folder. */
  readonly modelsDir: string
  readonly model: string
  readonly dtype: 'fp32' | 'q8'
}
export interface PeerTask {
  readonly texts: readonly string[]
  readonly batchSize: number
}

const { modelsDir, model, dtype } = workerData as PeerSetup
env.allowRemoteModels = false
env.localModelPath = modelsDir
const extract = await pipeline('feature-extraction', model, { dtype })

parentPort!.on('message', ({ texts, batchSize }: PeerTask) => {
  void (async () => {
    const vectors: Float32Array[] = []
    for (let from = 0; from < texts.length; from += batchSize) {
      const output = await extract(texts.slice(from, from + batchSize), { pooling: 'mean', normalize: true })
      const [rows, dimensions] = output.dims as [number, number]
      for (let row = 0; row < rows; row++)
        vectors.push((output.data as Float32Array).slice(row * dimensions, (row + 1) * dimensions))
    }
    parentPort!.postMessage(vectors)
  })()
})
parentPort!.postMessage('ready')
