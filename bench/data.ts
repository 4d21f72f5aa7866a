import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PartMissing } from '@aquifer/infra/part'

/** Where the development data lies; what measures on it ends with `PartMissing` where it is not there. */
export const dataDir = resolve(
  process.env['AQUIFER_DEV_DATA'] ?? fileURLToPath(new URL('../../shared/data', import.meta.url)),
)

export function readRows<T>(name: string): T[] {
  const path = `${dataDir}/${name}`
  if (!existsSync(path)) throw new PartMissing(`${path} is not there: set AQUIFER_DEV_DATA`)
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as T)
}
