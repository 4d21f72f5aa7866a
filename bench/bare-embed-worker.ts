import { parentPort, workerData } from 'node:worker_threads'
import { openTokenizer } from '@aquifer/models/tokenizer'
import { InferenceSession, Tensor } from 'onnxruntime-node'

/**
 * What is left of an embedder when everything but the model is taken away: tokenize, sort by length, run, keep the vectors. The
 * threads share one list, longest batches first, so that none is idle at the end.
 */
export interface BareSetup {
  readonly graph: string
  readonly tokenizer: string
  readonly maxTokens: number
  readonly intraOpThreads: number
}
export interface BareTask {
  readonly texts: readonly string[]
  /** Padded tokens of one run of the model. */
  readonly budgetTokens: number
  /** The next batch that nobody has taken. */
  readonly next: Int32Array<SharedArrayBuffer>
}

const setup = workerData as BareSetup
const tokenizer = openTokenizer(setup.tokenizer)
const session = await InferenceSession.create(setup.graph, {
  intraOpNumThreads: setup.intraOpThreads,
  interOpNumThreads: 1,
  graphOptimizationLevel: 'basic',
})

/** Neighbours in the order of their lengths, estimated by characters: each thread tokenizes only what it takes. */
function batchesOf(texts: readonly string[], budgetTokens: number): string[][] {
  const batches: string[][] = []
  let size = 0
  for (const text of texts.toSorted((a, b) => b.length - a.length)) {
    if (batches.length === 0 || batches.at(-1)!.length === size) {
      batches.push([])
      size = Math.max(1, Math.floor(budgetTokens / (text.length / 4 + 2)))
    }
    batches.at(-1)!.push(text)
  }
  return batches
}

async function embed(texts: readonly string[]): Promise<Float32Array> {
  const encoded = texts.map((text) => tokenizer.encode(text, setup.maxTokens).ids)
  const seq = Math.max(...encoded.map(({ length }) => length))
  const ids = new Int32Array(texts.length * seq)
  const pool = new Float32Array(texts.length * seq)
  encoded.forEach((own, row) => {
    ids.set(own, row * seq)
    pool.fill(1 / own.length, row * seq, row * seq + own.length)
  })
  const output = await session.run({
    input_ids: new Tensor('int32', ids, [texts.length, seq]),
    lengths: new Tensor(
      'int32',
      Int32Array.from(encoded, ({ length }) => length),
      [texts.length],
    ),
    pool: new Tensor('float32', pool, [texts.length, 1, seq]),
  })
  return (output['vectors']!.data as Float32Array).slice()
}

parentPort!.on('message', ({ texts, budgetTokens, next }: BareTask) => {
  void (async () => {
    const batches = batchesOf(texts, budgetTokens)
    const vectors: Float32Array[] = []
    for (let i = Atomics.add(next, 0, 1); i < batches.length; i = Atomics.add(next, 0, 1))
      vectors.push(await embed(batches[i]!))
    parentPort!.postMessage({ done: vectors.length })
  })()
})
parentPort!.postMessage({ ready: true })
