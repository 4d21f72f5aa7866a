import type { Clock } from './clock.ts'
import { isMessageFault } from './errors.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'

/** Pause before attempt n (from 1): exponential with full jitter, at most `maxMs`. */
export function backoffMs(attempt: number, random: () => number, baseMs = 100, maxMs = 15_000): number {
  const ceiling = Math.min(maxMs, baseMs * 2 ** Math.min(attempt - 1, 20))
  return ceiling / 2 + (random() * ceiling) / 2
}

/**
 * Repeats `operation` until it succeeds, the signal aborts, or the failure is the message's own
 * (an `AquiferError` that is not retryable). A dependency that is down for long is waited for without end.
 */
export async function untilAvailable<T>(
  operation: () => Promise<T>,
  options: {
    clock: Clock
    random: () => number
    signal: AbortSignal
    onFailure?: (error: unknown, attempt: number) => void
  },
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    options.signal.throwIfAborted()
    try {
      return await operation()
    } catch (error) {
      if (isMessageFault(error) || options.signal.aborted) throw error
      options.onFailure?.(error, attempt)
      await options.clock.sleep(backoffMs(attempt, options.random), options.signal)
    }
  }
}

/** A service's way of calling what it depends on: a failure is counted, logged and waited for. */
export type Steady = <T>(signal: AbortSignal, operation: () => Promise<T>) => Promise<T>

export function createSteady(
  service: string,
  {
    clock,
    random,
    logger,
    metrics,
  }: { clock: Clock; random: () => number; logger: Logger; metrics: Metrics },
): Steady {
  return async (signal, operation) =>
    await untilAvailable(operation, {
      clock,
      random,
      signal,
      onFailure: (error, attempt) => {
        metrics.dependencyFailures.inc({ service })
        logger.warn({ err: error, attempt }, `${service}: a dependency failed; the work waits for it`)
      },
    })
}
