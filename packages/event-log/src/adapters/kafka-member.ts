import type { Clock } from '@aquifer/runtime/clock'
import { AquiferError, errorMessage } from '@aquifer/runtime/errors'
import type { Logger } from '@aquifer/runtime/logger'
import { backoffMs } from '@aquifer/runtime/retry'
import type { Broker } from 'kafkajs/src/cluster/index.js'
import protocol from 'kafkajs/src/protocol/requests/index.js'
import { type Lease, startLease, within } from '../lease.ts'
import { found } from '../log-storage.ts'
import type { BatchHandler, SubscribeOptions, Subscription } from '../port.ts'
import {
  decodeAssignment,
  decodeClaim,
  encodeAssignment,
  encodeClaim,
  nameOf,
  shareOut,
  type TopicPartition,
} from './kafka-assignment.ts'
import { type KafkaClient, type KafkaTimings, typeOf } from './kafka-client.ts'
import { type Commits, createCommits, EXPELLED } from './kafka-commits.ts'
import { createFeed, type PartitionFeed } from './kafka-feed.ts'

const STOP_DEADLINE_MS = 30_000
/** A handler that is still busy after this long loses its partition anyway. */
const REBALANCE_DEADLINE_MS = 60_000
/** Members join again as soon as they hear of a rebalance, whatever their handlers do: who takes longer hangs. */
const JOIN_TIMEOUT_MS = 30_000
const MAX_PAUSE_MS = 1_000

export interface MemberDeps {
  /** This member's own connections: a join waits on the broker, and holds up what follows it. */
  readonly client: KafkaClient
  /** Those that commits take. */
  readonly control: KafkaClient
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger | null
  readonly timings: KafkaTimings
  readonly subscription: SubscribeOptions
  readonly handler: BatchHandler
  /** The first offset that is held. */
  readonly earliest: (topic: string, partition: number) => Promise<number>
}

/** A partition that this member was given. */
interface Owned {
  readonly at: TopicPartition
  readonly lease: Lease
  readonly feed: PartitionFeed
  readonly commits: Commits
  releasing: Promise<void> | null
  /** The group gave it to another, or may have. */
  lost: boolean
}

/**
 * A member of a consumer group: one Kafka group for each group of ours, whatever topics its members want.
 *
 *  M1  Heartbeats and joins go on beside the handlers, however long those take.
 *  M2  A rebalance takes back only what moves (`shareOut`): its handler may end and commit first, then the member joins
 *      again without it, and only then is it given to another.
 *  M3  A commit bears the group's generation, so the broker refuses it where the group has gone on without this member.
 *  M4  Who was expelled, or could not reach the broker for a session's length, gives everything up and joins anew, without end.
 *  M5  The group's leader looks for added partitions as often as metadata is renewed.
 */
