import type { MessagePort } from 'node:worker_threads'

import { AquiferError, errorMessage } from '@aquifer/runtime/errors'
import { workerData } from 'piscina'

import type { CountTokens } from './chunk/chunk.ts'
import { parseDocument } from './parse.ts'
import type { ParsedDocument, ParseInput, ParseSettings } from './parse.ts'
import { createTokenCounter } from './token-counter.ts'

export interface ParseWorkerData {
  readonly settings: ParseSettings
  /** null: tokens are estimated by characters. */
  readonly tokenizerPath: string | null
}

export interface ParseTask extends ParseInput {
  /** Takes the chunks, some at a time, before the reply comes: whoever waits for them reads them at its own pace. */
  readonly chunks: MessagePort
}

/** So many are copied into another thread in about a millisecond. */
const CHUNKS_PER_MESSAGE = 256

/** An error loses its type between threads: a failure of the document crosses as data. */
export type ParseReply =
  | { readonly parsed: Omit<ParsedDocument, 'chunks'> }
  | { readonly notReady: string }
  | { readonly failure: { readonly code: string; readonly message: string; readonly status: number } }

const { settings, tokenizerPath } = workerData as ParseWorkerData
let countTokens: CountTokens | null = null

export default async function parseTask({ chunks: port, ...input }: ParseTask): Promise<ParseReply> {
  try {
    countTokens ??= createTokenCounter(tokenizerPath)
  } catch (error) {
    // No document's fault: it must not be dead-lettered for it.
    return { notReady: errorMessage(error) }
  }
  try {
    const { chunks, ...parsed } = await parseDocument(input, settings, countTokens)
    for (let at = 0; at < chunks.length; at += CHUNKS_PER_MESSAGE)
      port.postMessage(chunks.slice(at, at + CHUNKS_PER_MESSAGE))
    return { parsed }
  } catch (error) {
    if (!(error instanceof AquiferError)) throw error
    return { failure: { code: error.code, message: error.message, status: error.status } }
  } finally {
    port.close()
  }
}
