import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PartMissing } from './part.ts'
import { own, within } from './state.ts'

const run = promisify(execFile)
/** Another process may be at the same download. */
const LOCK_TIMEOUT_MS = 5 * 60_000
const DOWNLOAD_TIMEOUT_MS = 5 * 60_000

/**
 * The file of an artifact of Maven Central, `group:artifact:version:type:classifier`, downloaded once for the user by
 * the machine's own Maven, so that its mirrors and proxies hold. Throws `PartMissing`.
 */
export async function mavenArtifact(coordinates: string): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'aquifer', 'parts')
  const folder = join(cache, coordinates.replaceAll(':', '_'))
  if (!existsSync(folder)) {
    let release: (() => void) | null = null
    if (!(await within(LOCK_TIMEOUT_MS, () => (release = own(cache)) !== null))) {
      throw new PartMissing(`another process holds ${cache} for more than ${LOCK_TIMEOUT_MS} ms`)
    }
    try {
      if (!existsSync(folder)) await download(coordinates, cache, folder)
    } finally {
      release!()
    }
  }
  const [file] = await readdir(folder)
  return join(folder, file!)
}

async function download(coordinates: string, cache: string, folder: string): Promise<void> {
  await mkdir(cache, { recursive: true })
  const incoming = await mkdtemp(join(cache, 'incoming-'))
  const goal = ['dependency:copy', `-Dartifact=${coordinates}`, `-DoutputDirectory=${incoming}`]
  try {
    await run('mvn', ['-q', '-B', ...goal], { timeout: DOWNLOAD_TIMEOUT_MS })
    await rename(incoming, folder)
  } catch (error) {
    await rm(incoming, { recursive: true, force: true })
    const { code, stdout = '' } = error as { code?: unknown; stdout?: string }
    if (code === 'ENOENT') throw new PartMissing('there is no mvn: apt install maven')
    const reason = stdout.split('\n').find((line) => line.startsWith('[ERROR]')) ?? String(error)
    throw new PartMissing(`${coordinates} could not be had: ${reason}`)
  }
}
