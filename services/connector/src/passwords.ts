import { readFileSync, statSync } from 'node:fs'

import { AquiferError, errorMessage, invalid, unavailable } from '@aquifer/runtime/errors'
import type { Logger } from '@aquifer/runtime/logger'

/** Each that does not open a file costs its derivation, a third of a second for an Office file. */
const MAX_PASSWORDS = 20

/**
 * The passwords that protected documents are tried with, one a line of a file; a change of the file counts from the next document on.
 * They go to the parser's workers alone: into no log, record or error.
 *
 * Throws `invalid_config` where the file cannot be read at first. What is returned throws `passwords_unavailable`, to be
 * tried again, where it later cannot.
 */
export function openPasswords(path: string, logger: Logger): () => readonly string[] {
  const refused = (why: string, cause?: unknown) =>
    invalid('invalid_config', `AQUIFER_DOCUMENT_PASSWORDS_FILE=${JSON.stringify(path)}: ${why}`, 500, cause)
  let known: readonly string[] = []
  let changedMs = Number.NaN
  const read = () => {
    const { mtimeMs, mode } = statSync(path)
    if (mtimeMs === changedMs) return known
    const lines = readFileSync(path, 'utf8')
      .replace(/^\ufeff/u, '')
      .split(/\r?\n/u)
      .filter(Boolean)
    if (lines.length > MAX_PASSWORDS)
      throw refused(`it has ${lines.length} passwords; at most ${MAX_PASSWORDS} are tried`)
    if ((mode & 0o077) !== 0)
      logger.warn({ path }, 'others than its owner may open the file of passwords: chmod 600 it')
    known = lines
    changedMs = mtimeMs
    return known
  }
  try {
    read()
  } catch (error) {
    throw error instanceof AquiferError ? error : refused(`it cannot be read: ${errorMessage(error)}`, error)
  }
  return () => {
    try {
      return read()
    } catch (error) {
      throw unavailable('passwords_unavailable', `the file of passwords: ${errorMessage(error)}`, error)
    }
  }
}
