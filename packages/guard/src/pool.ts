import { fileURLToPath } from 'node:url'
import { errorMessage, unavailable } from '@aquifer/runtime/errors'
import { Piscina } from 'piscina'
import type { TextRole } from './injection.ts'
import type { Inspection } from './inspect.ts'
import type { GuardTask } from './pool-worker.ts'

/**
 * The detectors in worker threads: they read about a megabyte a second, too slow for the event loop.
 *
 *  P1  The caller's thread does not compute.
 *  P2  At most `maxQueue` calls wait; one more fails as `guard_busy`, which a retry can help.
 *  P3  A call ends within `timeoutMs`, its waiting included, or fails as `guard_failed`, which a retry can help.
 */
export interface GuardPool {
  /** Ranges are code points of the text. */
  inspect(text: string, as: TextRole, signal?: AbortSignal): Promise<Inspection>
  /** The texts with personal data replaced by typed marks, in their order. One call is one task. */
  redact(texts: readonly string[], signal?: AbortSignal): Promise<string[]>
  /** Ends the threads; calls under way fail as `guard_closed`. */
  close(): Promise<void>
}

export interface GuardPoolOptions {
  /** Default 1. */
  readonly threads?: number
  /** Default 64. */
  readonly maxQueue?: number
  /** Default 30 s. */
  readonly timeoutMs?: number
}

export function createGuardPool({
  threads = 1,
  maxQueue = 64,
  timeoutMs = 30_000,
}: GuardPoolOptions = {}): GuardPool {
  const pool = new Piscina({
    filename: fileURLToPath(new URL('./pool-worker.ts', import.meta.url)),
    minThreads: threads,
    maxThreads: threads,
    maxQueue,
    recordTiming: false,
  })
  // A thread that dies between two tasks is replaced; a task that it dies with fails by itself.
  pool.on('error', () => {})
  let closed = false

  async function run<T>(task: GuardTask, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted()
    if (closed) throw unavailable('guard_closed', 'the process is stopping')
    if (pool.queueSize >= maxQueue)
      throw unavailable('guard_busy', `${maxQueue} texts wait to be screened: ask again in a moment`)
    const limit = AbortSignal.timeout(timeoutMs)
    try {
      return (await pool.run(task, { signal: signal ? AbortSignal.any([signal, limit]) : limit })) as T
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      if (closed) throw unavailable('guard_closed', 'the process is stopping', error)
      throw unavailable('guard_failed', `the text could not be screened: ${errorMessage(error)}`, error)
    }
  }

  return {
    inspect: (text, as, signal) => run({ kind: 'inspect', text, as }, signal),
    redact: (texts, signal) => run({ kind: 'redact', texts }, signal),
    async close() {
      closed = true
      await pool.destroy()
    },
  }
}
