import type { Clock } from '@aquifer/runtime/clock'
import { invalid, unavailable } from '@aquifer/runtime/errors'
import { backoffMs } from '@aquifer/runtime/retry'
import type { Found, LogStorage, PartitionRef } from './log-storage.ts'
import type { BatchHandler, LogRecord, SubscribeOptions } from './port.ts'

/** A partition, and the offset that its next record will get. */
export interface Partition extends PartitionRef {
  next: number
}

export interface LeaseOptions {
  readonly partition: Partition
  readonly storage: Pick<LogStorage, 'read' | 'committed' | 'commit'>
  readonly clock: Clock
  readonly random: () => number
  readonly subscription: SubscribeOptions
  readonly handler: BatchHandler
  readonly paused: () => boolean
  /** Whether a full batch that waits already is read while the handler has the one before it. */
  readonly readAhead: boolean
}

/** A batch that was asked for, and where the partition ended then. */
interface Reading {
  readonly found: Promise<Found>
  readonly end: number
}

export interface Lease {
  /** Looks again: records were appended, or the subscription was resumed. */
  wake(): void
  /** Ends it: aborts the batches, waits for the handler under way, at most `deadlineMs`. Commits are refused from then on. */
  revoke(deadlineMs: number): Promise<void>
}

/** Deliveries from one starting point: they end together, when a handler throws. */
interface Run {
  readonly batches: AbortController
  failed: boolean
}

const newRun = (): Run => ({ batches: new AbortController(), failed: false })

/**
 * Delivers one partition to one member, from the group's commit on, one batch at a time (L3, L4, L5, L9).
 *
 *  E1  A batch can be committed while its lease lasts and no later handler of its run has thrown.
 *  E2  Every run starts at the group's commit as the storage has it, so commits under way when it ended count.
 *  E3  Nothing is polled: a lease with nothing to deliver waits to be woken.
 */
export function startLease(options: LeaseOptions): Lease {
  const { partition, storage, clock, subscription } = options
  const { group, maxBatchRecords = 64, maxBatchBytes = 4 * 1024 * 1024 } = subscription
  const revoked = new AbortController()
  let run = newRun()
  let ended = false
  let wake = (): void => {}
  let attempt = 0
  /** The last offset handed out so far. */
  let furthest = -1

  const lost = (): Error =>
    unavailable(
      'partition_lost',
      `group ${group} took ${partition.topic}/${partition.partition} back: what was not committed is delivered again`,
    )

  async function commit(of: Run, last: number, offset: number): Promise<void> {
    if (ended || of.failed) throw lost()
    if (!Number.isSafeInteger(offset) || offset > last)
      throw invalid('commit_out_of_range', `offset ${offset} is past the batch, which ends at ${last}`)
    await storage.commit(group, partition, offset + 1)
  }

  function read(position: number): Reading {
    const found = storage.read(partition, position, maxBatchRecords, maxBatchBytes)
    // Whoever waits for it is told.
    found.catch(() => {})
    return { found, end: partition.next }
  }

  async function deliver(of: Run): Promise<void> {
    let position = (await storage.committed(group, partition)) ?? 0
    let ahead: Reading | null = null
    while (!revoked.signal.aborted) {
      if (options.paused() || position >= partition.next) {
        await new Promise<void>((resolve) => (wake = resolve))
        continue
      }
      const reading: Reading = ahead ?? read(position)
      ahead = null
      const found = await reading.found
      if (revoked.signal.aborted || options.paused()) continue
      const { last } = found
      const from = position
      // Retention may have left nothing before the end.
      position = last === null ? reading.end : last + 1
      if (last === null) continue
      if (options.readAhead && partition.next - position >= maxBatchRecords) ahead = read(position)
      const records = await found.records()
      if (revoked.signal.aborted || options.paused()) {
        position = from
        ahead = null
        continue
      }
      await hand(of, records, last)
    }
  }

  async function hand(of: Run, records: readonly LogRecord[], last: number): Promise<void> {
    furthest = Math.max(furthest, last)
    await options.handler({
      topic: partition.topic,
      partition: partition.partition,
      records,
      signal: of.batches.signal,
      commit: (offset) => commit(of, last, offset),
    })
    // A run that repeats what went before the failure is no success yet.
    if (last >= furthest) attempt = 0
  }

  function report(error: unknown): void {
    try {
      subscription.onError?.(error, { topic: partition.topic, partition: partition.partition, attempt })
    } catch {
      // A reporter that throws must not end the delivery it reports on.
    }
  }

  async function deliverUntilRevoked(): Promise<void> {
    while (!revoked.signal.aborted) {
      const current = newRun()
      run = current
      try {
        await deliver(current)
      } catch (error) {
        if (revoked.signal.aborted) return
        current.failed = true
        current.batches.abort(lost())
        attempt++
        report(error)
        await clock.sleep(backoffMs(attempt, options.random), revoked.signal).catch(() => {})
      }
    }
  }
  const finished = deliverUntilRevoked()

  return {
    wake: () => wake(),
    async revoke(deadlineMs) {
      revoked.abort()
      run.batches.abort(lost())
      wake()
      await within(finished, deadlineMs, clock)
      ended = true
    },
  }
}

/** Waits for `work`, at most `deadlineMs`. */
export async function within(work: Promise<unknown>, deadlineMs: number, clock: Clock): Promise<void> {
  const timer = new AbortController()
  await Promise.race([work, clock.sleep(deadlineMs, timer.signal).catch(() => {})])
  timer.abort()
}
