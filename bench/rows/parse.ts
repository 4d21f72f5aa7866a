import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { createParsePool } from '@aquifer/connector/parse-pool'
import type { ParsePool } from '@aquifer/connector/parse-pool'
import { mapLimited } from '@aquifer/runtime/concurrency'
import type { Bench, Side, Sides } from '../comparison.ts'
import { readFolder } from '../data.ts'
import type { DataFile } from '../data.ts'
import { IN_LINE, modelTokenizer, readable, toInput } from './parse-documents.ts'
import type { PeerReply, PeerSetup, PeerTask } from './parse-peer-worker.ts'

/** What both sides aim at, in the tokens of the model: the pool's own default. */
const CHUNK_TOKENS = 200
const SMOKE_FILES = 10

/** Bytes → passages in one thread, as the connector does it: with ranges, headings, language, fingerprint and the first screen. */
export const parseMarkdown: Bench = {
  rows: [
    {
      name: 'parse-chunk-markdown',
      title: 'Parse and chunk 284 pages of documentation in Markdown, one thread each',
      unit: 'MB/s',
      better: 'more',
      goal: 1,
      limit:
        'The first screen, the Markdown parser and the tokens of each sentence, a third of the time each; a splitter of text does the last alone.',
    },
  ],
  async open({ smoke, say }) {
    const tokenizer = await modelTokenizer()
    const pool = createParsePool({ tokenizerPath: tokenizer })
    const files = await readable(pool, readFolder('corpus_md').slice(0, smoke ? SMOKE_FILES : undefined), say)
    const langchain = { kind: 'langchain', tokenizer, chunkTokens: CHUNK_TOKENS } as const
    return await besidePeers(pool, files, {
      row: 'parse-chunk-markdown',
      passes: smoke ? 1 : 2,
      figure: (seconds, bytes) => bytes / 1e6 / seconds,
      peers: [
        [
          '@langchain/textsplitters counting with @huggingface/tokenizers',
          { ...langchain, counter: 'huggingface' },
        ],
        [
          "@langchain/textsplitters counting with Aquifer's memory of words",
          { ...langchain, counter: 'memoised' },
        ],
      ],
      say,
    })
  },
}

/** The texts of PDFs in one thread; the peer's are without paragraphs, headings, tables and passages. */
export const parsePdf: Bench = {
  rows: [
    {
      name: 'parse-chunk-pdf',
      title: 'Parse and chunk the readable ones of 21 PDFs, one thread each',
      unit: 'ms a pass',
      better: 'less',
      goal: 1 / 1.1,
      limit: 'pdf.js, which both sides read the pages with.',
    },
  ],
  async open({ smoke, say }) {
    const pool = createParsePool({ tokenizerPath: await modelTokenizer() })
    const pdfs = readFolder('parsers').filter(({ name }) => name.endsWith('.pdf'))
    const passes = smoke ? 1 : 20
    return await besidePeers(pool, await readable(pool, pdfs, say), {
      row: 'parse-chunk-pdf',
      passes,
      figure: (seconds) => (seconds * 1000) / passes,
      peers: [['pdf-parse alone', { kind: 'pdf-parse' }]],
      say,
    })
  },
}

interface Setting {
  readonly row: string
  readonly passes: number
  readonly figure: (seconds: number, bytes: number) => number
  readonly peers: readonly (readonly [name: string, setup: PeerSetup])[]
  readonly say: (line: string) => void
}

async function besidePeers(pool: ParsePool, files: readonly DataFile[], setting: Setting): Promise<Sides> {
  const { row, passes, figure, say } = setting
  const bytes = files.reduce((sum, file) => sum + file.bytes.length, 0) * passes
  const ours: Side = {
    name: 'aquifer',
    async run() {
      const started = performance.now()
      for (let pass = 0; pass < passes; pass++)
        await mapLimited(files, IN_LINE, async (file) => await pool.parse(toInput(file)))
      return { [row]: figure((performance.now() - started) / 1000, bytes) }
    },
  }
  const workers: Worker[] = []
  const peers: Side[] = []
  for (const [name, setup] of setting.peers) {
    const worker = new Worker(new URL('./parse-peer-worker.ts', import.meta.url), { workerData: setup })
    workers.push(worker)
    await once(worker, 'message')
    const measure = async (times: number): Promise<PeerReply> => {
      const task: PeerTask = { files: files.map((file) => file.bytes), passes: times }
      worker.postMessage(task)
      return ((await once(worker, 'message')) as [PeerReply])[0]
    }
    const { made } = await measure(1)
    say(`  ${name}: ${made} ${setup.kind === 'langchain' ? 'chunks' : 'characters'}`)
    peers.push({ name, run: async () => ({ [row]: figure((await measure(passes)).seconds, bytes) }) })
  }
  return {
    ours,
    peers,
    async close() {
      await pool.close()
      await Promise.all(workers.map((worker) => worker.terminate()))
    },
  }
}
