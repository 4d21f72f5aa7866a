import { fork } from 'node:child_process'
import { once } from 'node:events'
import { openSync, closeSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ServiceName } from '@aquifer/cli/services'
import { within } from './wait.ts'

const CHILD = fileURLToPath(new URL('./service-child.ts', import.meta.url))
const START_TIMEOUT_MS = 120_000
const MAX_TOLD = 3000
const STOP_TIMEOUT_MS = 60_000

/** What a service's process is told: to die after that write, the so-many-eth from now. */
export interface Told {
  readonly killAfter: string
  count: number
}

/** A process that runs some services. */
export interface Service {
  readonly name: string
  readonly url: string
  /** Resolves when the process has ended, however. */
  readonly gone: Promise<void>
  isAlive(): boolean
  arm(told: Told): void
  /** Resolves when it is gone. Throws where SIGTERM does not end it in time, or ends it with a failure. */
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>
}

/** Resolves when it serves. Its log goes to `<name>.log` of `logDir`. */
export async function startService(options: {
  readonly name: string
  readonly services: readonly ServiceName[]
  readonly env: Readonly<Record<string, string>>
  readonly logDir: string
}): Promise<Service> {
  const { name, services, env, logDir } = options
  const logPath = join(logDir, `${name}.log`)
  const log = openSync(logPath, 'a')
  const child = fork(CHILD, [name, ...services], {
    env: { ...process.env, ...env },
    execArgv: ['--max-semi-space-size=8'],
    stdio: ['ignore', log, log, 'ipc'],
  })
  closeSync(log)
  const gone = once(child, 'exit').then(() => undefined)
  const isAlive = (): boolean => child.exitCode === null && child.signalCode === null
  const serving = once(child, 'message').then(([message]) => (message as { url: string }).url)
  const url = await within(START_TIMEOUT_MS, `${name} serves`, Promise.race([serving, gone]))
  if (url === undefined)
    throw new Error(`${name} ended before it served:\n${readFileSync(logPath, 'utf8').slice(-MAX_TOLD)}`)
  return {
    name,
    url,
    gone,
    isAlive,
    arm: (told) => void child.send(told),
    async end(signal) {
      if (!isAlive()) return
      child.kill(signal)
      await within(STOP_TIMEOUT_MS, `${name} ends on ${signal}`, gone)
      if (signal === 'SIGTERM' && child.exitCode !== 0)
        throw new Error(`${name} ended with ${child.exitCode ?? child.signalCode} on SIGTERM`)
    },
  }
}
