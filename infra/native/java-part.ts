import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { PartMissing } from './part.ts'
import type { Part } from './part.ts'
import { within } from './state.ts'

const START_TIMEOUT_MS = 90_000
const STOP_TIMEOUT_MS = 10_000
/** Of util-linux; it becomes the program that it starts, which Linux then kills when its parent dies. */
const SETPRIV = '/usr/bin/setpriv'

/** Throws `PartMissing` where there is no Java of that version or a newer one. */
export function needJava(version: number): void {
  let said = ''
  try {
    said = execFileSync('java', ['--version'], { encoding: 'utf8', stdio: 'pipe', timeout: 20_000 })
  } catch {
    // None, or one that is too old to know the option.
  }
  const found = Number(/\d+/.exec(said)?.[0] ?? 0)
  if (found < version) {
    throw new PartMissing(
      `Java ${version} is needed, found ${found || 'none'}: apt install openjdk-${version}-jre-headless`,
    )
  }
}

/** Runs a server of the JVM as a part: `args` are those of `java`. */
export async function startJava(
  about: About,
  options: { readonly args: readonly string[] } & Run,
): Promise<Part> {
  return await startProgram(about, { ...options, args: ['java', ...options.args] })
}

type About = Pick<Part, 'name' | 'label' | 'variable' | 'url'>
interface Run {
  readonly dir: string
  /** Whether it serves. */
  readonly isUp: () => Promise<boolean>
}

/**
 * Runs a server as a part: `args` begin with the program; it writes to `server.log` of `dir`. Where Linux does not see to it
 * that it dies with this process, it is killed when this process exits in order. Its standard input ends with this process.
 */
export async function startProgram(
  about: About,
  options: {
    readonly args: readonly string[]
    /** Its environment; absent, that of this process. */
    readonly env?: NodeJS.ProcessEnv
  } & Run,
): Promise<Part> {
  const logPath = join(options.dir, 'server.log')
  let child: ChildProcess

  async function start(): Promise<void> {
    const log = openSync(logPath, 'a')
    const dying = existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'KILL'] : []
    const [command, ...args] = [...dying, ...options.args] as [string, ...string[]]
    child = spawn(command, args, {
      cwd: options.dir,
      stdio: ['pipe', log, log],
      ...(options.env && { env: options.env }),
    })
    closeSync(log)
    const failed = new Promise<never>((_, reject) => child.once('error', reject))
    const up = within(START_TIMEOUT_MS, async () => {
      if (child.exitCode !== null)
        throw new Error(`${about.label} ended with ${child.exitCode}: see ${logPath}`)
      return await options.isUp().catch(() => false)
    })
    if (!(await Promise.race([up, failed]))) {
      await end('SIGKILL')
      throw new Error(`${about.label} does not serve after ${START_TIMEOUT_MS} ms: see ${logPath}`)
    }
  }
  async function end(signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }
  const killAtExit = () => child.kill('SIGKILL')
  process.on('exit', killAtExit)
  await start()
  return {
    ...about,
    get process() {
      return child
    },
    kill: async () => await end('SIGKILL'),
    async restart() {
      await end('SIGKILL')
      await start()
    },
    async stop() {
      const overdue = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
      await end('SIGTERM')
      clearTimeout(overdue)
      process.off('exit', killAtExit)
    },
  }
}
