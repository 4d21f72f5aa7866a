import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Embedder, Passage } from '@aquifer/models/embedder'
import { createOnnxEmbedder } from '@aquifer/models/onnx-embedder'
import { DEFAULT_MODEL, pullModel, userModelCache } from '@aquifer/models/pull'
import type { ModelFiles } from '@aquifer/models/pull'
import { openBareEmbedder } from '../bare-embed.ts'
import type { Bench, BenchOptions, Side } from '../comparison.ts'
import { readRows } from '../data.ts'
import { writePeerModel } from './embedding-peer-model.ts'
import type { PeerSetup, PeerTask } from './embedding-peer-worker.ts'
import { corpusPassages, recallAt5 } from './embedding-texts.ts'

const ROW = 'embedding'
const SERVICE_ROW = 'embedder-service'
const PASSAGES = 320
const SERVICE_PASSAGES = 1024
const SMOKE_PASSAGES = 12
/** What the pipelines are tried with; the best counts. */
const BATCH_SIZES = [1, 8, 32]
const TRIED_PASSAGES = 48
/** fastembed's default: a batch is padded to its longest text. */
const FASTEMBED_BATCH = 256
/** How much worse than fp32 the recall may be. */
const RECALL_MARGIN = 0.01

const perSecond = (count: number, startedMs: number): number =>
  (count * 1000) / (performance.now() - startedMs)

async function openOurs(model: ModelFiles): Promise<Embedder> {
  const embedder = await createOnnxEmbedder(model, {
    device: 'cpu',
    documentWorkers: availableParallelism(),
    fallbackDir: tmpdir(),
  })
  // Enough that every worker has started.
  await embedder.embed(
    Array.from({ length: 64 }, (_, index) => ({ text: `Passage ${index} that warms up. `.repeat(20) })),
    { lane: 'bulk' },
  )
  return embedder
}

interface Peer {
  embed(texts: readonly string[], batchSize: number): Promise<Float32Array[]>
  close(): Promise<void>
}

async function openPeer(setup: PeerSetup): Promise<Peer> {
  const worker = new Worker(new URL('./embedding-peer-worker.ts', import.meta.url), { workerData: setup })
  await once(worker, 'message')
  return {
    async embed(texts, batchSize) {
      worker.postMessage({ texts, batchSize } satisfies PeerTask)
      const [vectors] = (await once(worker, 'message')) as [Float32Array[]]
      return vectors
    },
    async close() {
      await worker.terminate()
    },
  }
}

async function bestBatchSize(
  peer: Peer,
  texts: readonly string[],
  sizes: readonly number[],
): Promise<number> {
  const rates: number[] = []
  for (const size of sizes) {
    const started = performance.now()
    await peer.embed(texts, size)
    rates.push(perSecond(texts.length, started))
  }
  return sizes[rates.indexOf(Math.max(...rates))]!
}

interface Paragraph {
  readonly id: string
  readonly text: string
}
interface Question {
  readonly question: string
  readonly gold_id: string
}

/** Throws where ours finds less than fp32 does. */
async function checkRecall(ours: Embedder, fp32: Peer, say: BenchOptions['say']): Promise<void> {
  const paragraphs = readRows<Paragraph>('retrieval_squad_corpus.jsonl')
  const questions = readRows<Question>('retrieval_squad.jsonl')
  const texts = [...paragraphs.map(({ text }) => text), ...questions.map(({ question }) => question)]
  const recall = (vectors: readonly Float32Array[]): number =>
    recallAt5(
      paragraphs.map(({ id }, index) => ({ id, vector: vectors[index]! })),
      questions.map(({ gold_id }, index) => ({ gold_id, vector: vectors[paragraphs.length + index]! })),
    )
  const embeddings = await ours.embed(
    texts.map((text) => ({ text })),
    { lane: 'bulk' },
  )
  const found = recall(embeddings.map(({ vector }) => vector))
  const wanted = recall(await fp32.embed(texts, 1))
  const shown = `recall@5 on SQuAD: ours ${found.toFixed(4)}, the peer's fp32 ${wanted.toFixed(4)}`
  say(`  ${shown}`)
  if (found < wanted - RECALL_MARGIN) throw new Error(`${shown}: not of equal quality`)
}

