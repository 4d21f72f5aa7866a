import { unavailable } from '@aquifer/runtime/errors'
import type { VirtualTime } from './virtual-time.ts'

export const PORTS = ['log', 'registry', 'index', 'blobs', 'embedder', 'parser', 'generator'] as const
export type Port = (typeof PORTS)[number]

/** How often each fault came about, by name. */
export type Fired = Map<string, number>

export function fire(fired: Fired, name: string, times = 1): void {
  fired.set(name, (fired.get(name) ?? 0) + times)
}

/**
 * What is done to one call.
 *   none     it takes effect, its answer comes
 *   refused  it has no effect, and fails
 *   lost     it takes effect, and fails
 *   late     it fails, and takes effect some time afterwards
 */
type Outcome = 'none' | 'refused' | 'lost' | 'late'

export interface Treatment {
  readonly outcome: Outcome
  /** From the call to its effect, or to where it fails. */
  readonly thereMs: number
  /** From there to the answer. */
  readonly backMs: number
  /** From the failure to the effect, of what takes effect late. */
  readonly lateMs: number
}

/**
 * Draws what happens to calls. Each seed has a temper of its own: which ports fail how often, how slow things are. Faults that are
 * rare everywhere would seldom meet (swarm testing, Groce et al. 2012).
 */
export interface Faults {
  treat(port: Port, method: string): Treatment
  /** A broker may hand out less at once than it is asked for. */
  batches(): { maxBatchRecords?: number }
  /** All calls of the port fail for so long. */
  breakDown(port: Port, forMs: number): void
  /** From now on everything works, and quickly. */
  cease(): void
  readonly fired: Fired
}

const RATES = [0, 0, 0.01, 0.04, 0.12]
const PACES = [2, 5, 20, 80]
const MAX_LATE_MS = 40_000

export function createFaults(time: VirtualTime): Faults {
  const { random } = time
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  const rates = new Map(PORTS.map((port) => [port, pick(RATES)]))
  const paces = new Map(PORTS.map((port) => [port, pick(PACES)]))
  const slowRate = pick([0, 0.005, 0.02])
  const maxBatchRecords = pick([1, 2, 5, null])
  const downUntil = new Map<Port, number>()
  const fired: Fired = new Map()
  let ceased = false

  /** Mostly about the port's pace, now and then much longer. */
  function delayMs(port: Port): number {
    if (ceased) return random() * 2
    if (random() < slowRate) {
      fire(fired, 'slow call')
      return random() * 10_000
    }
    return random() < 0.3 ? 0 : random() * 2 * paces.get(port)!
  }

  function outcomeOf(port: Port, method: string): Outcome {
    if (ceased) return 'none'
    if ((downUntil.get(port) ?? 0) > time.now()) return 'refused'
    if (random() >= rates.get(port)!) return 'none'
    // A blob comes in one piece over a connection of its own: it is there when that ends, or not at all.
    const outcome = pick(
      port === 'blobs' ? (['refused', 'lost'] as const) : (['refused', 'lost', 'late'] as const),
    )
    fire(fired, `${port} ${outcome}`)
    time.trace(`${port}.${method} ${outcome}`)
    return outcome
  }

  return {
    fired,
    treat: (port, method) => ({
      outcome: outcomeOf(port, method),
      thereMs: delayMs(port),
      backMs: random() < 0.5 ? 0 : delayMs(port),
      lateMs: random() * MAX_LATE_MS,
    }),
    batches: () => (maxBatchRecords === null ? {} : { maxBatchRecords }),
    breakDown(port, forMs) {
      fire(fired, `${port} down`)
      time.trace(`${port} down for ${forMs}`)
      downUntil.set(port, time.now() + forMs)
    },
    cease() {
      ceased = true
    },
  }
}

export function failure(port: Port, method: string): Error {
  return unavailable(`${port}_unavailable`, `${port}.${method} failed`)
}
