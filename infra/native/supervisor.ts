import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { errorMessage } from '@aquifer/runtime/errors'
import type { Part, PartOptions } from './part.ts'
import { addressOf, isAlive, own, readState, within, writeState } from './state.ts'
import type { NativeState, PartName, Plan } from './state.ts'

/**
 * The process that owns the parts of `native up`: `node supervisor.ts <directory> <plan as JSON>`.
 *
 * 1. It holds the directory's lock as long as it lives, so there is one at most, and who asks is never deceived by a pid.
 * 2. The parts die with it, whatever ends it.
 * 3. A part that ends by itself is started again on its port and data, with growing pauses.
 * 4. SIGTERM stops the parts in reverse order; one that does not stop in time is killed.
 */
const STOP_TIMEOUT_MS = 15_000
const LOCK_TIMEOUT_MS = 5000
const MIN_PAUSE_MS = 500
const MAX_PAUSE_MS = 30_000

const start: Record<PartName, (options: PartOptions) => Promise<Part>> = {
  kafka: async (options) => await (await import('./kafka.ts')).startKafka(options),
  redis: async (options) => await (await import('./redis.ts')).startRedis(options),
  qdrant: async (options) => await (await import('./qdrant.ts')).startQdrant(options),
  s3: async (options) => await (await import('./s3.ts')).startS3(options),
}

const [dir, planText] = process.argv.slice(2) as [string, string]
const plan = JSON.parse(planText) as readonly Plan[]
const parts = new Map<PartName, Part>()
const stopping = new AbortController()

let release = own(dir)
// Whoever asks whether it runs holds the lock for a moment; another supervisor holds it for good, and tells its state.
await within(LOCK_TIMEOUT_MS, () => {
  release ??= own(dir)
  const other = readState(dir)
  return release !== null || (other !== null && isAlive(other.supervisorPid))
})
if (release === null) {
  console.error(`another supervisor owns ${dir}`)
  process.exit(1)
}
process.on('SIGTERM', () => {
  stop(0).catch(fail)
})

tell('starting')
const outcomes = await Promise.allSettled(
  plan.map(async ({ name, port }) => {
    const part = await start[name]({ dir: join(dir, name), port })
    parts.set(name, part)
    keep(part)
    tell('starting')
  }),
)
const failures = outcomes.flatMap((outcome, index) =>
  outcome.status === 'rejected' ? [`${plan[index]!.name}: ${errorMessage(outcome.reason)}`] : [],
)
if (failures.length > 0) {
  tell('failed', failures.join('\n'))
  await stop(1)
}
tell('running')

function tell(phase: NativeState['phase'], message?: string): void {
  writeState(dir, {
    phase,
    supervisorPid: process.pid,
    ...(message !== undefined && { message }),
    parts: plan.flatMap(({ name }) => {
      const part = parts.get(name)
      if (!part) return []
      const { label, variable, url } = part
      const port = Number(addressOf(url).port)
      return [{ name, label, variable, url, pid: part.process?.pid ?? null, port, dir: join(dir, name) }]
    }),
  })
}

/** Starts it again whenever it ends before it is told to. */
function keep(part: Part): void {
  part.process?.once('exit', (code, signal) => {
    if (stopping.signal.aborted) return
    console.error(`${part.name} ended (${code ?? signal}); it is started again`)
    revive(part).catch(fail)
  })
}

async function revive(part: Part): Promise<void> {
  for (let pauseMs = MIN_PAUSE_MS; !stopping.signal.aborted; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
    try {
      await part.restart()
      keep(part)
      return tell('running')
    } catch (error) {
      console.error(`${part.name} does not start: ${errorMessage(error)}`)
      await delay(pauseMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }
}

async function stop(code: number): Promise<void> {
  stopping.abort()
  for (const part of [...parts.values()].reverse()) {
    const late = AbortSignal.timeout(STOP_TIMEOUT_MS)
    const overdue = new Promise<void>((_, reject) =>
      late.addEventListener('abort', () => reject(late.reason)),
    )
    await Promise.race([part.stop(), overdue]).catch(async (error: unknown) => {
      console.error(`${part.name} did not stop: ${errorMessage(error)}; it is killed`)
      await part.kill()
    })
  }
  release?.()
  process.exit(code)
}

/** Nothing may end it without a word in the log; the parts die with it. */
function fail(error: unknown): void {
  appendFileSync(join(dir, 'supervisor.log'), `${errorMessage(error)}\n`)
  process.exit(1)
}
