import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rename, rm } from 'node:fs/promises'
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
 * A folder of what Maven Central has, filled once for the user by the machine's own Maven, so that its mirrors and proxies
 * hold: `fill` gets an empty one, and runs `maven` in it. Throws `PartMissing`.
 */
export async function mavenFolder(
  name: string,
  fill: (folder: string, maven: (...args: string[]) => Promise<void>) => Promise<void>,
): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'aquifer', 'parts')
  const folder = join(cache, name)
  if (existsSync(folder)) return folder
  let release: (() => void) | null = null
  if (!(await within(LOCK_TIMEOUT_MS, () => (release = own(cache)) !== null)))
    throw new PartMissing(`another process holds ${cache} for more than ${LOCK_TIMEOUT_MS} ms`)
  try {
    if (existsSync(folder)) return folder
    const incoming = await mkdtemp(join(cache, 'incoming-'))
    try {
      await fill(incoming, async (...args) => {
        await run('mvn', ['-q', '-B', ...args], { cwd: incoming, timeout: DOWNLOAD_TIMEOUT_MS })
      })
      await rename(incoming, folder)
    } catch (error) {
      const { code, stdout = '' } = error as { code?: unknown; stdout?: string }
      if (code === 'ENOENT') throw new PartMissing('there is no mvn: apt install maven')
      const reason = stdout.split('\n').find((line) => line.includes('ERROR')) ?? String(error)
      throw new PartMissing(`${name} could not be had from Maven: ${reason}`)
    } finally {
      await rm(incoming, { recursive: true, force: true })
    }
  } finally {
    release!()
  }
  return folder
}

/** The file of an artifact, `group:artifact:version:type:classifier`. Throws `PartMissing`. */
export async function mavenArtifact(coordinates: string): Promise<string> {
  const folder = await mavenFolder(coordinates.replaceAll(':', '_'), async (incoming, maven) => {
    await maven('dependency:copy', `-Dartifact=${coordinates}`, `-DoutputDirectory=${incoming}`)
  })
  const [file] = await readdir(folder)
  return join(folder, file!)
}
