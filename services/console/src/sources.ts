import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of this package. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** Where the made pages lie, each in a folder named by the hash of its sources. */
export const DIST = join(ROOT, 'dist')

const DIGITS = 16

/** Hash of all that the page is made from: its sources, the versions of its libraries (package.json), and how it is made. */
export async function hashSources(): Promise<string> {
  const web = await readdir(join(ROOT, 'web'), { recursive: true, withFileTypes: true })
  const paths = web
    // Tests are not part of the page, nor of images.
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).replaceAll(sep, '/'))
    .concat('package.json', 'src/build.ts')
    .sort()
  const hash = createHash('sha256')
  for (const path of paths)
    hash
      .update(`${path}\0`)
      .update(await readFile(join(ROOT, path)))
      .update('\0')
  return hash.digest('hex').slice(0, DIGITS)
}
