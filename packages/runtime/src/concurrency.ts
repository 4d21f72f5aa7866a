import { setImmediate as nextTurn } from 'node:timers/promises'

/** Computes for one item after the other; after every `perTurn` of them whatever else waits for the event loop has its turn. */
export async function mapInTurns<T, R>(
  items: readonly T[],
  perTurn: number,
  compute: (item: T, index: number) => R | Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  for (const [index, item] of items.entries()) {
    if (index > 0 && index % perTurn === 0) await nextTurn()
    results.push(await compute(item, index))
  }
  return results
}

/** At most `limit` of the tasks run at once; the first failure rejects after those under way have ended. */
export async function mapLimited<T, R>(
  items: readonly T[],
  limit: number,
  task: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  const failures: unknown[] = []
  let next = 0
  async function worker(): Promise<void> {
    while (next < items.length && failures.length === 0) {
      const index = next++
      try {
        results[index] = await task(items[index]!, index)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker))
  if (failures.length > 0) throw failures[0]
  return results
}

/**
 * Runs the works of one key one after the other; other keys do not wait. `lost` aborts where the turn may be another's already: a work
 * that is long ends then.
 */
export type Turns = <T>(key: string, work: (lost: AbortSignal) => Promise<T>) => Promise<T>

/** Turns within this process, in the order in which the works were handed in. */
export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>()
  const { signal: neverLost } = new AbortController()
  return async (key, work) => {
    const before = last.get(key) ?? Promise.resolve()
    const begin = async () => await work(neverLost)
    const mine = before.then(begin, begin)
    last.set(key, mine)
    try {
      return await mine
    } finally {
      if (last.get(key) === mine) last.delete(key)
    }
  }
}
