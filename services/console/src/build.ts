import { constants, brotliCompressSync, gzipSync } from 'node:zlib'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import react from '@vitejs/plugin-react'
import { build } from 'vite'
import { DIST, hashSources, ROOT } from './sources.ts'

/**
 * Makes the page: `node src/build.ts`, with NODE_ENV=production. It appears under its final name in one step, so several may make
 * it at once, and what is there is whole. The same sources make the same bytes.
 */

/** Below this a file fits a packet or two as it is. */
const COMPRESS_FROM_BYTES = 1024

// Started by a server that went away, however it ended: then nobody waits for the page.
process.once('disconnect', () => process.exit(1))

const name = await hashSources()
const made = join(DIST, `${name}.${process.pid}.tmp`)
await mkdir(DIST, { recursive: true })
try {
  await build({
    root: join(ROOT, 'web'),
    configFile: false,
    logLevel: 'warn',
    plugins: [react()],
    // Read from the root of whoever serves it; nothing is inlined, for the page's policy allows no data: scripts or styles.
    base: '/',
    build: {
      outDir: made,
      emptyOutDir: true,
      target: 'baseline-widely-available',
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      // The worker that reads PDF files is loaded when one is opened.
      chunkSizeWarningLimit: 1100,
    },
  })
  await compressAll(made)
  await rename(made, join(DIST, name)).catch((error: NodeJS.ErrnoException) => {
    // Somebody else made the same at the same time.
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
  })
  for (const other of await readdir(DIST))
    if (other !== name && !isBeingMade(other)) await rm(join(DIST, other), { recursive: true, force: true })
} finally {
  await rm(made, { recursive: true, force: true })
}
process.exit()

/** A process of the same machine is at it; what an ended one left is not. */
function isBeingMade(folder: string): boolean {
  const pid = /\.(\d+)\.tmp$/.exec(folder)?.[1]
  if (pid === undefined) return false
  try {
    return process.kill(Number(pid), 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function compressAll(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (!entry.isFile() || !/\.(?:html|m?js|css|svg)$/.test(entry.name)) continue
    const bytes = await readFile(path)
    if (bytes.length < COMPRESS_FROM_BYTES) continue
    await writeFile(`${path}.gz`, gzipSync(bytes, { level: constants.Z_BEST_COMPRESSION }))
    await writeFile(`${path}.br`, brotliCompressSync(bytes))
  }
}
