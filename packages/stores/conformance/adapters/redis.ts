import { randomUUID } from 'node:crypto'
import { createLogger } from '@aquifer/runtime/logger'
import { openRedis } from '@aquifer/stores/redis'
import type { RedisConnection } from '@aquifer/stores/redis'
import { createRedisRegistry } from '@aquifer/stores/registry-redis'
import type { Registry } from '@aquifer/stores/registry'
import type { RegistryAdapter } from '../registry.ts'

export async function connectRedis(url: string): Promise<RedisConnection> {
  return await openRedis({ url, logger: createLogger('silent', 'test'), random: Math.random })
}

/** A place on the server that nothing else has written to. */
export function freshPlace(url: string): string {
  return `${url}?prefix=${randomUUID()}`
}

/** The registry as queries have it, on a server that was found whole. `url` is needed for new places alone. */
export function redisRegistryAdapter(url: string): RegistryAdapter {
  return {
    async fresh() {
      const location = freshPlace(url)
      const redis = await connectRedis(location)
      const { soundness } = createRedisRegistry(redis, { name: 'test' })
      await soundness.declareSound(await soundness.identity())
      await redis.close()
      return location
    },
    open(location) {
      const opening = connectRedis(location)
      const registry = opening.then((redis) => createRedisRegistry(redis, { name: 'test' }))
      return { registry: whenOpen(registry), close: async () => await (await opening).close() }
    },
    module: import.meta.url,
  }
}

export const registryAdapter = redisRegistryAdapter('')

/** What is called before it is open waits for that. */
function whenOpen(registry: Promise<Registry>): Registry {
  return new Proxy({} as Registry, {
    get:
      (_, name) =>
      async (...args: unknown[]) => {
        const target = await registry
        return await (Reflect.get(target, name) as (...args: unknown[]) => Promise<unknown>)(...args)
      },
  })
}
