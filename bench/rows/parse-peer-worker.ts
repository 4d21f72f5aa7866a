import { readFileSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { openTokenizer } from '@aquifer/models/tokenizer'
import { Tokenizer } from '@huggingface/tokenizers'
import { MarkdownTextSplitter } from '@langchain/textsplitters'
import { PDFParse } from 'pdf-parse'

/** One of those that documents are read with instead, in a thread of its own. */
export type PeerSetup =
  | {
      readonly kind: 'langchain'
      readonly counter: 'huggingface' | 'memoised'
      readonly tokenizer: string
      readonly chunkTokens: number
    }
  | { readonly kind: 'pdf-parse' }

export interface PeerTask {
  readonly files: readonly Uint8Array[]
  readonly passes: number
}

export interface PeerReply {
  readonly seconds: number
  /** Chunks of a pass, or characters of text: what shows that it did the work. */
  readonly made: number
}

const read = createReader(workerData as PeerSetup)

/** Gives how much came of a file. */
function createReader(setup: PeerSetup): (bytes: Uint8Array) => Promise<number> {
  if (setup.kind === 'pdf-parse')
    return async (bytes) => {
      // It takes its input's memory over.
      const parser = new PDFParse({ data: bytes.slice(), verbosity: 0 })
      const { text } = await parser.getText()
      await parser.destroy()
      return text.length
    }
  const splitter = new MarkdownTextSplitter({
    chunkSize: setup.chunkTokens,
    chunkOverlap: 0,
    lengthFunction: setup.counter === 'memoised' ? memoised(setup.tokenizer) : plain(setup.tokenizer),
  })
  const decoder = new TextDecoder()
  return async (bytes) => (await splitter.splitText(decoder.decode(bytes))).length
}

function memoised(path: string): (text: string) => number {
  const tokenizer = openTokenizer(path)
  return (text) => tokenizer.count(text)
}

function plain(path: string): (text: string) => number {
  const tokenizer = new Tokenizer(JSON.parse(readFileSync(path, 'utf8')), {})
  return (text) => tokenizer.encode(text, { add_special_tokens: false }).ids.length
}

parentPort!.on('message', ({ files, passes }: PeerTask) => {
  void (async () => {
    const started = performance.now()
    let made = 0
    for (let pass = 0; pass < passes; pass++) {
      made = 0
      for (const bytes of files) made += await read(bytes)
    }
    parentPort!.postMessage({ seconds: (performance.now() - started) / 1000, made } satisfies PeerReply)
  })()
})
parentPort!.postMessage({ ready: true })