/** Passages of a documentation corpus to vectors, beside transformers.js. */
export const embedding: Bench = {
  rows: [
    {
      name: ROW,
      title: 'embedding a documentation corpus on CPU, recall@5 within a point of fp32',
      unit: 'chunks/s',
      better: 'more',
      goal: 2,
      limit:
        "onnxruntime's int8 matrix products, three fifths of a run at about 670 GOP/s a thread; attention, GELU and norms are most of the rest.",
    },
  ],
  async open({ smoke, say }) {
    const model = await pullModel(DEFAULT_MODEL, { cacheDirs: [userModelCache(process.env)] })
    const passages = await corpusPassages(model.tokenizer, {
      count: smoke ? SMOKE_PASSAGES : PASSAGES,
      smoke,
    })
    const texts = passages.map(({ text }) => text)
    const modelsDir = await mkdtemp(join(tmpdir(), 'aquifer-bench-'))
    await writePeerModel(model, join(modelsDir, model.name))
    const ours = await openOurs(model)
    const [fp32, int8] = await Promise.all(
      (['fp32', 'q8'] as const).map((dtype) => openPeer({ modelsDir, model: model.name, dtype })),
    )
    const sized = async (name: string, peer: Peer): Promise<Side> => {
      const size = await bestBatchSize(peer, texts.slice(0, TRIED_PASSAGES), smoke ? [1] : BATCH_SIZES)
      return peerSide(`${name}, batches of ${size}`, peer, texts, size)
    }
    const peers = [
      await sized('transformers.js int8', int8!),
      await sized('transformers.js fp32', fp32!),
      peerSide(
        `transformers.js int8, padded batches of ${FASTEMBED_BATCH} as of fastembed`,
        int8!,
        texts,
        FASTEMBED_BATCH,
      ),
    ]
    if (!smoke) await checkRecall(ours, fp32!, say)
    return {
      ours: oursSide(ROW, ours, passages),
      peers,
      async close() {
        await Promise.all([ours.close(), fp32!.close(), int8!.close()])
        await rm(modelsDir, { recursive: true })
      },
    }
  },
}

function oursSide(row: string, embedder: Embedder, passages: readonly Passage[], words?: 'bits'): Side {
  return {
    name: 'Aquifer',
    async run() {
      const started = performance.now()
      await embedder.embed(passages, { lane: 'bulk', ...(words && { words }) })
      return { [row]: perSecond(passages.length, started) }
    },
  }
}

function peerSide(name: string, peer: Peer, texts: readonly string[], batchSize: number): Side {
  return {
    name,
    async run() {
      const started = performance.now()
      await peer.embed(texts, batchSize)
      return { [ROW]: perSecond(texts.length, started) }
    },
  }
}

/** The embedder that the service has, with the states of words that it asks for, beside its own graph run in a bare loop. */
export const embedderService: Bench = {
  rows: [
    {
      name: SERVICE_ROW,
      title:
        'the embedder of the service around the model: queues, lanes, the states of words, vectors to the caller',
      unit: 'chunks/s',
      better: 'more',
      goal: 0.95,
      limit:
        'The model itself; finding the words and taking the signs of their states is most of what is beside it.',
    },
  ],
  async open({ smoke }) {
    const model = await pullModel(DEFAULT_MODEL, { cacheDirs: [userModelCache(process.env)] })
    const count = smoke ? SMOKE_PASSAGES : SERVICE_PASSAGES
    const passages = await corpusPassages(model.tokenizer, { count, smoke })
    const texts = passages.map(({ text }) => text)
    const ours = await openOurs(model)
    const sessions = availableParallelism()
    const bare = await openBareEmbedder({ sessions, intraOpThreads: 1 })
    await bare.embed(texts.slice(0, TRIED_PASSAGES))
    return {
      ours: oursSide(SERVICE_ROW, ours, passages, 'bits'),
      peers: [
        {
          name: `bare onnxruntime loop, ${sessions} sessions of one thread`,
          async run() {
            const started = performance.now()
            await bare.embed(texts)
            return { [SERVICE_ROW]: perSecond(texts.length, started) }
          },
        },
      ],
      async close() {
        await Promise.all([ours.close(), bare.close()])
      },
    }
  },
}
