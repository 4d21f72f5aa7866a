import { createHash } from 'node:crypto'
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ServiceName } from '@aquifer/cli/services'
import { startAddress } from '@aquifer/infra/address'
import type { Address } from '@aquifer/infra/address'
import { startKafka } from '@aquifer/infra/kafka'
import type { KafkaPart } from '@aquifer/infra/kafka'
import { PartMissing } from '@aquifer/infra/part'
import type { Part } from '@aquifer/infra/part'
import { startQdrant } from '@aquifer/infra/qdrant'
import { startRedis } from '@aquifer/infra/redis'
import { passTo, startGate } from './gate.ts'
import type { Gate } from './gate.ts'
import { startModelServer } from './model-server.ts'
import type { ModelServer } from './model-server.ts'
import { marksIn } from '../oracle/nonce.ts'
import { startService } from './service.ts'
import type { Service } from './service.ts'
import { eventually } from './wait.ts'

const run = promisify(execFile)
export const PARTITIONS = 4
export const TENANTS = ['acme', 'globex'] as const
/** Each with a key in each tenant; null is an admin's. */
export const GROUPS: readonly (readonly string[] | null)[] = [null, ['red'], ['blue'], []]
/** Each runs the service that its name begins with. */
const PROCESSES = ['connector-1', 'connector-2', 'embedder-1', 'embedder-2', 'query-1']

export interface WorldNeeds {
  /** A replica of Redis stands by, and an address leads to one of the two. */
  readonly redisReplica?: boolean
  /** The directory is a file system of its own, of so many MiB. */
  readonly smallDisk?: { readonly of: 'blobs' | 'kafka'; readonly sizeMb: number }
}

/** The real parts on loopback, and the services as processes on them. */
export interface World {
  readonly kafka: KafkaPart
  readonly redis: Part
  readonly replica: Part | null
  readonly qdrant: Part
  /** Before Qdrant and before the embedding model: every process asks through them. */
  readonly indexGate: Gate
  readonly model: ModelServer
  readonly redisAddress: Address | null
  readonly dataDir: string
  /** Where the small disk is mounted. */
  readonly smallDisk: string | null
  readonly services: Map<string, Service>
  /** Where the routes are. */
  door(): string
  /** Starts it, under a name that is free: a first one, another replica, or one that was ended. */
  start(name: string): Promise<Service>
  close(): Promise<void>
}

export function keyFor(tenant: string, groups: readonly string[] | null): string {
  return `key-${tenant}-${groups === null ? 'admin' : groups.join('-') || 'nobody'}`
}

/** Throws `PartMissing` where a part, or a disk of its own, cannot be had here. */
export async function startWorld(dir: string, needs: WorldNeeds): Promise<World> {
  const closers: (() => Promise<unknown>)[] = []
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    return await assemble(dir, needs, closers, close)
  } catch (error) {
    await close()
    throw error
  }
}

