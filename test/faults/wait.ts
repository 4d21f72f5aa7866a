import { setTimeout as pause } from 'node:timers/promises'

/** Throws where `work` takes longer. */
export async function within<T>(limitMs: number, what: string, work: Promise<T>): Promise<T> {
  const over = new AbortController()
  const late = pause(limitMs, undefined, { signal: over.signal }).then(() => {
    throw new Error(`not within ${limitMs} ms: ${what}`)
  })
  // Aborted, once the work has ended.
  late.catch(() => undefined)
  try {
    return await Promise.race([work, late])
  } finally {
    over.abort()
  }
}

/** Asks again until `probe` gives something; one that fails is asked again too. Throws when the time is over. */
export async function eventually<T>(
  limitMs: number,
  what: string,
  probe: () => Promise<T | null | false>,
  everyMs = 50,
): Promise<T> {
  const until = performance.now() + limitMs
  let failure: unknown
  for (;;) {
    try {
      const found = await probe()
      if (found !== null && found !== false) return found
    } catch (error) {
      failure = error
    }
    if (performance.now() > until) throw new Error(`not within ${limitMs} ms: ${what}`, { cause: failure })
    await pause(everyMs)
  }
}
