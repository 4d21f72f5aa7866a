import { platform, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { errorMessage } from '@aquifer/runtime/errors'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { contentWords } from '@aquifer/text/words'
import type { Embedding } from './embedder.ts'
import type { PassageTask, WorkerData, WorkerReply, WorkerRequest } from './onnx-protocol.ts'
import { openTokenizer, type EncodedText } from './tokenizer.ts'

/** One session of the model and its tokenizer. `InferenceSession.run` blocks, and here it may. */
const setup = workerData as WorkerData
const port = parentPort!

const SPECIAL_TOKENS = 2
/** Where all cores are busy, a thread that serves somebody who waits gets three times the time of one of these. */
const BACKGROUND_PRIORITY = 5

interface Encoded extends EncodedText {
  /** Place in the reply. */
  readonly index: number
  readonly wanted: PassageTask['words']
  /** The words that get a state of their own. */
  readonly words: readonly ReadWord[]
}

/** A content word, and which tokens it was read as. */
interface ReadWord {
  readonly word: string
  readonly first: number
  readonly next: number
}

async function start(): Promise<void> {
  // Elsewhere that would be the priority of the whole process.
  if (setup.isBackground && platform() === 'linux') setPriority(0, BACKGROUND_PRIORITY)
  const tokenizer = openTokenizer(setup.tokenizer)
  const session = await InferenceSession.create(setup.graph, {
    executionProviders: [setup.device],
    intraOpNumThreads: setup.intraOpThreads,
    interOpNumThreads: 1,
    // The graph is fused already, and on a CPU further fusing makes it slower (see `skipNorm` in bert-graph.ts).
    graphOptimizationLevel: setup.device === 'cpu' ? 'basic' : 'all',
    // Without an arena the C library maps each large buffer anew, and attention over 250 tokens takes 15 ms a text in place of 7;
    // with it a session holds no more memory (162 against 164 MiB after texts of all lengths to 254, 226 against 224 to 512).
    enableCpuMemArena: true,
    // Texts differ in length, so a plan for each would be kept.
    enableMemPattern: false,
    logSeverityLevel: 3,
  })

  async function embed(passages: readonly PassageTask[]): Promise<void> {
    const encoded = passages.map(({ text, contextLength, words }, index): Encoded => {
      const tokens = tokenizer.encode(text, setup.maxTokens)
      return { ...tokens, index, wanted: words, words: words ? readWords(text, tokens, contextLength) : [] }
    })
    const embeddings: Embedding[] = []
    for (const batch of batches(encoded, setup.runTokens))
      for (const [index, embedding] of await run(session, batch)) embeddings[index] = embedding
    reply({ type: 'embedded', embeddings }, embeddings.flatMap(memoryOf))
  }

  async function handle(request: WorkerRequest): Promise<void> {
    if (request.type === 'close') {
      await session.release()
      port.close()
      return
    }
    try {
      if (request.type === 'embed') await embed(request.passages)
      else reply({ type: 'counted', counts: request.texts.map((text) => tokenizer.count(text)) })
    } catch (error) {
      reply({ type: 'failed', message: errorMessage(error) })
    }
  }
  let tail = Promise.resolve()
  port.on('message', (request: WorkerRequest) => {
    tail = tail.then(() => handle(request))
  })
  reply({ type: 'ready' })
}

/** Texts of like length together, so that little is padded. */
function batches(encoded: readonly Encoded[], runTokens: number): Encoded[][] {
  const sorted = encoded.toSorted((a, b) => a.ids.length - b.ids.length)
  const found: Encoded[][] = []
  let batch: Encoded[] = []
  for (const each of sorted) {
    // Sorted upwards, so the newest is the longest.
    if (batch.length > 0 && (batch.length + 1) * each.ids.length > runTokens) {
      found.push(batch)
      batch = []
    }
    batch.push(each)
  }
  if (batch.length > 0) found.push(batch)
  return found
}

/** One run of the model, as pairs of the place in the reply and what goes there. */
async function run(session: InferenceSession, batch: readonly Encoded[]): Promise<[number, Embedding][]> {
  const { dimensions } = setup
  const seq = Math.max(...batch.map(({ ids }) => ids.length))
  const rows = 1 + Math.max(...batch.map(({ words }) => words.length))
  const ids = new Int32Array(batch.length * seq)
  const lengths = new Int32Array(batch.length)
  const pool = new Float32Array(batch.length * rows * seq)
  batch.forEach((each, index) => {
    ids.set(each.ids, index * seq)
    lengths[index] = each.ids.length
    fillPool(pool.subarray(index * rows * seq, (index + 1) * rows * seq), each, seq)
  })
  const output = await session.run({
    input_ids: new Tensor('int32', ids, [batch.length, seq]),
    // An int8 graph has one text in a run, and so no padding.
    ...(session.inputNames.includes('lengths') && { lengths: new Tensor('int32', lengths, [batch.length]) }),
    pool: new Tensor('float32', pool, [batch.length, rows, seq]),
  })
  const found = output['vectors']!
  const data = found.data as Float32Array
  const embeddings = batch.map((each, index): [number, Embedding] => {
    const start = index * rows * dimensions
    return [each.index, embedding(each, data.subarray(start, start + rows * dimensions))]
  })
  found.dispose()
  return embeddings
}

/** Equal weights: in the first row on all tokens, then a row for each word on its own tokens. */
function fillPool(pool: Float32Array, { ids, words }: Encoded, seq: number): void {
  pool.fill(1 / ids.length, 0, ids.length)
  words.forEach(({ first, next }, index) => {
    const row = (index + 1) * seq
    pool.fill(1 / (next - first), row + first, row + next)
  })
}

/** The content words that were read: those after the cut have no tokens, nor has what the tokenizer leaves out. */
function readWords(text: string, { starts, ends }: EncodedText, contextLength = 0): ReadWord[] {
  const last = ends.length - 1
  const read = text.slice(0, Math.max(0, ends[last - 1]!))
  const words: ReadWord[] = []
  let first = 1
  for (const { word, start, end } of contentWords(read, contextLength)) {
    while (first < last && ends[first]! <= start) first++
    let next = first
    while (next < last && starts[next]! < end) next++
    if (next > first) words.push({ word, first, next })
  }
  return words
}

function embedding({ ids, wanted, words }: Encoded, rows: Float32Array): Embedding {
  const { dimensions } = setup
  const vector = rows.slice(0, dimensions)
  const tokens = ids.length - SPECIAL_TOKENS
  if (!wanted) return { vector, words: null, tokens }
  const states =
    words.length > 0
      ? rows.subarray(dimensions, (words.length + 1) * dimensions)
      : rows.subarray(0, dimensions)
  return {
    vector,
    words: {
      words: words.length > 0 ? words.map(({ word }) => word) : [''],
      bits: wanted === 'bits' ? signBits(states) : null,
      vectors: wanted === 'vectors' ? states.slice() : null,
    },
    tokens,
  }
}

/** One bit a value, 1 where it is positive, the first in the highest bit. */
function signBits(values: Float32Array): Uint8Array {
  const bits = new Uint8Array(values.length / 8)
  for (let byte = 0; byte < bits.length; byte++) {
    let signs = 0
    for (let index = byte * 8; index < byte * 8 + 8; index++)
      signs = (signs << 1) | Number(values[index]! > 0)
    bits[byte] = signs
  }
  return bits
}

function memoryOf({ vector, words }: Embedding): ArrayBuffer[] {
  return [vector, words?.bits, words?.vectors].flatMap((view) => (view ? [view.buffer as ArrayBuffer] : []))
}

function reply(message: WorkerReply, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer)
}

try {
  await start()
} catch (error) {
  reply({ type: 'unusable', message: errorMessage(error) })
  port.close()
}
