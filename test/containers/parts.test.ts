import { GenericContainer, Wait } from 'testcontainers'
import { afterAll, test } from 'vitest'
import { redisRegistryAdapter } from '@aquifer/stores/conformance/adapters/redis'
import { registryConformance } from '@aquifer/stores/conformance/registry'
import { baseImage, build } from './docker.ts'

const given = await baseImage()
if ('missing' in given) test.skip(`containers: the conformance suites (${given.missing})`)
else {
  const redis = await new GenericContainer(await build('redis', given.base))
    .withCommand([
      'redis-server',
      '--protected-mode',
      'no',
      '--appendonly',
      'yes',
      '--maxmemory-policy',
      'noeviction',
    ])
    .withExposedPorts(6379)
    .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'))
    .start()
  afterAll(() => redis.stop())
  registryConformance(
    'redis in a container',
    redisRegistryAdapter(`redis://${redis.getHost()}:${redis.getMappedPort(6379)}`),
  )
}
