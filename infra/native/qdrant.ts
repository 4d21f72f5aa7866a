import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePort } from './free-port.ts'
import { startProgram } from './java-part.ts'
import { PartMissing } from './part.ts'
import type { Part, PartOptions } from './part.ts'

const INSTALL_TIMEOUT_MS = 300_000
const ANSWER_TIMEOUT_MS = 5000
const SHIM = fileURLToPath(new URL('qdrant-shim/', import.meta.url))

const run = promisify(execFile)

/**
 * The best Qdrant that is there: the server of QDRANT_URL; else the program of QDRANT_BIN or `qdrant` on PATH; else, for
 * tests alone, a shim over the local mode of qdrant-client, which pip installs once into the user's cache. `label` says
 * which. A server of QDRANT_URL is nobody's to kill or stop here: those do nothing, `process` is null.
 */
export async function startQdrant(options: PartOptions & { env?: NodeJS.ProcessEnv }): Promise<Part> {
  const { dir, env = process.env } = options
  if (env['QDRANT_URL']) return await remote(env['QDRANT_URL'])
  await mkdir(dir, { recursive: true })
  const port = options.port || (await freePort())
  const about = {
    name: 'qdrant',
    variable: 'AQUIFER_VECTOR_INDEX',
    url: `qdrant://127.0.0.1:${port}`,
  } as const
  const isUp = async (): Promise<boolean> => (await versionOf(`http://127.0.0.1:${port}`, '')) !== null
  const program = findProgram(env)
  if (program !== null) {
    const { stdout } = await run(program, ['--version'])
    const label = `${stdout.trim()} (server)`
    const args = [program, '--config-path', await writeSettings(dir, port)]
    return await startProgram({ ...about, label }, { dir, isUp, args, env })
  }
  const { python, packages, label } = await installShim(env)
  const args = [python, '-P', join(SHIM, 'shim.py'), String(port), join(dir, 'storage')]
  return await startProgram({ ...about, label }, { dir, isUp, args, env: { ...env, PYTHONPATH: packages } })
}

/** As a file, for variables cannot say null. */
async function writeSettings(dir: string, port: number): Promise<string> {
  const path = join(dir, 'config.yaml')
  const settings = {
    telemetry_disabled: true,
    // gRPC is not used.
    service: { host: '127.0.0.1', http_port: port, grpc_port: null },
    storage: { storage_path: join(dir, 'storage'), snapshots_path: join(dir, 'snapshots') },
  }
  // JSON is YAML.
  await writeFile(path, JSON.stringify(settings, null, 2))
  return path
}

async function remote(given: string): Promise<Part> {
  const url = given.replace(/^http/, 'qdrant+http').replace(/^qdrant\+http:/, 'qdrant:')
  const { hostname, port, protocol, username, password } = new URL(url)
  const origin = `${protocol === 'qdrant:' ? 'http' : 'https'}://${hostname}:${port || 6333}`
  const version = await versionOf(origin, decodeURIComponent(password || username))
  if (version === null) throw new Error(`QDRANT_URL: no Qdrant answers at ${origin}`)
  const nothing = async (): Promise<void> => {}
  return {
    name: 'qdrant',
    label: `Qdrant ${version} (server of QDRANT_URL)`,
    variable: 'AQUIFER_VECTOR_INDEX',
    url,
    process: null,
    kill: nothing,
    restart: nothing,
    stop: nothing,
  }
}

async function versionOf(origin: string, apiKey: string): Promise<string | null> {
  try {
    const response = await fetch(`${origin}/`, {
      headers: { 'api-key': apiKey },
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    })
    const { version } = (await response.json()) as { version?: string }
    return version ?? null
  } catch {
    return null
  }
}

function findProgram(env: NodeJS.ProcessEnv): string | null {
  if (env['QDRANT_BIN']) return env['QDRANT_BIN']
  const places = (env['PATH'] ?? '').split(delimiter).map((place) => join(place, 'qdrant'))
  return places.find((path) => existsSync(path)) ?? null
}

/** Installs into a directory beside the one it is renamed to, so that of several at once the first to end wins. */
async function installShim(
  env: NodeJS.ProcessEnv,
): Promise<{ python: string; packages: string; label: string }> {
  const python = 'python3'
  const requirements = await readFile(join(SHIM, 'requirements.txt'), 'utf8')
  const about = await run(python, ['-c', 'import sys, pip; print(sys.implementation.cache_tag)'], {
    env,
  }).catch((cause: unknown) => {
    throw new PartMissing(
      'there is no QDRANT_URL, no qdrant on PATH, and no Python with pip for its stand-in: apt-get install python3-pip',
      { cause },
    )
  })
  const tag = about.stdout.trim()
  const place = createHash('sha256').update(requirements).digest('hex').slice(0, 16)
  const cache = join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'aquifer', 'qdrant-shim')
  const packages = join(cache, `${place}-${tag}`)
  if (!existsSync(packages)) {
    await mkdir(cache, { recursive: true })
    const making = await mkdtemp(join(cache, 'making-'))
    const args = [
      '--quiet',
      '--disable-pip-version-check',
      '--no-input',
      '--require-hashes',
      '--only-binary=:all:',
    ]
    const from = ['--target', making, '-r', join(SHIM, 'requirements.txt')]
    try {
      await run(python, ['-m', 'pip', 'install', ...args, ...from], { env, timeout: INSTALL_TIMEOUT_MS })
      await rename(making, packages)
    } catch (cause) {
      if (!existsSync(packages)) {
        throw new PartMissing(`pip cannot install qdrant-client for the stand-in: ${String(cause)}`, {
          cause,
        })
      }
    } finally {
      await rm(making, { recursive: true, force: true })
    }
  }
  const version = /^qdrant-client==(\S+)/m.exec(requirements)![1]!
  return { python, packages, label: `qdrant-client ${version} local mode behind a shim` }
}
