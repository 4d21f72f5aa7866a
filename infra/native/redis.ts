import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from './free-port.ts'
import { PartMissing } from './part.ts'
import type { Part, PartOptions } from './part.ts'

const START_TIMEOUT_MS = 15_000
const STOP_TIMEOUT_MS = 5000
const POLL_MS = 20

/** As production should have it: every write is on the disk before it is answered, and nothing is evicted. */
const SETTINGS: Readonly<Record<string, string>> = {
  appendonly: 'yes',
  appendfsync: 'always',
  save: '',
  'maxmemory-policy': 'noeviction',
  'repl-diskless-sync-delay': '0',
  'shutdown-timeout': '0',
  'shutdown-on-sigterm': 'force',
}

/**
 * Redis from PATH (`apt-get install redis-server`). `settings` are lines of redis.conf, such as
 * `{ replicaof: '127.0.0.1 6379' }`. The server dies with the process that started it.
 */
export async function startRedis(
  options: PartOptions & { settings?: Readonly<Record<string, string>> },
): Promise<Part> {
  const program = find('redis-server')
  if (program === null) throw new PartMissing('redis-server is not on PATH: apt-get install redis-server')
  await mkdir(options.dir, { recursive: true })
  const port = options.port || (await freePort())
  const settings = {
    ...SETTINGS,
    ...options.settings,
    bind: '127.0.0.1',
    port: String(port),
    dir: options.dir,
  }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, ...words(name, value)])
  let child: ChildProcess | null = null

  async function start(): Promise<void> {
    const log = await open(join(options.dir, 'redis.log'), 'a')
    try {
      const [command, ...rest] = [...deathWithParent(), program!, ...args] as [string, ...string[]]
      child = spawn(command, rest, { stdio: ['ignore', log.fd, log.fd] })
      await ready(child, port)
    } catch (cause) {
      await end('SIGKILL')
      throw new Error(`redis-server did not start, see ${join(options.dir, 'redis.log')}`, { cause })
    } finally {
      await log.close()
    }
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const ending = child
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return
    const ended = once(ending, 'exit')
    ending.kill(signal)
    const late = setTimeout(() => ending.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await ended
    clearTimeout(late)
  }

  await start()
  return {
    name: 'redis',
    label: `redis-server ${await version(program)}`,
    variable: 'AQUIFER_STATE',
    url: `redis://127.0.0.1:${port}`,
    get process() {
      return child
    },
    kill: async () => await end('SIGKILL'),
    restart: async () => {
      await end('SIGTERM')
      await start()
    },
    stop: async () => await end('SIGTERM'),
  }
}

/** An empty value and `replicaof`, which takes two words, are no single argument as they are. */
function words(name: string, value: string): string[] {
  return name === 'save' || value === '' ? [value] : value.split(' ')
}

function find(program: string): string | null {
  const places = (process.env['PATH'] ?? '').split(delimiter).map((place) => join(place, program))
  return places.find((path) => existsSync(path)) ?? null
}

/** Linux kills the child when its parent is gone, however that ended. */
function deathWithParent(): string[] {
  const setpriv = find('setpriv')
  return process.platform === 'linux' && setpriv !== null ? [setpriv, '--pdeathsig', 'KILL'] : []
}

/** Resolves when the server answers PONG: it has read its data by then. */
async function ready(child: ChildProcess, port: number): Promise<void> {
  const deadlineMs = Date.now() + START_TIMEOUT_MS
  while (!(await pongs(port))) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('it ended at once')
    if (Date.now() > deadlineMs) throw new Error(`no answer within ${START_TIMEOUT_MS} ms`)
    await delay(POLL_MS)
  }
}

async function pongs(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const end = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(1000, () => end(false))
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.once('data', (data) => end(data.toString().startsWith('+PONG')))
    socket.once('error', () => end(false))
  })
}

async function version(program: string): Promise<string> {
  const child = spawn(program, ['--version'], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  for await (const data of child.stdout) text += String(data)
  return /v=(\S+)/.exec(text)?.[1] ?? 'of an unknown version'
}