export function joinGroup(deps: MemberDeps): Subscription {
  const { client, control, clock, random, logger, timings, subscription } = deps
  const { group } = subscription
  const owned = new Map<string, Owned>()
  const ended = new AbortController()
  let nap = new AbortController()
  let changed = Promise.withResolvers<void>()
  let memberId = ''
  let generation = -1
  let mustJoin = true
  let paused = false
  let stopping = false
  let failures = 0
  let heardAtMs = clock.now()
  /** Of the leader: how many partitions the topics had when they were shared out. */
  let counted = new Map<string, number>()

  const feed = createFeed(client, {
    clock,
    logger,
    fetchWaitMs: timings.fetchWaitMs,
    earliest: deps.earliest,
    paused: () => paused,
  })

  function rejoin(): void {
    mustJoin = true
    nap.abort()
  }

  function settled(): void {
    changed.resolve()
    changed = Promise.withResolvers<void>()
  }

  async function run(): Promise<void> {
    while (!ended.signal.aborted) {
      try {
        if (mustJoin) await join()
        else await beat()
        if (failures > 0) logger?.info({ group }, 'the group is reached again')
        failures = 0
        heardAtMs = clock.now()
        await rest(timings.heartbeatMs)
      } catch (error) {
        await recover(error)
      }
    }
  }

  async function rest(ms: number): Promise<void> {
    nap = new AbortController()
    if (!mustJoin && !ended.signal.aborted) await clock.sleep(ms, nap.signal).catch(() => {})
  }

  async function recover(failure: unknown): Promise<void> {
    const type = typeOf(failure)
    mustJoin ||= type === 'REBALANCE_IN_PROGRESS' || EXPELLED.has(type)
    // Only the group says that the name is gone: who takes a new one without need is waited for under the old one.
    if (type === 'UNKNOWN_MEMBER_ID') memberId = ''
    if (EXPELLED.has(type) || clock.now() - heardAtMs > timings.sessionTimeoutMs) startAnew()
    if (ended.signal.aborted || type === 'REBALANCE_IN_PROGRESS' || EXPELLED.has(type)) return
    client.forget()
    if (failures++ === 0)
      logger?.warn({ group, err: failure }, 'the group cannot be reached; it is tried again')
    nap = new AbortController()
    await clock.sleep(backoffMs(failures, random, 100, MAX_PAUSE_MS), nap.signal).catch(() => {})
  }

  function startAnew(): void {
    generation = -1
    mustJoin = true
    for (const one of owned.values()) {
      lose(one)
      void release(one, REBALANCE_DEADLINE_MS)
    }
    settled()
  }

  async function beat(): Promise<void> {
    await client.once(async () => {
      const broker = await client.coordinator(group)
      await broker.heartbeat({ groupId: group, memberId, groupGenerationId: generation })
    })
    for (const [topic, count] of counted) if ((await countOf(topic)) !== count) rejoin()
  }

  async function countOf(topic: string): Promise<number> {
    try {
      return (await client.once(() => client.leaders(topic))).length
    } catch (error) {
      if (error instanceof AquiferError && error.code === 'unknown_topic') return 0
      throw error
    }
  }

  async function join(): Promise<void> {
    mustJoin = false
    try {
      const broker = await client.once(() => client.coordinator(group))
      const joined = await client.once(() => askToJoin(broker), JOIN_TIMEOUT_MS + timings.callTimeoutMs)
      const leads = joined.leaderId === joined.memberId
      const groupAssignment = leads ? await lead(joined.members) : []
      if (!leads) counted = new Map()
      const { memberAssignment } = await client.once(() =>
        broker.syncGroup({ groupId: group, memberId, generationId: joined.generationId, groupAssignment }),
      )
      generation = joined.generationId
      apply(decodeAssignment(memberAssignment))
      settled()
    } catch (error) {
      mustJoin = true
      throw error
    }
  }

  async function askToJoin(broker: Broker) {
    const claim = {
      topics: stopping ? [] : subscription.topics,
      owned: [...owned.values()].filter(({ lost }) => !lost).map(({ at }) => at),
      generation,
    }
    const ask = async () =>
      await broker.connectionPool.send(
        protocol.requests.JoinGroup.protocol({ version: 5 })({
          groupId: group,
          memberId,
          sessionTimeout: timings.sessionTimeoutMs,
          rebalanceTimeout: JOIN_TIMEOUT_MS,
          protocolType: 'consumer',
          groupProtocols: [encodeClaim(claim)],
        }),
      )
    try {
      return await ask()
    } catch (error) {
      // A new member is told its name first, so that it can take back a join that it does not wait for.
      const { name, memberId: given } = error as { name?: string; memberId?: string }
      if (name !== 'KafkaJSMemberIdRequired' || given === undefined) throw error
      memberId = given
      return await ask()
    }
  }

  async function lead(members: readonly { memberId: string; memberMetadata: Buffer }[]) {
    const claims = new Map(members.map((one) => [one.memberId, decodeClaim(one.memberMetadata)]))
    const partitions: TopicPartition[] = []
    counted = new Map()
    for (const topic of new Set([...claims.values()].flatMap(({ topics }) => topics))) {
      const count = await countOf(topic)
      counted.set(topic, count)
      for (let partition = 0; partition < count; partition++) partitions.push({ topic, partition })
    }
    return [...shareOut(claims, partitions)].map(([memberId, share]) => ({
      memberId,
      memberAssignment: encodeAssignment(share),
    }))
  }

  function apply(assigned: readonly TopicPartition[]): void {
    const names = new Set(assigned.map(nameOf))
    for (const [name, one] of owned) if (!names.has(name)) void release(one, REBALANCE_DEADLINE_MS)
    if (stopping) return
    // One that is still being let go of comes back with the join that follows.
    for (const at of assigned) if (!owned.has(nameOf(at))) take(at)
  }

  function take(at: TopicPartition): void {
    const records = feed.open(at.topic, at.partition)
    const commits = createCommits(at, {
      group,
      client: control,
      clock,
      settleMs: timings.callTimeoutMs,
      membership: () => ({ memberId, generation, changed: changed.promise }),
    })
    const lease = startLease({
      // Where it ends, only the broker knows: reading waits there.
      partition: { id: 0, ...at, next: Infinity },
      storage: {
        read: async (_, position, limit, maxBytes) => found(await records.read(position, limit, maxBytes)),
        committed: async () => await commits.position(),
        commit: async (_group, _partition, next) => await commits.commit(next),
      },
      clock,
      random,
      subscription,
      handler: deps.handler,
      paused: () => paused,
      // The feed does.
      readAhead: false,
    })
    owned.set(nameOf(at), { at, lease, feed: records, commits, releasing: null, lost: false })
  }

  function release(one: Owned, deadlineMs: number): Promise<void> {
    return (one.releasing ??= letGo(one, deadlineMs))
  }

  function lose(one: Owned): void {
    one.lost = true
    one.commits.lose()
  }

  async function letGo(one: Owned, deadlineMs: number): Promise<void> {
    const revoked = one.lease.revoke(deadlineMs)
    one.feed.close()
    await revoked
    await one.commits.flushed()
    lose(one)
    owned.delete(nameOf(one.at))
    rejoin()
  }

  async function stop(deadlineMs: number): Promise<void> {
    stopping = true
    await within(Promise.all([...owned.values()].map((one) => release(one, deadlineMs))), deadlineMs, clock)
    for (const one of owned.values()) lose(one)
    owned.clear()
    ended.abort()
    nap.abort()
    settled()
    // Who cannot say goodbye is missed after its session.
    if (memberId !== '')
      await control
        .once(async () => (await control.coordinator(group)).leaveGroup({ groupId: group, memberId }))
        .catch((error: unknown) => logger?.debug({ group }, `the group was not left: ${errorMessage(error)}`))
    feed.close()
    await client.close()
    await running
  }

  const running = run()
  return {
    pause() {
      paused = true
    },
    resume() {
      paused = false
      for (const { lease } of owned.values()) lease.wake()
      feed.wake()
    },
    assignment: () => [...owned.values()].filter(({ releasing }) => !releasing).map(({ at }) => ({ ...at })),
    stop: ({ deadlineMs = STOP_DEADLINE_MS } = {}) => stop(deadlineMs),
  }
}
