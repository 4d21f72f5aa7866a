import { MessageChannel } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'

import { AquiferError, errorMessage } from '@aquifer/runtime/errors'
import { Piscina, workerData } from 'piscina'

import type { CountTokens } from './chunk/chunk.ts'
import { parseDocument } from './parse.ts'
import type { ParsedDocument, ParseInput, ParseSettings } from './parse.ts'
import { createTokenCounter } from './token-counter.ts'

export interface ParseWorkerData {
  readonly settings: ParseSettings
  /** null: tokens are estimated by characters. */
  readonly tokenizerPath: string | null
}

/** So many are copied into another thread in about a millisecond. */
const CHUNKS_PER_MESSAGE = 256

/**
 * Of a large document the chunks that `parsed` does not hold lie in `rest`, some at a time: whoever takes them does so at its own pace.
 * An error loses its type between threads: a failure of the document crosses as data.
 */
export type ParseReply =
  | { readonly parsed: ParsedDocument; readonly rest: MessagePort | null }
  | { readonly notReady: string }
  | { readonly failure: { readonly code: string; readonly message: string; readonly status: number } }

const { settings, tokenizerPath } = workerData as ParseWorkerData
let countTokens: CountTokens | null = null

export default async function parseTask(input: ParseInput): Promise<ParseReply> {
  try {
    countTokens ??= createTokenCounter(tokenizerPath)
  } catch (error) {
    // No document's fault: it must not be dead-lettered for it.
    return { notReady: errorMessage(error) }
  }
  try {
    const parsed = await parseDocument(input, settings, countTokens)
    return parsed.chunks.length <= CHUNKS_PER_MESSAGE ? { parsed, rest: null } : inParts(parsed)
  } catch (error) {
    if (!(error instanceof AquiferError)) throw error
    return { failure: { code: error.code, message: error.message, status: error.status } }
  }
}

function inParts({ chunks, ...parsed }: ParsedDocument): ParseReply {
  const { port1, port2 } = new MessageChannel()
  for (let at = CHUNKS_PER_MESSAGE; at < chunks.length; at += CHUNKS_PER_MESSAGE)
    port1.postMessage(chunks.slice(at, at + CHUNKS_PER_MESSAGE))
  const reply: ParseReply = {
    parsed: { ...parsed, chunks: chunks.slice(0, CHUNKS_PER_MESSAGE) },
    rest: port2,
  }
  const moved = { [Piscina.transferableSymbol]: [port2], [Piscina.valueSymbol]: reply }
  return Piscina.move(moved as unknown as ArrayBuffer) as unknown as ParseReply
}
