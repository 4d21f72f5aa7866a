import type { ParsePool } from '@aquifer/connector/parse-pool'
import { DEFAULT_MODEL, pullModel, userModelCache } from '@aquifer/models/pull'
import { mapLimited } from '@aquifer/runtime/concurrency'
import { AquiferError } from '@aquifer/runtime/errors'
import type { DataFile } from '../data.ts'

/** So much is in the pool's line at once, as a connector that reads a batch has it. */
export const IN_LINE = 32

/** What counts tokens in both: the default model's. */
export async function modelTokenizer(): Promise<string> {
  return (await pullModel(DEFAULT_MODEL, { cacheDirs: [userModelCache(process.env)] })).tokenizer
}

export function toInput({ name, bytes }: DataFile) {
  const contentType = name.endsWith('.pdf') ? 'application/pdf' : 'text/markdown'
  return { bytes, contentType, filename: name, title: null }
}

/** Those that have text in them; reading them makes the worker warm. */
export async function readable(
  pool: ParsePool,
  files: readonly DataFile[],
  say: (line: string) => void,
): Promise<DataFile[]> {
  let chunks = 0
  const read = await mapLimited(files, IN_LINE, async (file) => {
    try {
      const parsed = await pool.parse(toInput(file))
      chunks += parsed.chunks.length
      return [file]
    } catch (error) {
      if (error instanceof AquiferError && !error.retryable) return []
      throw error
    }
  })
  const left = read.flat()
  say(`  aquifer: ${left.length} of ${files.length} documents, ${chunks} chunks`)
  return left
}
