import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { extname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { errorMessage } from '@aquifer/runtime/errors'
import type { Logger } from '@aquifer/runtime/logger'
import { DIST, hashSources } from './sources.ts'

/** A file of the page, with its compressed forms where they were made. */
export interface Asset {
  readonly type: string
  readonly etag: string
  readonly plain: Buffer
  readonly br: Buffer | null
  readonly gzip: Buffer | null
}
/** By path, such as `index.html`, `assets/index-AbC123.js`. */
export type Assets = ReadonlyMap<string, Asset>

export type PageState =
  | { readonly state: 'ready'; readonly assets: Assets }
  | { readonly state: 'building' }
  /** It is not there and cannot be made here; `why` is for people. */
  | { readonly state: 'missing'; readonly why: string }

export interface Page {
  /** How the page stands; the first look loads it, or begins to make it. Never waits for the making. */
  look(): Promise<PageState>
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}
const BUILD = fileURLToPath(new URL('build.ts', import.meta.url))
const BUILD_DEADLINE_MS = 5 * 60_000
const MAX_ERROR_CHARS = 4000

/**
 * The page of `dist`. Where that is not of the present sources it is made in a child process, once; where the tools to make it
 * are not installed, as in an image, an older one is used as it is.
 */
export function createPage({ logger }: { logger: Logger }): Page {
  let state: PageState | null = null
  let looking: Promise<PageState> | null = null

  async function lookUp(): Promise<PageState> {
    const name = await hashSources()
    const there = await readdir(DIST).catch((): string[] => [])
    if (there.includes(name)) return await load(name)
    if (state?.state === 'missing') return state
    if (canBuild()) {
      void buildPage(name).then((built) => (state = built))
      return { state: 'building' }
    }
    const older = there.find((folder) => !folder.includes('.'))
    return older === undefined
      ? { state: 'missing', why: 'the tools that make it are not installed here' }
      : await load(older)
  }

  async function load(name: string): Promise<PageState> {
    return { state: 'ready', assets: await readAssets(join(DIST, name)) }
  }

  async function buildPage(name: string): Promise<PageState> {
    logger.info('the chat page is being made')
    try {
      await runBuild()
      logger.info('the chat page is made')
      return await load(name)
    } catch (error) {
      logger.error({ err: error }, `the chat page was not made: ${errorMessage(error)}`)
      return { state: 'missing', why: 'making it failed, and the log says how' }
    }
  }

  return {
    async look() {
      if (state?.state === 'ready' || state?.state === 'building') return state
      // Where it was missing, somebody may have made it by hand meanwhile.
      looking ??= lookUp()
        .then((found) => (state = found))
        .finally(() => (looking = null))
      return await looking
    },
  }
}

function canBuild(): boolean {
  try {
    createRequire(import.meta.url).resolve('vite/package.json')
    return true
  } catch {
    return false
  }
}

async function runBuild(): Promise<void> {
  const child = spawn(process.execPath, [BUILD], {
    // Nothing of this process's settings changes what is made.
    env: { NODE_ENV: 'production' },
    // The channel tells it that this process ended.
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    timeout: BUILD_DEADLINE_MS,
  })
  let said = ''
  child.stderr!.on('data', (data: Buffer) => (said = (said + data.toString()).slice(-MAX_ERROR_CHARS)))
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`it ended with ${code ?? signal}: ${said}`)),
    )
  })
}

async function readAssets(folder: string): Promise<Assets> {
  const assets = new Map<string, Asset>()
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const type = TYPES[extname(entry.name)]
    if (!entry.isFile() || type === undefined) continue
    const path = join(entry.parentPath, entry.name)
    const plain = await readFile(path)
    assets.set(relative(folder, path).replaceAll(sep, '/'), {
      type,
      plain,
      etag: createHash('sha256').update(plain).digest('base64url').slice(0, 22),
      br: await readFile(`${path}.br`).catch(() => null),
      gzip: await readFile(`${path}.gz`).catch(() => null),
    })
  }
  return assets
}
