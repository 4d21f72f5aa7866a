import { invalid } from '@aquifer/runtime/errors'
import type { AquiferError } from '@aquifer/runtime/errors'

/**
 * What a document itself can be at fault for. Each has a stable code and a message that says what to do; none is helped
 * by a retry.
 */
export type LoadFailure =
  | 'empty'
  | 'no_text'
  | 'encrypted'
  | 'broken'
  | 'unsupported_type'
  | 'mistyped'
  | 'too_large'
  | 'timeout'
  | 'out_of_memory'

const STATUS: Readonly<Record<LoadFailure, number>> = {
  empty: 400,
  no_text: 422,
  encrypted: 422,
  broken: 422,
  unsupported_type: 415,
  mistyped: 415,
  too_large: 413,
  timeout: 422,
  out_of_memory: 422,
}

/** Of what asks for a password: of a format that `passwords` open, none of them does. */
export function passwordNeeded(what: string, cause?: unknown): AquiferError {
  return loadFailure(
    'encrypted',
    `the ${what} asks for a password that is not known here: publish it without protection, or add its password to the file that ` +
      'AQUIFER_DOCUMENT_PASSWORDS_FILE names and publish it again',
    cause,
  )
}

export function loadFailure(code: LoadFailure, message: string, cause?: unknown): AquiferError {
  return invalid(code, message, STATUS[code], cause)
}
