import { afterAll, test } from 'vitest'
import { startRedis } from '@aquifer/infra/redis'
import { startTestPart } from '@aquifer/infra/test-part'
import { createRedisAnswers } from '@aquifer/stores/answers-redis'
import { connectRedis, freshPlace, redisRegistryAdapter } from './adapters/redis.ts'
import { answersConformance } from './answers.ts'
import { registryConformance } from './registry.ts'
import { command, until } from './soundness-world.ts'

// In cluster mode a server refuses a step whose keys lie in several hash slots, although it holds all of them.
const redis = await startTestPart('redis', async (options) => {
  const part = await startRedis({ ...options, settings: { 'cluster-enabled': 'yes' } })
  await command(part, 'CLUSTER ADDSLOTSRANGE 0 16383')
  await until('the cluster is up', async () =>
    (await command(part, 'CLUSTER INFO')).includes('cluster_state:ok'),
  )
  return part
})
if ('missing' in redis) test.skip(`redis in cluster mode (${redis.missing})`)
else {
  afterAll(redis.stop)
  registryConformance('redis in cluster mode', redisRegistryAdapter(redis.part.url))
  answersConformance('redis in cluster mode', async () => {
    const connection = await connectRedis(freshPlace(redis.part.url))
    return { answers: createRedisAnswers(connection), close: () => connection.close() }
  })
}
