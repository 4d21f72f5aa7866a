import type { Clock } from '@aquifer/runtime/clock'
import { assign } from './assign.ts'
import { type Lease, type Partition, startLease, within } from './lease.ts'
import type { LogStorage } from './log-storage.ts'
import type { BatchHandler, SubscribeOptions, Subscription } from './port.ts'

const STOP_DEADLINE_MS = 30_000
/** A handler that is still busy after this long loses its partition anyway, as on Kafka (`max.poll.interval.ms`). */
const REBALANCE_DEADLINE_MS = 60_000

export interface GroupOptions {
  readonly storage: LogStorage
  readonly clock: Clock
  readonly random: () => number
  /** The last member has left, and nothing of it goes on. */
  readonly onEmpty: () => void
}

export interface Group {
  join(partitions: readonly Partition[], options: SubscribeOptions, handler: BatchHandler): Subscription
  /** Records were appended to the partition. */
  wake(partition: Partition): void
}

interface Member {
  readonly options: SubscribeOptions
  readonly handler: BatchHandler
  readonly topics: ReadonlySet<string>
  paused: boolean
}

/** Where a partition is, and where it should be. `ending` is set while its lease is being taken back. */
interface Slot {
  readonly partition: Partition
  target: Member | null
  owner: { member: Member; lease: Lease } | null
  ending: Promise<void> | null
}

/**
 * One consumer group within this process (L4, L6).
 *
 *  R1  A partition's lease starts only after the one before it has ended.
 *  R2  Joining and leaving move only the partitions that must move; the others go on being delivered.
 */
export function createGroup(deps: GroupOptions): Group {
  const members: Member[] = []
  const slots = new Map<Partition, Slot>()

  function rebalance(deadlineMs: number): void {
    const current = new Map<Partition, Member>()
    for (const { partition, target } of slots.values()) if (target) current.set(partition, target)
    const wants = (member: Member, partition: Partition): boolean => member.topics.has(partition.topic)
    const targets = assign([...slots.keys()], members, wants, current)
    for (const slot of slots.values()) {
      slot.target = targets.get(slot.partition) ?? null
      settle(slot, deadlineMs)
    }
  }

  function settle(slot: Slot, deadlineMs: number): void {
    if (slot.ending || slot.owner?.member === slot.target) return
    if (slot.owner) slot.ending = release(slot, slot.owner.lease, deadlineMs)
    else if (slot.target) slot.owner = { member: slot.target, lease: lend(slot.partition, slot.target) }
  }

  async function release(slot: Slot, lease: Lease, deadlineMs: number): Promise<void> {
    await lease.revoke(deadlineMs)
    slot.owner = null
    slot.ending = null
    settle(slot, REBALANCE_DEADLINE_MS)
    retire()
  }

  /** Only when no lease is left may another group of this name begin. */
  function retire(): void {
    if (members.length === 0 && [...slots.values()].every(({ owner }) => !owner)) deps.onEmpty()
  }

  function lend(partition: Partition, member: Member): Lease {
    const { storage, clock, random } = deps
    const { options: subscription, handler } = member
    return startLease({
      partition,
      storage,
      clock,
      random,
      subscription,
      handler,
      paused: () => member.paused,
      readAhead: true,
    })
  }

  const ownedBy = (member: Member): Slot[] =>
    [...slots.values()].filter((slot) => slot.owner?.member === member)

  async function leave(member: Member, deadlineMs: number): Promise<void> {
    const index = members.indexOf(member)
    if (index >= 0) {
      members.splice(index, 1)
      rebalance(deadlineMs)
      retire()
    }
    const endings = ownedBy(member).map(async ({ ending }) => await ending)
    await within(Promise.all(endings), deadlineMs, deps.clock)
  }

  return {
    join(partitions, options, handler) {
      const member: Member = { options, handler, topics: new Set(options.topics), paused: false }
      for (const partition of partitions) {
        if (!slots.has(partition))
          slots.set(partition, { partition, target: null, owner: null, ending: null })
      }
      members.push(member)
      rebalance(REBALANCE_DEADLINE_MS)
      return {
        pause() {
          member.paused = true
        },
        resume() {
          member.paused = false
          for (const { owner } of ownedBy(member)) owner?.lease.wake()
        },
        assignment: () =>
          ownedBy(member)
            .filter(({ ending }) => !ending)
            .map(({ partition }) => ({ topic: partition.topic, partition: partition.partition })),
        stop: ({ deadlineMs = STOP_DEADLINE_MS } = {}) => leave(member, deadlineMs),
      }
    },
    wake: (partition) => slots.get(partition)?.owner?.lease.wake(),
  }
}
