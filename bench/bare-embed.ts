import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { Worker } from 'node:worker_threads'
import { bertConfig, onnxGraph } from '@aquifer/models/convert/convert'
import { DEFAULT_MODEL, pullModel, userModelCache } from '@aquifer/models/pull'
import type { BareSetup, BareTask } from './bare-embed-worker.ts'

export interface BareEmbedder {
  /** Seconds that the texts take at this many padded tokens a run. */
  measure(texts: readonly string[], budgetTokens: number): Promise<number>
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
    async measure(texts, budgetTokens) {
      const next = new Int32Array(new SharedArrayBuffer(4))
      const started = performance.now()
      await Promise.all(
        workers.map((worker) => {
          worker.postMessage({ texts, budgetTokens, next } satisfies BareTask)
          return once(worker, 'message')
        }),
      )
      return (performance.now() - started) / 1000
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.terminate()))
    },
  }
}
