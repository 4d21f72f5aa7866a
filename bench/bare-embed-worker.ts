import { parentPort, workerData } from 'node:worker_threads'
import { openTokenizer } from '@aquifer/models/tokenizer'
import { InferenceSession, Tensor } from 'onnxruntime-node'

/**
 * What is left of an embedder when everything but the model is taken away: tokenize, run, keep the vector. The threads share one
 * list, so that none is idle before the end. A run has one text, as the graph wants it.
 */
export interface BareSetup {
  readonly graph: string
  readonly tokenizer: string
  readonly maxTokens: number
  readonly intraOpThreads: number
}
export interface BareTask {
  readonly texts: readonly string[]
  /** The next text that nobody has taken. */
  readonly next: Int32Array<SharedArrayBuffer>
}
/** Places in the list, and the vectors there. */
export type BareResult = readonly (readonly [number, Float32Array])[]

const setup = workerData as BareSetup
const tokenizer = openTokenizer(setup.tokenizer)
const session = await InferenceSession.create(setup.graph, {
  intraOpNumThreads: setup.intraOpThreads,
  interOpNumThreads: 1,
  graphOptimizationLevel: 'basic',
})

async function embed(text: string): Promise<Float32Array> {
  const ids = Int32Array.from(tokenizer.encode(text, setup.maxTokens).ids)
  const seq = ids.length
  const output = await session.run({
    input_ids: new Tensor('int32', ids, [1, seq]),
    pool: new Tensor('float32', new Float32Array(seq).fill(1 / seq), [1, 1, seq]),
  })
  return (output['vectors']!.data as Float32Array).slice()
}

parentPort!.on('message', ({ texts, next }: BareTask) => {
  void (async () => {
    const found: [number, Float32Array][] = []
    for (let i = Atomics.add(next, 0, 1); i < texts.length; i = Atomics.add(next, 0, 1))
      found.push([i, await embed(texts[i]!)])
    parentPort!.postMessage(found satisfies BareResult)
  })()
})
parentPort!.postMessage('ready')
