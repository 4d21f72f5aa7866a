import type { Batch, EventLog } from '@aquifer/event-log/port'
import type { Clock } from '@aquifer/runtime/clock'
import { invalid, unavailable } from '@aquifer/runtime/errors'
import type { Registry } from './port.ts'

/**
 * A registry on a server that can lose what it acknowledged: a replica takes over that had not everything, or a file was
 * cut short. Then a document that was deleted could show again. So that it never does:
 *
 *  S1  Before a consumer commits to the log, the registry gets a marker: everything of that partition up to the offset is
 *      applied. Markers lie beside the records that they speak of, so a server that has a marker has what it speaks of.
 *  S2  A marker moves on only when it stands at the batch, and only on the server, and in the reign, in which the batch was
 *      begun: what was written to one server is never vouched for on another.
 *  S3  Queries are answered only by a server in a reign in which the registry was found whole: the consumers have applied all that the
 *      log held after it had begun. A deletion that was answered for is on the log, so it is among that.
 *  S4  Where the log's commits are past the markers, writes are lost, and the registry is made again from the log.
 */
export interface GuardedRegistry extends Registry {
  /** The same documents without the check, for the consumers that bring them up to date. */
  readonly applying: Registry
  readonly soundness: Soundness
}

export interface Soundness {
  /** The server, and which of its reigns: another one after every restart and fail-over. */
  identity(): Promise<string>
  state(): Promise<'sound' | 'unchecked' | 'lost'>
  /** Sets a marker. Resolves when as many replicas have it, and all before it, as the configuration asks for. */
  confirm(progress: Progress): Promise<Confirmation>
  /** Per partition, the last offset that is applied. */
  markers(group: string, topic: string): Promise<ReadonlyMap<number, number>>
  /** False where another server or reign has followed, or writes were found lost. */
  declareSound(identity: string): Promise<boolean>
  declareLost(): Promise<void>
}

/** The records of one partition from `first` to `last` are applied. */
export interface Progress {
  readonly group: string
  readonly topic: string
  readonly partition: number
  readonly first: number
  readonly last: number
  /** The server and reign when the first of them was begun. */
  readonly identity: string
}

/**
 * `gap`: the marker stands before the record that precedes `first`. `changed`: another server or reign has followed.
 * `lost`: the registry is to be made again.
 */
export type Confirmation =
  | { readonly outcome: 'confirmed' | 'changed' | 'lost' }
  | { readonly outcome: 'gap'; readonly marker: number }

/**
 * The log, for the consumers that fill a registry: each commit is confirmed by it first (S1). A batch that another server
 * cannot vouch for is taken back, and comes again from the last commit. Commits end with the handler: a pipeline that runs
 * ahead of its commits could not be taken back.
 */
export function confirmCommits(log: EventLog, soundness: Soundness): EventLog {
  return {
    ...log,
    subscribe: async (options, handler) =>
      await log.subscribe(options, async (batch) => {
        const identity = await soundness.identity()
        const taken = new AbortController()
        let isOpen = true
        const confirmed: Batch = {
          ...batch,
          signal: AbortSignal.any([batch.signal, taken.signal]),
          async commit(last) {
            if (!isOpen) throw invalid('commit_too_late', 'a confirmed batch is committed within its handler')
            const { topic, partition } = batch
            const first = batch.records[0]!.offset
            const progress = { group: options.group, topic, partition, first, last, identity }
            const refusal = await confirm(log, soundness, progress)
            if (refusal !== null) {
              taken.abort(refusal)
              throw refusal
            }
            await batch.commit(last)
          },
        }
        try {
          await handler(confirmed)
        } finally {
          isOpen = false
        }
        taken.signal.throwIfAborted()
      }),
  }
}

