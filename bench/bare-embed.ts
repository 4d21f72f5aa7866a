import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { Worker } from 'node:worker_threads'
import { bertConfig, onnxGraph } from '@aquifer/models/convert/convert'
import { DEFAULT_MODEL, pullModel, userModelCache } from '@aquifer/models/pull'
import type { BareResult, BareSetup, BareTask } from './bare-embed-worker.ts'

export interface BareEmbedder {
  /** The vector of each text, in their order. */
  embed(texts: readonly string[]): Promise<Float32Array[]>
  close(): Promise<void>
}

/**
 * The default model in its default precision, and nothing else: `sessions` of one thread that share the work, or one session with
 * `intraOpThreads`, as onnxruntime sets it up by itself.
 */
export async function openBareEmbedder(layout: {
  sessions: number
  intraOpThreads: number
}): Promise<BareEmbedder> {
  const model = await pullModel(DEFAULT_MODEL, { cacheDirs: [userModelCache(process.env)] })
  const graph = await onnxGraph(model, { precision: 'int8', fallbackDir: tmpdir() })
  const setup: BareSetup = {
    graph,
    tokenizer: model.tokenizer,
    maxTokens: bertConfig(model).positions - 2,
    intraOpThreads: layout.intraOpThreads,
  }
  const workers = Array.from(
    { length: layout.sessions },
    () => new Worker(new URL('./bare-embed-worker.ts', import.meta.url), { workerData: setup }),
  )
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  return {
    async embed(texts) {
      const next = new Int32Array(new SharedArrayBuffer(4))
      const vectors: Float32Array[] = []
      await Promise.all(
        workers.map(async (worker) => {
          worker.postMessage({ texts, next } satisfies BareTask)
          const [found] = (await once(worker, 'message')) as [BareResult]
          for (const [place, vector] of found) vectors[place] = vector
        }),
      )
      return vectors
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.terminate()))
    },
  }
}
