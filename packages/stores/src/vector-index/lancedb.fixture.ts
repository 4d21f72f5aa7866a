import type { VectorIndex } from './port.ts'

/** Pauses end when the test says so. */
export function heldClock() {
  const pauses: (() => void)[] = []
  const sleep = (_ms: number, signal?: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      pauses.push(resolve)
      signal?.addEventListener('abort', () => reject(new Error('another write came')))
    })
  /** Ends all pauses, once there is one, and waits for the upkeep behind them. */
  async function end(index: VectorIndex): Promise<void> {
    while (pauses.length === 0) await index.ping()
    for (const resolve of pauses.splice(0)) resolve()
    await index.ping()
    // The upkeep is in the queue by now, and this passes behind it.
    await index.delete({ tenant: 'acme', documentId: 'none' })
  }
  return { clock: { now: () => Date.now(), sleep }, pauses, end }
}
