import { unavailable } from '@aquifer/runtime/errors'

/** Runs at most `atOnce` tasks at once, first come, first served. Throws `index_busy` when `maxWaiting` wait already. */
export function gate(atOnce: number, maxWaiting: number): <T>(task: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0
  return async (task) => {
    if (running >= atOnce) {
      if (waiting.length >= maxWaiting) throw unavailable('index_busy', `${maxWaiting} searches are waiting`)
      // Whoever ends hands its place over: `running` stays.
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else running++
    try {
      return await task()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}
