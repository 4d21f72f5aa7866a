import { afterAll, test } from 'vitest'
import { startRedis } from '@aquifer/infra/redis'
import { startTestPart } from '@aquifer/infra/test-part'
import type { RedisConnection } from '@aquifer/stores/redis'
import { createRedisWatchState } from '@aquifer/stores/watch-state-redis'
import { connectRedis, freshPlace } from './adapters/redis.ts'
import { watchStateConformance } from './watch-state.ts'

const redis = await startTestPart('redis', startRedis)
if ('missing' in redis) test.skip(`watch state: redis (${redis.missing})`)
else {
  afterAll(redis.stop)
  watchStateConformance('redis', async () => {
    const place = freshPlace(redis.part.url)
    const opened: RedisConnection[] = []
    return {
      async open() {
        const connection = await connectRedis(place)
        opened.push(connection)
        return createRedisWatchState(connection)
      },
      async close() {
        for (const connection of opened) await connection.close()
      },
    }
  })
}
