import { afterAll, test } from 'vitest'
import { startRedis } from '@aquifer/infra/redis'
import { startTestPart } from '@aquifer/infra/test-part'
import { createRedisCache } from '@aquifer/stores/cache-redis'
import { connectRedis, freshPlace } from './adapters/redis.ts'
import { cacheConformance } from './cache.ts'

const HOUR_MS = 3_600_000

const redis = await startTestPart('redis', startRedis)
if ('missing' in redis) test.skip(`cache: redis (${redis.missing})`)
else {
  afterAll(redis.stop)
  cacheConformance('redis', async () => {
    const connection = await connectRedis(freshPlace(redis.part.url))
    // Ahead of the server, which so expires nothing by itself; what is over by this time goes when it is put forward.
    let nowMs = Date.now() + HOUR_MS
    const clock = { now: () => nowMs, sleep: async () => {} }
    return {
      cache: createRedisCache(connection, { clock }),
      async advance(ms) {
        nowMs += ms
        await connection.as('state_unavailable').run(async (client) => {
          const keys = await client.keys(`${connection.prefix}:*`)
          for (const key of keys) if ((await client.pexpiretime(key)) <= nowMs) await client.del(key)
        })
      },
      close: () => connection.close(),
    }
  })
}
