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

/** An error loses its type between threads: a failure of the document crosses as data. */
export type ParseReply =
  | { readonly parsed: ParsedDocument }
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
    return { parsed }
  } catch (error) {
    if (!(error instanceof AquiferError)) throw error
    return { failure: { code: error.code, message: error.message, status: error.status } }
  }
}
