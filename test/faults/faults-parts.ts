import { open, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Fault, Stage } from './run-fault.ts'
import { eventually } from './wait.ts'
import { portOf, redisCommand } from './world.ts'
import type { World } from './world.ts'

const LIMIT_MS = 60_000
const BLOCK_BYTES = 64 * 1024

/** A file takes all the room there is on the small disk but so much; returns what removes it. */
async function fill({ smallDisk }: World, leaveBytes: number): Promise<() => Promise<void>> {
  const path = join(smallDisk!, 'filler')
  const { bavail, bsize } = await statfs(smallDisk!)
  const file = await open(path, 'w')
  try {
    for (let left = bavail * bsize - leaveBytes; left > 0; left -= BLOCK_BYTES)
      await file.write(Buffer.alloc(Math.min(left, BLOCK_BYTES)))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    await file.close()
  }
  return async () => await rm(path)
}

/** Calls of the connectors that failed and were repeated, as they count them. */
async function failures({ services }: World): Promise<number> {
  const connectors = [...services.values()].filter(({ name }) => name.startsWith('connector'))
  const counts = connectors.map(async ({ url }) => {
    const metrics = await (await fetch(`${url}/metrics`)).text()
    return Number(/^aquifer_dependency_failures_total\{[^}]*\} (\d+)/m.exec(metrics)?.[1] ?? 0)
  })
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
}

/** One process after another is replaced: the new one serves before the old one is told to go. */
async function roll({ world, load }: Stage): Promise<void> {
  for (const name of ['connector-1', 'connector-2', 'embedder-1', 'embedder-2', 'query-1']) {
    const old = world.services.get(name)!
    await world.start(name)
    await old.end('SIGTERM')
    await load.more(5)
  }
}

export const ofParts: readonly Fault[] = [
  {
    name: 'broker-restart',
    about: 'kill -9 of the broker, which comes back on its port and data',
    async run({ world, load }) {
      await world.kafka.kill()
      await load.aWhile()
      await world.kafka.restart()
    },
  },
  {
    name: 'redis-gone-and-back',
    about: 'kill -9 of Redis, which comes back with its append-only file',
    async run({ world, load }) {
      await world.redis.kill()
      await load.aWhile()
      await world.redis.restart()
    },
  },
  {
    name: 'redis-failover-lost-writes',
    about:
      'a replica of Redis misses writes, then the master dies and the replica is promoted: queries are refused until all is applied again',
    needs: { redisReplica: true },
    async run({ world, load }) {
      await redisCommand(world.replica!, 'REPLICAOF NO ONE')
      await load.more(40)
      await world.redis.kill()
      await redisCommand(world.replica!, 'REPLICAOF NO ONE')
      const refused = load.counts.failed.get('search 503') ?? 0
      world.redisAddress!.lead(portOf(world.replica!))
      await eventually(
        LIMIT_MS,
        'queries are refused',
        async () => (load.counts.failed.get('search 503') ?? 0) > refused,
      )
    },
  },
  {
    name: 'disk-full-blobs',
    about: 'the disk of the blobs is full (a tmpfs)',
    needs: { smallDisk: { of: 'blobs', sizeMb: 16 } },
    async run({ world, load }) {
      const free = await fill(world, 0)
      await load.aWhile()
      if ((await failures(world)) === 0) throw new Error('nothing was written while the disk was full')
      await free()
    },
  },
  {
    name: 'disk-full-broker',
    about: 'the disk of the broker is full (a tmpfs), so that it stops; it is started again with room',
    needs: { smallDisk: { of: 'kafka', sizeMb: 256 } },
    async run({ world, load }) {
      const free = await fill(world, 2 * BLOCK_BYTES)
      const broker = world.kafka.process!
      await eventually(LIMIT_MS, 'the broker stops', async () => broker.exitCode !== null)
      await load.aWhile()
      await free()
      await world.kafka.restart()
    },
  },
  {
    name: 'rolling-deploy',
    about: 'each process is replaced under load, one after another; SIGTERM ends the old one',
    run: roll,
  },
  {
    name: 'whole-site-restart',
    about: 'kill -9 of everything at once: broker, Redis, Qdrant and all services; all come back',
    async run({ world }) {
      const { kafka, redis, qdrant, services } = world
      const names = [...services.keys()]
      await Promise.all([...services.values()].map((each) => each.end('SIGKILL')))
      await Promise.all([kafka, redis, qdrant].map((part) => part.kill()))
      await Promise.all([kafka, redis, qdrant].map((part) => part.restart()))
      await Promise.all(names.map((name) => world.start(name)))
    },
  },
  {
    name: 'index-restart',
    about: 'kill -9 of Qdrant, which comes back on its port and data',
    async run({ world, load }) {
      await world.qdrant.kill()
      await load.aWhile()
      await world.qdrant.restart()
    },
  },
]