async function assemble(
  dir: string,
  needs: WorldNeeds,
  closers: (() => Promise<unknown>)[],
  close: () => Promise<void>,
): Promise<World> {
  const opened = async <T extends { stop(): Promise<unknown> }>(starting: Promise<T>): Promise<T> => {
    const part = await starting
    closers.push(() => part.stop())
    return part
  }
  const dataDir = join(dir, 'data')
  const kafkaDir = join(dir, 'kafka')
  const { smallDisk } = needs
  const mounted = smallDisk && { blobs: join(dataDir, 'blobs'), kafka: join(kafkaDir, 'data') }[smallDisk.of]
  if (mounted) closers.push(await mountSmall(mounted, smallDisk.sizeMb))
  const starting = [
    opened(startKafka({ dir: kafkaDir })),
    opened(startRedis({ dir: join(dir, 'redis') })),
    opened(startQdrant({ dir: join(dir, 'qdrant') })),
  ] as const
  // Where one fails, the others are there to be stopped.
  await Promise.allSettled(starting)
  const [kafka, redis, qdrant] = await Promise.all(starting)
  const replica = needs.redisReplica ? await opened(startReplica(join(dir, 'replica'), redis)) : null
  const redisAddress = replica ? await opened(startAddress(portOf(redis))) : null
  const indexGate = await opened(startGate(passTo(httpOf(qdrant))))
  const model = await opened(startModelServer((text) => marksIn([text]).length > 0))
  const env = {
    AQUIFER_DATA_DIR: dataDir,
    AQUIFER_PORT: '0',
    AQUIFER_LOG_LEVEL: 'info',
    AQUIFER_PARTITIONS: String(PARTITIONS),
    AQUIFER_EVENT_LOG: kafka.url,
    AQUIFER_STATE: redisAddress ? `redis://${redisAddress.host}` : redis.url,
    AQUIFER_SAMPLE_RATE: '0',
    AQUIFER_API_KEYS: await writeKeys(dir),
    MALLOC_ARENA_MAX: '2',
  }
  const services = new Map<string, Service>()
  let door = ''

  async function start(name: string): Promise<Service> {
    const running = [name.slice(0, name.indexOf('-')) as ServiceName]
    const own = {
      AQUIFER_VECTOR_INDEX: `qdrant://${indexGate.host}/${name}?timeoutMs=10000`,
      AQUIFER_EMBEDDER: `openai:http://${model.host}/${name}/v1?timeoutMs=5000#counted`,
    }
    const service = await startService({ name, services: running, env: { ...env, ...own }, logDir: dir })
    services.set(name, service)
    if (running.includes('query')) door = service.url
    return service
  }
  closers.push(async () => await Promise.all([...services.values()].map((each) => each.end('SIGKILL'))))
  await mkdir(dataDir, { recursive: true })
  const first = PROCESSES.map(start)
  await Promise.allSettled(first)
  await Promise.all(first)
  return {
    kafka,
    redis,
    replica,
    qdrant,
    indexGate,
    model,
    redisAddress,
    dataDir,
    smallDisk: mounted ?? null,
    services,
    door: () => door,
    start,
    close,
  }
}

async function writeKeys(dir: string): Promise<string> {
  const path = join(dir, 'keys.jsonl')
  const lines = TENANTS.flatMap((tenant) =>
    GROUPS.map((groups) => {
      const sha256 = createHash('sha256').update(keyFor(tenant, groups)).digest('hex')
      const roles = groups === null ? ['admin'] : []
      return `${JSON.stringify({ sha256, tenant, groups: groups ?? [], roles })}\n`
    }),
  )
  await writeFile(path, lines.join(''))
  return path
}

/** A tmpfs; returns what takes it away. */
async function mountSmall(path: string, sizeMb: number): Promise<() => Promise<void>> {
  await mkdir(path, { recursive: true })
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeMb}m`, 'tmpfs', path])
  } catch (cause) {
    throw new PartMissing('a small disk takes a tmpfs of its own, which only root can mount', { cause })
  }
  // Something may have a file of it open for a moment yet.
  return async () => void (await run('umount', ['-l', path]))
}

async function startReplica(dir: string, master: Part): Promise<Part> {
  const replica = await startRedis({ dir, settings: { replicaof: `127.0.0.1 ${portOf(master)}` } })
  await eventually(30_000, 'the replica is in step', async () =>
    (await redisCommand(replica, 'INFO replication')).includes('master_link_status:up'),
  )
  return replica
}

export function portOf({ url }: Part): number {
  return Number(new URL(url).port)
}

/** Of Qdrant, past the gate. */
export function httpOf({ url }: Part): string {
  return url.replace(/^qdrant(\+http)?:/, 'http:').replace(/^qdrant\+https:/, 'https:')
}

/** One command, past every client. */
export async function redisCommand(part: Part, command: string): Promise<string> {
  const { stdout } = await run('redis-cli', ['-p', String(portOf(part)), ...command.split(' ')], {
    timeout: 10_000,
  })
  return stdout
}
