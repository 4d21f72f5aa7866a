import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { AquiferError } from '@aquifer/runtime/errors'
import { ownDataDir } from '@aquifer/runtime/owner-lock'

/** The parts that can be started, in the order that they are told. */
export const PART_NAMES = ['kafka', 'redis', 'qdrant', 's3'] as const
export type PartName = (typeof PART_NAMES)[number]

/** What a supervisor is told to keep running. */
export interface Plan {
  readonly name: PartName
  readonly port: number
}

/** One part as it runs. */
export interface PartState {
  readonly name: PartName
  readonly label: string
  readonly variable: string
  readonly url: string
  /** Null where it runs elsewhere. */
  readonly pid: number | null
  readonly port: number
  /** Its data, logs and downloads. */
  readonly dir: string
}

/** What the supervisor says of itself in `state.json`; only its writer changes it. */
export interface NativeState {
  readonly phase: 'starting' | 'running' | 'failed'
  readonly supervisorPid: number
  /** Why it failed. */
  readonly message?: string
  readonly parts: readonly PartState[]
}

/** A port that says nothing for so long does not answer. */
const ANSWER_TIMEOUT_MS = 2000
const POLL_MS = 100

export function writeState(dir: string, state: NativeState): void {
  const path = join(dir, 'state.json')
  writeFileSync(`${path}.new`, `${JSON.stringify(state, null, 2)}\n`)
  renameSync(`${path}.new`, path)
}

/** What was written last, of a supervisor that may be gone; null when nothing was. */
export function readState(dir: string): NativeState | null {
  try {
    return JSON.parse(readFileSync(join(dir, 'state.json'), 'utf8')) as NativeState
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/**
 * Takes the directory's lock and returns what releases it, or null where another process holds it. It ends with its
 * process however that dies, so no stale pid is believed.
 */
export function own(dir: string): (() => void) | null {
  try {
    return ownDataDir(dir)
  } catch (error) {
    if (error instanceof AquiferError && error.code === 'data_dir_in_use') return null
    throw error
  }
}

export function isSupervised(dir: string): boolean {
  const release = own(dir)
  release?.()
  return release === null
}

/** Where a part listens: the URL's own host, or its `endpoint` where the URL names a bucket. */
export function addressOf(url: string): URL {
  const named = new URL(url)
  return new URL(named.searchParams.get('endpoint') ?? named)
}

/** Whether something takes connections there. */
export async function answers(url: string): Promise<boolean> {
  const { hostname, port } = addressOf(url)
  return await new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port), timeout: ANSWER_TIMEOUT_MS })
    const end = (answered: boolean): void => {
      socket.destroy()
      resolve(answered)
    }
    socket.once('connect', () => end(true))
    socket.once('timeout', () => end(false))
    socket.once('error', () => end(false))
  })
}

/** A process that ended is not alive, although nobody has taken note of its end yet. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !existsSync('/proc/self') || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Asks again and again until it is true; false once the time is over. */
export async function within(timeoutMs: number, probe: () => boolean | Promise<boolean>): Promise<boolean> {
  const untilMs = Date.now() + timeoutMs
  for (;;) {
    if (await probe()) return true
    if (Date.now() > untilMs) return false
    await delay(POLL_MS)
  }
}
