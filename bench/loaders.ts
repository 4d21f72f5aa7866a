/**
 * What each real file comes to in the parse pool: `node bench/loaders.ts [folder]` prints a table for docs/loaders.md. Files are
 * published without a type, so that it is found from what they hold.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { createParsePool } from '@aquifer/connector/parse-pool'
import { AquiferError } from '@aquifer/runtime/errors'

const data = process.env['AQUIFER_DEV_DATA'] ?? fileURLToPath(new URL('../../shared/data', import.meta.url))
const folder = process.argv[2] ?? join(data, 'parsers')
if (!existsSync(folder))
  throw new Error(`${folder} is not there: name a folder of files, or set AQUIFER_DEV_DATA`)

const ROUNDS = 3
const SHORT: readonly (readonly [RegExp, string])[] = [
  [/^application\/vnd\.openxmlformats-officedocument\.wordprocessingml\.document$/u, 'DOCX'],
  [/^application\/vnd\.openxmlformats-officedocument\.presentationml\.presentation$/u, 'PPTX'],
  [/^application\/vnd\.openxmlformats-officedocument\.spreadsheetml\.sheet$/u, 'XLSX'],
]

const pool = createParsePool({ tokenizerPath: null })
console.log('| file | read as | state | code | language | pages | characters | chunks | ms |')
console.log('|---|---|---|---|---|---|---|---|---|')
for (const name of readdirSync(folder).sort()) {
  if (name === 'INDEX.jsonl') continue
  const bytes = readFileSync(join(folder, name))
  const times: number[] = []
  let row: readonly (string | number)[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now()
    row = await pool
      .parse({ bytes, contentType: 'application/octet-stream', filename: name, title: null })
      .then(
        ({ mediaType, language, pages, text, chunks }) => [
          SHORT.find(([type]) => type.test(mediaType))?.[1] ?? mediaType,
          'read',
          '',
          language ?? '',
          pages || '',
          Array.from(text).length,
          chunks.length,
        ],
        (error: unknown) => [
          '',
          'failed',
          error instanceof AquiferError ? error.code : String(error),
          '',
          '',
          '',
          '',
        ],
      )
    times.push(performance.now() - start)
  }
  // The first round of a format loads its library.
  const ms = Math.round(Math.min(...times))
  console.log(`| ${[name, ...row, ms].join(' | ')} |`)
}
await pool.close()
