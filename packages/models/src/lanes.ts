import type { Lane } from './embedder.ts'

/** What waits for a worker: `tokens` is what it will cost, estimated. */
export interface Waiting {
  readonly lane: Lane
  readonly tokens: number
  /** How often it was tried in vain. */
  readonly attempts: number
}

/**
 * A queue with right of way.
 *
 *  L1  `query` goes before `interactive`, that before `bulk`; within a lane the first come is the first served.
 *  L2  Every fifth turn goes to whichever lane has waited longest, so that none waits without end.
 *  L3  What failed once is handed out alone, so that it takes nothing else down with it again.
 */
export interface LaneQueue<T extends Waiting> {
  readonly size: number
  push(item: T): void
  /** Before all others of its lane. */
  putBack(item: T): void
  /** The next items of one lane, at most `budgetTokens` together, but one at least if any waits. */
  take(budgetTokens: number, lanes?: readonly Lane[]): T[]
  /** Takes out what the predicate names. */
  remove(predicate: (item: T) => boolean): T[]
}

const LANES: readonly Lane[] = ['query', 'interactive', 'bulk']
const FAIR_TURN = 5

export function laneQueue<T extends Waiting>(): LaneQueue<T> {
  const queues: Record<Lane, { item: T; sequence: number }[]> = { query: [], interactive: [], bulk: [] }
  let sequence = 0
  let turn = 0

  function nextLane(lanes: readonly Lane[]): Lane | undefined {
    const waiting = lanes.filter((lane) => queues[lane].length > 0)
    turn++
    if (turn % FAIR_TURN !== 0) return waiting[0]
    return waiting.sort((a, b) => queues[a][0]!.sequence - queues[b][0]!.sequence)[0]
  }

  return {
    get size() {
      return LANES.reduce((sum, lane) => sum + queues[lane].length, 0)
    },
    push: (item) => void queues[item.lane].push({ item, sequence: sequence++ }),
    putBack: (item) => void queues[item.lane].unshift({ item, sequence: -1 }),
    take(budgetTokens, lanes = LANES) {
      const lane = nextLane(lanes)
      if (lane === undefined) return []
      const queue = queues[lane]
      let tokens = queue[0]!.item.tokens
      let count = 1
      while (queue[0]!.item.attempts === 0 && count < queue.length) {
        const next = queue[count]!.item
        if (next.attempts > 0 || tokens + next.tokens > budgetTokens) break
        tokens += next.tokens
        count++
      }
      return queue.splice(0, count).map(({ item }) => item)
    },
    remove(predicate) {
      const removed: T[] = []
      for (const lane of LANES)
        queues[lane] = queues[lane].filter(({ item }) => {
          if (!predicate(item)) return true
          removed.push(item)
          return false
        })
      return removed
    },
  }
}
