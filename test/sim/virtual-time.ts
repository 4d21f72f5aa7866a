import type { Clock } from '@aquifer/runtime/clock'
import { seeded } from '../e2e/harness/seeded.ts'

/**
 * A scheduler whose time is its own. What is due at one moment comes in an order that the seed decides; between two events
 * everything that can go on without time goes on to its end.
 *
 *  T1  The same seed and the same program give the same events in the same order.
 *  T2  Nothing waits for real time.
 */
export interface VirtualTime {
  readonly random: () => number
  readonly clock: Clock
  now(): number
  /** Runs it at that time, or at once where that has passed. Returns what takes it back. */
  at(timeMs: number, run: () => void): () => void
  after(ms: number, run: () => void): () => void
  /** Lets time pass until the condition holds. Throws after `limitMs`, or where nothing is left that could bring it about. */
  runUntil(what: string, condition: () => boolean, limitMs: number): Promise<void>
  /** Moves the clock on; what has become due in between is late. */
  skip(ms: number): void
  /** Notes what happened: goes into `hash`, and is printed where someone looks on. */
  trace(line: string): void
  hash(): string
}

interface Due {
  readonly at: number
  readonly order: number
  readonly run: () => void
  cancelled: boolean
}

/** A run has some thousands. */
const MAX_EVENTS = 200_000
const START_MS = Date.UTC(2026, 0, 1)

export function createVirtualTime(seed: number, print: ((line: string) => void) | null): VirtualTime {
  const random = seeded(seed)
  const queue = createQueue()
  let now = START_MS
  let hash = 0
  let mixed = 0

  function at(timeMs: number, run: () => void): () => void {
    const due = { at: Math.max(now, Math.round(timeMs)), order: random(), run, cancelled: false }
    queue.push(due)
    return () => (due.cancelled = true)
  }
  const after = (ms: number, run: () => void): (() => void) => at(now + ms, run)

  return {
    random,
    now: () => now,
    at,
    after,
    clock: {
      now: () => now,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          if (signal?.aborted) return reject(signal.reason as Error)
          const abort = (): void => {
            cancel()
            reject(signal!.reason as Error)
          }
          const cancel = after(ms, () => {
            signal?.removeEventListener('abort', abort)
            resolve()
          })
          signal?.addEventListener('abort', abort, { once: true })
        }),
    },
    async runUntil(what, condition, limitMs) {
      const deadline = now + limitMs
      await quiet()
      let events = 0
      while (!condition()) {
        const due = queue.pop()
        if (!due) throw new Error(`nothing is left to happen: ${what}`)
        if (due.cancelled) continue
        now = Math.max(now, due.at)
        if (++events > MAX_EVENTS) throw new Error(`no end after ${MAX_EVENTS} events: ${what}`)
        if (now > deadline) throw new Error(`not within ${limitMs} ms of virtual time: ${what}`)
        due.run()
        await quiet()
      }
    },
    skip(ms) {
      now += Math.round(ms)
    },
    trace(line) {
      const told = `${now - START_MS} ${line}`
      for (let i = 0; i < told.length; i++) {
        hash = Math.imul(hash ^ told.charCodeAt(i), 0x01000193)
        mixed = (Math.imul(mixed, 31) + hash) | 0
      }
      print?.(told)
    },
    hash: () => [hash, mixed].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join(''),
  }
}

/** The event loop turns only when no promise can go on any more. */
function quiet(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** A binary heap by (time, order). */
function createQueue() {
  const heap: Due[] = []
  const isBefore = (a: Due, b: Due): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)
  return {
    push(due: Due): void {
      let child = heap.push(due) - 1
      while (child > 0) {
        const parent = (child - 1) >> 1
        if (!isBefore(due, heap[parent]!)) break
        heap[child] = heap[parent]!
        child = parent
      }
      heap[child] = due
    },
    pop(): Due | undefined {
      const first = heap[0]
      const last = heap.pop()
      if (!first || !last || heap.length === 0) return first
      let parent = 0
      for (let child = 1; child < heap.length; child = 2 * parent + 1) {
        if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
        if (!isBefore(heap[child]!, last)) break
        heap[parent] = heap[child]!
        parent = child
      }
      heap[parent] = last
      return first
    },
  }
}
