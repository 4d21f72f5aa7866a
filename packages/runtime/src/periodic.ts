import type { Clock } from './clock.ts'
import type { Logger } from './logger.ts'

/** A task that runs at once and then again and again, a pause after each run; a failure is logged and waits for the next. */
export interface Periodic {
  start(): void
  /** Ends the pause, or waits for the run under way. */
  stop(): Promise<void>
}

export function createPeriodic(
  what: string,
  everyMs: number,
  { clock, logger }: { clock: Clock; logger: Logger },
  task: (signal: AbortSignal) => Promise<void>,
): Periodic {
  const stopping = new AbortController()
  let running: Promise<void> | null = null

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await task(stopping.signal)
      } catch (error) {
        if (stopping.signal.aborted) return
        logger.warn({ err: error }, `${what} failed; it is tried again later`)
      }
      // Only the stop ends a pause early.
      await clock.sleep(everyMs, stopping.signal).catch(() => undefined)
    }
  }

  return {
    start() {
      running = run()
    },
    async stop() {
      stopping.abort()
      await running
    },
  }
}
