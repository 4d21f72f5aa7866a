import { unavailable } from '@aquifer/runtime/errors'
import type { Point } from './port.ts'

/** Vectors waiting here are memory held. */
const MAX_WAITING_POINTS = 8192
const MAX_WAITING_WRITES = 4096
/** Rows are encoded on the event loop: about 18 ms for so many. */
const MAX_GROUPED_POINTS = 256
const MAX_GROUPED_DELETES = 64

export interface WriteQueue {
  /** `isNew`: none of them can be there already. */
  upsert(points: readonly Point[], isNew: boolean): Promise<void>
  delete(condition: string): Promise<void>
  /** Runs a task alone, in turn. */
  run(task: () => Promise<void>): Promise<void>
  /** Resolves when all that was accepted is written; refuses what comes later. */
  close(): Promise<void>
}

type Write =
  | { readonly kind: 'upsert'; readonly points: readonly Point[]; readonly isNew: boolean }
  | { readonly kind: 'delete'; readonly condition: string }
  | { readonly kind: 'run'; readonly task: () => Promise<void> }
type Waiting = Write & { readonly resolve: () => void; readonly reject: (error: unknown) => void }

/**
 * One writer. Writes take effect in the order of the calls; neighbours of one kind become one commit, and share its
 * outcome. Throws `index_busy` when too much waits.
 */
export function writeQueue(writer: {
  upsert(points: readonly Point[], isNew: boolean): Promise<void>
  delete(conditions: readonly string[]): Promise<void>
  /** Runs after each commit, before the next; must not reject. */
  afterWrite(): Promise<void>
}): WriteQueue {
  const waiting: Waiting[] = []
  let waitingPoints = 0
  let closed = false
  let draining: Promise<void> | null = null

  async function enqueue(write: Write): Promise<void> {
    if (closed) throw unavailable('index_closed', 'the vector index is closed')
    const points = write.kind === 'upsert' ? write.points.length : 0
    if (waiting.length >= MAX_WAITING_WRITES || waitingPoints + points > MAX_WAITING_POINTS) {
      throw unavailable('index_busy', `${waiting.length} writes of ${waitingPoints} points are waiting`)
    }
    waitingPoints += points
    await new Promise<void>((resolve, reject) => {
      waiting.push({ ...write, resolve, reject })
      draining ??= drain()
    })
  }

  async function drain(): Promise<void> {
    // Callers of this turn of the event loop are still coming.
    await Promise.resolve()
    for (let group = take(); group.length > 0; group = take()) {
      try {
        await commit(group)
        for (const { resolve } of group) resolve()
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
      if (group[0]!.kind !== 'run') await writer.afterWrite()
    }
    draining = null
  }

  /** The next writes that fit in one commit: at least one, where any waits. */
  function take(): Waiting[] {
    const kind = waiting[0]?.kind
    let points = 0
    const end = waiting.findIndex((write, i) => {
      points += write.kind === 'upsert' ? write.points.length : 0
      const full = i === MAX_GROUPED_DELETES || points > MAX_GROUPED_POINTS
      return i > 0 && (write.kind !== kind || kind === 'run' || full)
    })
    const group = waiting.splice(0, end < 0 ? waiting.length : end)
    for (const write of group) waitingPoints -= write.kind === 'upsert' ? write.points.length : 0
    return group
  }

  async function commit(group: readonly Waiting[]): Promise<void> {
    const [first] = group
    if (first!.kind === 'run') return await first!.task()
    if (first!.kind === 'upsert') {
      const upserts = group.filter((write) => write.kind === 'upsert')
      return await writer.upsert(
        upserts.flatMap(({ points }) => points),
        upserts.every(({ isNew }) => isNew),
      )
    }
    await writer.delete(group.flatMap((write) => (write.kind === 'delete' ? [write.condition] : [])))
  }

  return {
    upsert: (points, isNew) => enqueue({ kind: 'upsert', points, isNew }),
    delete: (condition) => enqueue({ kind: 'delete', condition }),
    run: (task) => enqueue({ kind: 'run', task }),
    async close() {
      closed = true
      await draining
    },
  }
}
