import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

import { AquiferError, errorMessage } from '@aquifer/runtime/errors'

import { parseDocument } from './parse.ts'
import type { ParsedDocument } from './parse.ts'
import type { FromParser, ParserSetup, ToParser } from './parse-protocol.ts'
import { createTokenCounter } from './token-counter.ts'

/** So many are copied into another process in about a millisecond. */
const CHUNKS_PER_MESSAGE = 256

/** The parser's process: reads one document after the other, until whoever started it goes. */
export async function serveParser(parse = parseDocument): Promise<void> {
  // A terminal's Ctrl-C and a service manager's stop reach it too: whoever started it ends it, once the document under way is read.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {})
  const [{ setup }] = (await once(process, 'message')) as [{ setup: ParserSetup }]
  const { settings, tokenizerPath, maxResidentBytes } = setup
  const watchdog = new Worker(new URL('./parse-watchdog-worker.ts', import.meta.url), {
    workerData: maxResidentBytes,
  })
  await once(watchdog, 'online')
  process.on('disconnect', () => process.exit())
  let countTokens
  try {
    countTokens = createTokenCounter(tokenizerPath)
  } catch (error) {
    // No document's fault: it must not be dead-lettered for it.
    return await answer({ notReady: errorMessage(error) })
  }
  let pieces: Uint8Array[] = []
  let last: Promise<void> = Promise.resolve()
  process.on('message', (message: ToParser) => {
    if ('piece' in message) pieces.push(message.piece)
    if (!('parse' in message)) return
    const input = { ...message.parse, bytes: Buffer.concat([...pieces, message.parse.bytes]) }
    pieces = []
    // The next one may have come already: it begins when the answer has gone, for it may keep this thread for ever.
    last = last.then(async () => {
      await parse(input, settings, countTokens).then(answerDocument, refuse)
    })
  })
  await answer({ ready: true })
}

async function answerDocument({ chunks, ...parsed }: ParsedDocument): Promise<void> {
  let at = 0
  for (; at + CHUNKS_PER_MESSAGE < chunks.length; at += CHUNKS_PER_MESSAGE)
    void answer({ chunks: chunks.slice(at, at + CHUNKS_PER_MESSAGE) })
  await answer({ parsed: { ...parsed, chunks: chunks.slice(at) } })
}

async function refuse(error: unknown): Promise<void> {
  if (!(error instanceof AquiferError)) return await answer({ defect: errorMessage(error) })
  const { code, message, status } = error
  await answer({ failure: { code, message, status } })
}

/** Resolves when it has gone. */
async function answer(message: FromParser): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  process.send!(message, undefined, undefined, () => resolve())
  await promise
}
