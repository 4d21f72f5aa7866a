import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
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

export interface DataFile {
  /** Its path within the folder. */
  readonly name: string
  readonly bytes: Buffer
}

/** All files of a folder of the development data, in the order of their names. */
export function readFolder(name: string): DataFile[] {
  const root = join(dataDir, name)
  if (!existsSync(root)) throw new PartMissing(`${root} is not there: set AQUIFER_DEV_DATA`)
  const entries = readdirSync(root, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return paths.sort().map((path) => ({ name: relative(root, path), bytes: readFileSync(path) }))
}
