import type { Clock } from '@aquifer/runtime/clock'
import { until } from './world.fixture.ts'

/** Time from 0 that goes on only when it is told to. */
export function createSteppedClock() {
  let now = 0
  const sleeping = new Map<() => void, number>()
  const clock: Clock = {
    now: () => now,
    sleep: async (ms, signal) =>
      await new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason as Error)
        sleeping.set(resolve, now + ms)
        signal?.addEventListener('abort', () => sleeping.delete(resolve) && reject(signal.reason as Error))
      }),
  }
  return {
    clock,
    advance: (ms: number): void => {
      now += ms
      for (const [wake, at] of sleeping) if (at <= now && sleeping.delete(wake)) wake()
    },
    /** Resolves when somebody sleeps until then. */
    waitsUntil: async (at: number) =>
      await until(`someone waits until ${at}`, async () => [...sleeping.values()].includes(at)),
  }
}
