import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const START = fileURLToPath(new URL('./start-child.ts', import.meta.url))

/** A whole Aquifer in a process of its own, so that it can be killed. */
export interface Server {
  readonly url: string
  readonly dataDir: string
  readonly process: ChildProcess
  /** Waits until the process is gone. */
  readonly gone: Promise<void>
  kill(signal: NodeJS.Signals): Promise<void>
}

export async function newDataDir(): Promise<string> {
  return await mkdtemp(join(tmpdir(), 'aquifer-e2e-'))
}

export async function removeDataDir(dataDir: string): Promise<void> {
  await rm(dataDir, { recursive: true, force: true })
}

/** Starts on a free port and waits until it serves. `env` adds to the configuration. */
export async function startServer(dataDir: string, env: Record<string, string> = {}): Promise<Server> {
  const child = spawn(process.execPath, ['--max-semi-space-size=8', START], {
    env: {
      ...process.env,
      MALLOC_ARENA_MAX: '2',
      AQUIFER_DATA_DIR: dataDir,
      AQUIFER_PORT: '0',
      AQUIFER_LOG_LEVEL: 'warn',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  // Whoever started it may fail before it is told to stop.
  const takeAlong = (): void => void child.kill('SIGKILL')
  process.once('exit', takeAlong)
  const gone = once(child, 'exit').then(() => void process.off('exit', takeAlong))
  let log = ''
  child.stderr.on('data', (data: Buffer) => (log = (log + data.toString()).slice(-20_000)))
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (data: Buffer) => {
      const line = /^serving (\S+)$/m.exec(data.toString())
      if (line) resolve(line[1]!)
    })
    child.once('exit', (code, signal) =>
      reject(new Error(`it ended before it served (${code ?? signal}):\n${log}`)),
    )
  })
  return {
    url,
    dataDir,
    process: child,
    gone,
    async kill(signal) {
      child.kill(signal)
      await gone
    },
  }
}

export interface Answered<T = Record<string, unknown>> {
  readonly status: number
  readonly headers: Headers
  readonly body: T
}

/** One request; the body of the answer as JSON where it is that, else as text. */
export async function request<T = Record<string, unknown>>(
  server: { url: string },
  method: string,
  path: string,
  options: { body?: unknown; headers?: Record<string, string>; raw?: string | Uint8Array<ArrayBuffer> } = {},
): Promise<Answered<T>> {
  const headers: Record<string, string> = {
    ...(options.body === undefined ? {} : { 'Content-Type': 'application/json' }),
    ...options.headers,
  }
  const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body))
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body }),
  })
  const text = await response.text()
  const isJson =
    /json/.test(response.headers.get('content-type') ?? '') &&
    !/ndjson/.test(response.headers.get('content-type') ?? '')
  return { status: response.status, headers: response.headers, body: (isJson ? JSON.parse(text) : text) as T }
}

export async function publish(
  server: { url: string },
  id: string,
  text: string,
  headers: Record<string, string> = {},
): Promise<string> {
  const { status, body } = await request<{ receipt: string }>(
    server,
    'PUT',
    `/v1/documents/${encodeURIComponent(id)}`,
    { raw: text, headers: { 'Content-Type': 'text/markdown', ...headers } },
  )
  if (status !== 202) throw new Error(`PUT ${id}: ${status} ${JSON.stringify(body)}`)
  return body.receipt
}

export interface Hit {
  readonly documentId: string
  readonly version: string
  readonly chunkId: string
  readonly start: number
  readonly end: number
  readonly text: string
  readonly score: number
  readonly scores: { dense: number | null; lexical: number | null }
}

export async function search(
  server: { url: string },
  query: string,
  options: Record<string, unknown> = {},
  headers: Record<string, string> = {},
): Promise<{ hits: Hit[]; fresh: boolean; reason?: string }> {
  const { status, body } = await request<{ hits: Hit[]; fresh: boolean }>(server, 'POST', '/v1/search', {
    body: { query, ...options },
    headers,
  })
  if (status !== 200) throw new Error(`search: ${status} ${JSON.stringify(body)}`)
  return body
}

/** Polls until `probe` gives something; the deadline says what was waited for. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | null | undefined | false>,
  deadlineMs = 60_000,
): Promise<T> {
  const until = Date.now() + deadlineMs
  for (;;) {
    const found = await probe()
    if (found !== null && found !== undefined && found !== false) return found
    if (Date.now() > until) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