/** Null, or why the batch must come again. */
async function confirm(log: EventLog, soundness: Soundness, progress: Progress): Promise<Error | null> {
  const { topic, partition, first } = progress
  let confirmation = await soundness.confirm(progress)
  if (confirmation.outcome === 'gap') {
    const { marker } = confirmation
    const [held] = await log.read(topic, partition, marker + 1, 1)
    // Nothing that is still held lies between: it was compacted away, or dropped for its age.
    if (!held || held.offset >= first) {
      confirmation = await soundness.confirm({ ...progress, first: marker + 1 })
    } else {
      await soundness.declareLost()
      confirmation = { outcome: 'lost' }
    }
  }
  if (confirmation.outcome === 'confirmed') return null
  const place = `${topic}/${partition}`
  return confirmation.outcome === 'lost'
    ? unavailable('registry_lost', `${place}: the registry lost writes, and is made again from the log`)
    : unavailable('registry_changed', `${place}: another registry server took over; the batch comes again`)
}

/** Consumers of one step of the way; those of the next step read what they write. */
export interface Stage {
  readonly group: string
  readonly topics: readonly string[]
}

const POLL_MS = 250

/**
 * Waits until the consumers, in the order of the way, have applied what the log holds, then lets queries be answered (S3).
 * Several processes may do so at once: each decides by what all can see, and a decision holds for one reign alone.
 *
 * Resolves to `lost` where writes are missing (S4). Then the caller takes a new instance. Rejects when the signal
 * aborts, or what it asks cannot answer.
 */
export async function establishSoundness(options: {
  log: EventLog
  soundness: Soundness
  /** Where its first marker is of before the consumers began: a registry without it was lost with all that it was filled with. */
  prepared?: Pick<Progress, 'group' | 'topic'>
  stages: readonly Stage[]
  clock: Clock
  signal: AbortSignal
}): Promise<'sound' | 'lost'> {
  const { log, soundness, prepared, stages, clock, signal } = options
  for (;;) {
    signal.throwIfAborted()
    const state = await soundness.state()
    if (state !== 'unchecked') return state
    const identity = await soundness.identity()
    if (prepared && (await soundness.markers(prepared.group, prepared.topic)).size === 0) {
      await soundness.declareLost()
      return 'lost'
    }
    for (const stage of stages) {
      const watch = await watchStage(log, soundness, stage)
      for (let stand = await watch(); stand !== 'applied'; stand = await watch()) {
        if (stand === 'lost') {
          await soundness.declareLost()
          return 'lost'
        }
        await clock.sleep(POLL_MS, signal)
      }
    }
    if (await soundness.declareSound(identity)) return 'sound'
  }
}

/**
 * Looks how far a stage is with what its topics hold now. `lost`: the group has committed more than was applied; a look may
 * miss that, the next ones will not.
 */
async function watchStage(
  log: EventLog,
  soundness: Soundness,
  { group, topics }: Stage,
): Promise<() => Promise<'applied' | 'under way' | 'lost'>> {
  const ends = new Map(
    await Promise.all(topics.map(async (topic) => [topic, await log.offsets(topic)] as const)),
  )
  const seen = new Map<string, number>()

  /** The first record that is held, not applied, and before the end; null where there is none. */
  async function firstLeft(
    topic: string,
    partition: number,
    from: number,
    end: number,
  ): Promise<number | null> {
    if (from >= end) return null
    const [record] = await log.read(topic, partition, from, 1)
    return record && record.offset < end ? record.offset : null
  }

  return async () => {
    let stand: 'applied' | 'under way' = 'applied'
    for (const [topic, partitions] of ends) {
      // In this order: markers only grow, so what they leave to do is never more than was left when the lag was taken.
      const lag = await log.lag(group, topic)
      const markers = await soundness.markers(group, topic)
      const held = new Map((await log.offsets(topic)).map(({ partition, earliest }) => [partition, earliest]))
      let left = 0
      for (const { partition, next } of partitions) {
        const from = Math.max((markers.get(partition) ?? -1) + 1, held.get(partition) ?? 0)
        const place = `${topic}/${partition}`
        const stoodStill = seen.get(place) === from
        seen.set(place, from)
        if (from >= next) continue
        // Reading costs; a partition that moves needs none.
        const first = stoodStill ? await firstLeft(topic, partition, from, next) : next
        if (first === null) continue
        stand = 'under way'
        left += next - first
      }
      if (left > lag) return 'lost'
    }
    return stand
  }
}
