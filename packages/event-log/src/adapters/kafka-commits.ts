import type { Clock } from '@aquifer/runtime/clock'
import { AquiferError, unavailable } from '@aquifer/runtime/errors'
import { within } from '../lease.ts'
import type { TopicPartition } from './kafka-assignment.ts'
import { type KafkaClient, typeOf } from './kafka-client.ts'

/** The group goes on without the member that asked. */
export const EXPELLED = new Set(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION'])

/** Who commits, as the group knows it now. */
export interface Membership {
  readonly memberId: string
  readonly generation: number
  /** Resolves when the group has settled anew. */
  readonly changed: Promise<void>
}

/** What the group has committed of one partition, as long as one member owns it. */
export interface Commits {
  /** Where the group goes on; 0 where it has no commit. */
  position(): Promise<number>
  /** `next` is the offset to go on at; one below what was committed changes nothing. Rejects with `partition_lost`. */
  commit(next: number): Promise<void>
  /** Resolves when no commit is under way. */
  flushed(): Promise<void>
  /** The partition may be another's: nothing more is committed. */
  lose(): void
}

export function createCommits(
  at: TopicPartition,
  deps: { group: string; client: KafkaClient; clock: Clock; settleMs: number; membership: () => Membership },
): Commits {
  const { group, client, clock } = deps
  const { topic, partition } = at
  let committed: number | null = null
  let wanted = 0
  let flushing: Promise<void> | null = null
  let lost = false

  const refusal = (cause?: unknown): AquiferError =>
    unavailable(
      'partition_lost',
      `group ${group} took ${topic}/${partition} back: what was not committed is delivered again`,
      cause,
    )

  async function send(next: number, { memberId, generation }: Membership): Promise<void> {
    await client.call(`commit ${topic}/${partition}`, async () => {
      const broker = await client.coordinator(group)
      const topics = [{ topic, partitions: [{ partition, offset: String(next) }] }]
      try {
        await broker.offsetCommit({ groupId: group, memberId, groupGenerationId: generation, topics })
      } catch (error) {
        const type = typeOf(error)
        throw EXPELLED.has(type) || type === 'REBALANCE_IN_PROGRESS' ? refusal(error) : error
      }
    })
  }

  async function flush(): Promise<void> {
    const next = wanted
    for (;;) {
      if (lost) throw refusal()
      const used = deps.membership()
      try {
        await send(next, used)
        committed = next
        return
      } catch (error) {
        if (!(error instanceof AquiferError) || error.code !== 'partition_lost') throw error
        // Between two generations neither counts. Whether the partition is still this member's shows when the group has settled.
        const isStale = (): boolean => deps.membership().generation !== used.generation
        if (!isStale()) await within(used.changed, deps.settleMs, clock)
        if (!isStale()) throw error
      }
    }
  }

  async function flushed(): Promise<void> {
    await flushing?.catch(() => {})
  }

  return {
    flushed,
    async position() {
      await flushed()
      return (committed ??= await client.call(`read the commit of ${topic}/${partition}`, async () => {
        const broker = await client.coordinator(group)
        const topics = [{ topic, partitions: [{ partition }] }]
        const { responses } = await broker.offsetFetch({ groupId: group, topics })
        // -1 where there is none.
        return Math.max(0, Number(responses[0]!.partitions[0]!.offset))
      }))
    },
    /** Calls that come while a commit is under way share the next one. */
    async commit(next) {
      wanted = Math.max(wanted, next)
      while ((committed ?? 0) < next) await (flushing ??= flush().finally(() => (flushing = null)))
    },
    lose() {
      lost = true
    },
  }
}
