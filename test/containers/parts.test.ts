import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { GenericContainer, Wait } from 'testcontainers'
import { afterAll, test } from 'vitest'
import { eventLogConformance } from '@aquifer/event-log/conformance'
import { EAGER } from '@aquifer/event-log/conformance/kafka-broker'
import type { KafkaPlace } from '@aquifer/event-log/conformance/kafka-broker'
import { kafkaHarness } from '@aquifer/event-log/conformance/kafka-harness'
import { freePort } from '@aquifer/infra/free-port'
import { redisRegistryAdapter } from '@aquifer/stores/conformance/adapters/redis'
import { registryConformance } from '@aquifer/stores/conformance/registry'
import { baseImage, build } from './docker.ts'

const given = await baseImage()
if ('missing' in given) test.skip(`containers: the conformance suites (${given.missing})`)
else {
  const [kafka, redis] = await Promise.all([startKafka(given.base), startRedis(given.base)])
  eventLogConformance('kafka in a container', async () => kafkaHarness(kafka))
  registryConformance('redis in a container', redisRegistryAdapter(redis))
}

async function startRedis(base: string): Promise<string> {
  const settings = ['--protected-mode', 'no', '--appendonly', 'yes', '--maxmemory-policy', 'noeviction']
  const redis = await new GenericContainer(await build('redis', base))
    .withCommand(['redis-server', ...settings])
    .withExposedPorts(6379)
    .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'))
    .start()
  afterAll(() => redis.stop())
  return `redis://${redis.getHost()}:${redis.getMappedPort(6379)}`
}

/** The suite reads how far the broker's cleaner is, so its data lies in a directory of this machine. */
async function startKafka(base: string): Promise<KafkaPlace> {
  const port = await freePort()
  const dataDir = await mkdtemp(join(tmpdir(), 'aquifer-kafka-container-'))
  const { uid, gid } = userInfo()
  const settings = {
    ...EAGER,
    'node.id': '1',
    'process.roles': 'broker,controller',
    listeners: 'PLAINTEXT://:9092,CONTROLLER://:9093',
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'controller.quorum.voters': '1@localhost:9093',
    'auto.create.topics.enable': 'false',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
  }
  const variables = Object.entries(settings).map(([name, value]) => [
    `KAFKA_${name.replaceAll('.', '_').toUpperCase()}`,
    value,
  ])
  const kafka = await new GenericContainer(await build('kafka', base))
    .withUser(`${uid}:${gid}`)
    .withEnvironment({ ...Object.fromEntries(variables), CLUSTER_ID: 'YXF1aWZlci1rYWZrYS0wMQ' })
    .withBindMounts([{ source: dataDir, target: '/var/lib/kafka/data' }])
    .withExposedPorts({ container: 9092, host: port })
    .withWaitStrategy(Wait.forLogMessage('Kafka Server started'))
    .start()
  afterAll(async () => {
    await kafka.stop()
    await rm(dataDir, { recursive: true, force: true })
  })
  return { url: `kafka://127.0.0.1:${port}`, bootstrap: `127.0.0.1:${port}`, dataDir }
}
