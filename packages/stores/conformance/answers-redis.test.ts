import { afterAll, test } from 'vitest'
import { startRedis } from '@aquifer/infra/redis'
import { startTestPart } from '@aquifer/infra/test-part'
import { createRedisAnswers } from '@aquifer/stores/answers-redis'
import { connectRedis, freshPlace } from './adapters/redis.ts'
import { answersConformance } from './answers.ts'

const redis = await startTestPart('redis', startRedis)
if ('missing' in redis) test.skip(`answers: redis (${redis.missing})`)
else {
  afterAll(redis.stop)
  answersConformance('redis', async () => {
    const connection = await connectRedis(freshPlace(redis.part.url))
    return { answers: createRedisAnswers(connection), close: () => connection.close() }
  })
}
