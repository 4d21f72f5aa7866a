import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { createParsePool } from '@aquifer/connector/parse-pool'
import type { ParsePool } from '@aquifer/connector/parse-pool'
import { mapLimited } from '@aquifer/runtime/concurrency'
import type { Bench, Sides } from '../comparison.ts'
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
        'The first screen, the Markdown parser and the tokens of each sentence, about a quarter of the time each.',
    },
  ],
  async open({ smoke, say }) {
    const tokenizer = await modelTokenizer()
    const pool = createParsePool({ tokenizerPath: tokenizer })
    const files = await readable(pool, readFolder('corpus_md').slice(0, smoke ? SMOKE_FILES : undefined), say)
    return await besidePeers(pool, files, {
      passes: smoke ? 1 : 2,
      figure: (seconds, bytes) => bytes / 1e6 / seconds,
      peers: [
        {
          row: 'parse-chunk-markdown',
          name: '@langchain/textsplitters counting with @huggingface/tokenizers',
          setup: { kind: 'langchain', tokenizer, chunkTokens: CHUNK_TOKENS },
        },
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
      limit:
        'pdf.js, which both sides read the pages with, is four fifths of our time; the rest is lines and paragraphs, the first screen, the chunks and the way between the processes.',
    },
  ],
  async open({ smoke, say }) {
    const pool = createParsePool({ tokenizerPath: await modelTokenizer() })
    const pdfs = readFolder('parsers').filter(({ name }) => name.endsWith('.pdf'))
    const passes = smoke ? 1 : 20
    return await besidePeers(pool, await readable(pool, pdfs, say), {
      passes,
      warmups: smoke ? 0 : 60,
      figure: (seconds) => (seconds * 1000) / passes,
      peers: [{ row: 'parse-chunk-pdf', name: 'pdf-parse alone', setup: { kind: 'pdf-parse' } }],
      say,
    })
  },
}

interface Setting {
  readonly passes: number
  /** Passes of each side before the first that counts: so many until the compiler has done its work in both. */
  readonly warmups?: number
  readonly figure: (seconds: number, bytes: number) => number
  readonly peers: readonly { readonly row: string; readonly name: string; readonly setup: PeerSetup }[]
  readonly say: (line: string) => void
}

async function besidePeers(pool: ParsePool, files: readonly DataFile[], setting: Setting): Promise<Sides> {
  const { passes, figure, say } = setting
  const bytes = files.reduce((sum, file) => sum + file.bytes.length, 0) * passes
  const measure = async (read: (file: DataFile) => Promise<unknown>): Promise<number> => {
    const started = performance.now()
    for (let pass = 0; pass < passes; pass++) await mapLimited(files, IN_LINE, read)
    return figure((performance.now() - started) / 1000, bytes)
  }
  const peers = await Promise.all(
    setting.peers.map(async (peer) => ({ ...peer, ...(await openPeer(peer.setup)) })),
  )
  for (const { name, read } of peers) {
    const made = (await mapLimited(files, IN_LINE, read)).flat()
    say(`  ${name}: ${made.length} texts of ${made.join('').length} characters`)
  }
  const sides = [async (file: DataFile) => await pool.parse(toInput(file)), ...peers.map(({ read }) => read)]
  for (const read of sides)
    for (let pass = 0; pass < (setting.warmups ?? 0); pass++)
      await mapLimited<DataFile, unknown>(files, IN_LINE, read)
  return {
    ours: {
      name: 'aquifer',
      async run() {
        const ours = await measure(async (file) => await pool.parse(toInput(file)))
        return Object.fromEntries(peers.map(({ row }) => [row, ours]))
      },
    },
    peers: peers.map(({ row, name, read }) => ({ name, run: async () => ({ [row]: await measure(read) }) })),
    async close() {
      await pool.close()
      await Promise.all(peers.map(async ({ close }) => await close()))
    },
  }
}

/** A thread that reads what it is sent, in order. */
async function openPeer(setup: PeerSetup) {
  const worker = new Worker(new URL('./parse-peer-worker.ts', import.meta.url), { workerData: setup })
  await once(worker, 'message')
  const waiting: ((reply: PeerReply) => void)[] = []
  worker.on('message', (reply: PeerReply) => waiting.shift()?.(reply))
  return {
    read: ({ bytes }: DataFile): Promise<PeerReply> => {
      const { promise, resolve } = Promise.withResolvers<PeerReply>()
      waiting.push(resolve)
      worker.postMessage(Uint8Array.from(bytes) satisfies PeerTask)
      return promise
    },
    close: async () => await worker.terminate(),
  }
}
