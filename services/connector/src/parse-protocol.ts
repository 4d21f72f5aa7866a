import type { Chunk } from '@aquifer/contracts/types'

import type { ParsedDocument, ParseInput, ParseSettings } from './parse.ts'

/** What the parser's process is given once. */
export interface ParserSetup {
  readonly settings: ParseSettings
  /** null: tokens are estimated by characters. */
  readonly tokenizerPath: string | null
  /** A process that has more in memory ends itself. */
  readonly maxResidentBytes: number
}

/** A document's bytes come some at a time, the last of them with the rest of it: no message may hold up the thread that sends it. */
export type ToParser =
  | { readonly setup: ParserSetup }
  | { readonly piece: Uint8Array }
  | { readonly parse: ParseInput }

/** Of many chunks all but the last come before the document. An error loses its type on the way: it crosses as data. */
export type FromParser =
  | { readonly ready: true }
  | { readonly notReady: string }
  | { readonly chunks: readonly Chunk[] }
  | { readonly parsed: ParsedDocument }
  | { readonly failure: { readonly code: string; readonly message: string; readonly status: number } }
  | { readonly defect: string }
