import { afterAll, test } from 'vitest'
import { startRedis } from '@aquifer/infra/redis'
import { startTestPart } from '@aquifer/infra/test-part'
import { redisRegistryAdapter } from './adapters/redis.ts'
import { registryConformance } from './registry.ts'

const redis = await startTestPart('redis', startRedis)
if ('missing' in redis) test.skip(`registry: redis (${redis.missing})`)
else {
  afterAll(redis.stop)
  registryConformance('redis', redisRegistryAdapter(redis.part.url))
}
