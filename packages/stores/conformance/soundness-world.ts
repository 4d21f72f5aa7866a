import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { formatVersion } from '@aquifer/contracts/version'
import { createMemoryEventLog } from '@aquifer/event-log/memory'
import type { LogRecord, Subscription } from '@aquifer/event-log/port'
import { startAddress } from '@aquifer/infra/address'
import type { Part } from '@aquifer/infra/part'
import { startRedis } from '@aquifer/infra/redis'
import { systemClock } from '@aquifer/runtime/clock'
import type { Clock } from '@aquifer/runtime/clock'
import { createRedisRegistry } from '@aquifer/stores/registry-redis'
import { confirmCommits, establishSoundness } from '@aquifer/stores/registry-soundness'
import { connectRedis } from './adapters/redis.ts'
import { visible } from './registry-values.ts'

export const TOPIC = 'documents'
export const GROUP = 'fillers'
const STAGES = [{ group: GROUP, topics: [TOPIC] }]

/** Pauses are shortened, so that no test sits them out. */
const clock: Clock = { now: () => Date.now(), sleep: (ms, signal) => systemClock.sleep(ms / 20, signal) }

/** A server, its replica, an address that leads to the first of them, and a consumer that fills a registry behind it. */
export async function startWorld(dir: string, options = '') {
  const master = await startRedis({ dir: join(dir, 'master') })
  const masterPort = new URL(master.url).port
  const replica = await startRedis({
    dir: join(dir, 'replica'),
    settings: { replicaof: `127.0.0.1 ${masterPort}` },
  })
  await until('the replica is in step', async () => (await info(replica)).includes('master_link_status:up'))
  const address = await startAddress(Number(masterPort))
  const redis = await connectRedis(`redis://${address.host}${options}`)
  const registry = createRedisRegistry(redis, { name: 'test' })
  const log = createMemoryEventLog({ clock, maintainEveryMs: null })
  await log.ensureTopics([{ name: TOPIC, partitions: 2, retentionMs: null, cleanup: 'compact' }])

  /** Documents in the order of their processing. */
  const processed: string[] = []
  /** Awaited in the midst of a batch. */
  let midst = async (): Promise<void> => {}
  let subscription: Subscription | null = null
  const stopping = new AbortController()

  async function apply(record: LogRecord): Promise<void> {
    const id = record.key!.toString()
    const version = formatVersion(record)
    if (record.value === null) await registry.applying.raiseFloor('acme', id, version)
    else await registry.applying.flip('acme', id, visible(1, { version }))
    processed.push(id)
  }

  async function consume(): Promise<void> {
    subscription = await confirmCommits(log, registry.soundness).subscribe(
      { group: GROUP, topics: [TOPIC], maxBatchRecords: 1 },
      async (batch) => {
        for (const record of batch.records) await apply(record)
        await midst()
        await batch.commit(batch.records.at(-1)!.offset)
      },
    )
  }

  return {
    master,
    replica,
    registry,
    log,
    processed,
    consume,
    inTheMidst: (wait: () => Promise<void>) => void (midst = wait),
    subscription: () => subscription!,
    /** Appends a document, or its deletion; returns its version. */
    async append(id: string, value: string | null = id): Promise<string> {
      const [position] = await log.append(TOPIC, [
        { key: id, value: value === null ? null : Buffer.from(value) },
      ])
      return formatVersion({ ...position!, topic: TOPIC })
    },
    consumed: async () => await until('all is consumed', async () => (await log.lag(GROUP, TOPIC)) === 0),
    establish: async (prepared?: { group: string; topic: string }) =>
      await establishSoundness({
        log,
        soundness: registry.soundness,
        ...(prepared && { prepared }),
        stages: STAGES,
        clock,
        signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(20_000)]),
      }),
    /** From now on the replica, which has all so far, gets nothing more of what the server writes. */
    async cutReplica() {
      const written = offsetOf(await info(master), 'master_repl_offset')
      // A server holds the stream back until a new replica has reported, up to a second later.
      await until(
        'the replica has it all',
        async () => offsetOf(await info(replica), 'slave_repl_offset') >= written,
      )
      await command(replica, 'REPLICAOF NO ONE')
    },
    /** The server dies, and the replica has its address. */
    async failOver() {
      await master.kill()
      await command(replica, 'REPLICAOF NO ONE')
      address.lead(Number(new URL(replica.url).port))
      await this.answering()
    },
    answering: async () =>
      await until('redis answers', async () => {
        try {
          await registry.ping()
          return true
        } catch {
          return false
        }
      }),
    async close() {
      stopping.abort()
      await subscription?.stop({ deadlineMs: 0 })
      await log.close()
      await redis.close()
      await address.stop()
      await replica.stop()
      await master.stop()
    },
  }
}

export type World = Awaited<ReturnType<typeof startWorld>>

export async function until(what: string, probe: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + 15_000
  while (!(await probe())) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** One command to a server, past everything that is tested. */
export async function command(part: Part, line: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(part.url).port) })
  socket.write(`${line}\r\n`)
  const [reply] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return reply.toString()
}

function offsetOf(replication: string, name: string): number {
  return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(replication)?.[1])
}

async function info(part: Part): Promise<string> {
  return await command(part, 'INFO replication')
}
