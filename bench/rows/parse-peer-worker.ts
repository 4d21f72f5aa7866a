import { readFileSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { Tokenizer } from '@huggingface/tokenizers'
import { MarkdownTextSplitter } from '@langchain/textsplitters'
import { PDFParse } from 'pdf-parse'

/** One of those that documents are read with instead, in a thread of its own. */
export type PeerSetup =
  | { readonly kind: 'langchain'; readonly tokenizer: string; readonly chunkTokens: number }
  | { readonly kind: 'pdf-parse' }

/** Read one after the other, each answered by itself. */
export type PeerTask = Uint8Array
/** Its passages, or its text in one. */
export type PeerReply = readonly string[]

const read = createReader(workerData as PeerSetup)

function createReader(setup: PeerSetup): (bytes: PeerTask) => Promise<PeerReply> {
  if (setup.kind === 'pdf-parse')
    return async (bytes) => {
      const parser = new PDFParse({ data: bytes, verbosity: 0 })
      const { text } = await parser.getText()
      await parser.destroy()
      return [text]
    }
  const splitter = new MarkdownTextSplitter({
    chunkSize: setup.chunkTokens,
    chunkOverlap: 0,
    lengthFunction: counter(setup.tokenizer),
  })
  const decoder = new TextDecoder()
  return async (bytes) => await splitter.splitText(decoder.decode(bytes))
}

function counter(path: string): (text: string) => number {
  const tokenizer = new Tokenizer(JSON.parse(readFileSync(path, 'utf8')), {})
  return (text) => tokenizer.encode(text, { add_special_tokens: false }).ids.length
}

let last: Promise<unknown> = Promise.resolve()
parentPort!.on('message', (bytes: PeerTask) => {
  last = last.then(async () => parentPort!.postMessage(await read(bytes)))
})
parentPort!.postMessage('ready')
