import type { Clock } from '@aquifer/runtime/clock'
import { invalid } from '@aquifer/runtime/errors'
import type { TopicSpec } from '../port.ts'
import { type KafkaClient, typeOf } from './kafka-client.ts'
import { MAX_MESSAGE_BYTES } from './kafka-producer.ts'
import type { KafkaAddress } from './kafka-url.ts'

/** A resource of Kafka's DescribeConfigs. */
const TOPIC = 2
const BROKER_DEFAULT = -1
const CREATE_TIMEOUT_MS = 5_000
const POLL_MS = 50
/**
 * Tombstones are kept for ever (L8): a hundred years. Kafka adds it to the time of the day, and its largest number would
 * come out before it.
 */
const FOR_EVER_MS = 100 * 365 * 24 * 60 * 60 * 1000

type Address = Pick<KafkaAddress, 'replicationFactor' | 'minInsyncReplicas' | 'brokers'>

export interface KafkaTopics {
  ensure(specs: readonly TopicSpec[]): Promise<void>
  cleanup(topic: string): Promise<TopicSpec['cleanup']>
}

export function createTopics(client: KafkaClient, address: Address, clock: Clock): KafkaTopics {
  const policies = new Map<string, TopicSpec['cleanup']>()

  async function partitionsOf(topic: string): Promise<number> {
    try {
      return (await client.leaders(topic, 0)).length
    } catch (error) {
      if ((error as { code?: unknown }).code === 'unknown_topic') return 0
      throw error
    }
  }

  async function create(specs: readonly TopicSpec[]): Promise<void> {
    const topics = specs.map((spec) => ({
      topic: spec.name,
      numPartitions: spec.partitions,
      replicationFactor: address.replicationFactor ?? BROKER_DEFAULT,
      configEntries: [...configOf(spec, address)].map(([name, { value }]) => ({ name, value })),
    }))
    // One by one: an answer about several tells the first error alone.
    for (const topic of topics) {
      try {
        const broker = await client.anyBroker()
        await broker.createTopics({ topics: [topic], timeout: CREATE_TIMEOUT_MS })
      } catch (error) {
        const reason = reasonOf(error)
        // Another process was faster: what it made is checked.
        if (reason.type === 'TOPIC_ALREADY_EXISTS') continue
        if (
          [
            'INVALID_REPLICATION_FACTOR',
            'INVALID_CONFIG',
            'POLICY_VIOLATION',
            'INVALID_TOPIC_EXCEPTION',
          ].includes(reason.type)
        )
          throw invalid(
            'topic_mismatch',
            `the broker does not create topic ${topic.topic}: ${reason.message}`,
            400,
            error,
          )
        throw error
      }
    }
  }

  async function configsOf(names: readonly string[]): Promise<Map<string, Map<string, string>>> {
    const broker = await client.anyBroker()
    const wanted = [
      'cleanup.policy',
      'retention.ms',
      'message.timestamp.type',
      'max.message.bytes',
      'delete.retention.ms',
      'min.insync.replicas',
    ]
    const { resources } = await broker.describeConfigs({
      resources: names.map((name) => ({ type: TOPIC, name, configNames: wanted })),
    })
    return new Map(
      resources.map(({ resourceName, configEntries }) => [
        resourceName,
        new Map(configEntries.map(({ configName, configValue }) => [configName, configValue])),
      ]),
    )
  }

  async function ensure(specs: readonly TopicSpec[]): Promise<void> {
    if (specs.length === 0) return
    await client.call('create topics', async () => {
      const missing: TopicSpec[] = []
      for (const spec of specs) if ((await partitionsOf(spec.name)) === 0) missing.push(spec)
      await create(missing)
      // A broker hears of a new topic a moment later than the one that was asked.
      for (const { name } of missing) while ((await partitionsOf(name)) === 0) await clock.sleep(POLL_MS)
    })
    const configs = await client.call('check topics', () => configsOf(specs.map(({ name }) => name)))
    for (const spec of specs) {
      const partitions = (await client.call('check topics', () => client.leaders(spec.name))).length
      check(spec, partitions, configs.get(spec.name) ?? new Map(), address)
      policies.set(spec.name, spec.cleanup)
    }
  }

  async function cleanup(topic: string): Promise<TopicSpec['cleanup']> {
    const known = policies.get(topic)
    if (known) return known
    const configs = await client.call(`look up ${topic}`, () => configsOf([topic]))
    const policy = configs.get(topic)?.get('cleanup.policy')?.includes('compact') ? 'compact' : 'delete'
    policies.set(topic, policy)
    return policy
  }

  return { ensure, cleanup }
}

interface Setting {
  readonly value: string
  /** Whether what is there will do; the same value always does. */
  readonly suffices?: (there: number) => boolean
}

function configOf({ retentionMs, cleanup }: TopicSpec, { minInsyncReplicas }: Address): Map<string, Setting> {
  const config = new Map<string, Setting>([
    ['cleanup.policy', { value: cleanup }],
    ['message.timestamp.type', { value: 'LogAppendTime' }],
    [
      'max.message.bytes',
      { value: String(MAX_MESSAGE_BYTES), suffices: (there) => there >= MAX_MESSAGE_BYTES },
    ],
  ])
  if (cleanup === 'delete') config.set('retention.ms', { value: String(retentionMs ?? -1) })
  else
    config.set('delete.retention.ms', {
      value: String(FOR_EVER_MS),
      suffices: (there) => there >= FOR_EVER_MS,
    })
  if (minInsyncReplicas !== null)
    config.set('min.insync.replicas', {
      value: String(minInsyncReplicas),
      suffices: (there) => there >= minInsyncReplicas,
    })
  return config
}

/** Throws `topic_mismatch`, which says what is wrong and the command that mends it. */
function check(
  spec: TopicSpec,
  partitions: number,
  there: ReadonlyMap<string, string>,
  address: Address,
): void {
  if (partitions < spec.partitions)
    throw invalid(
      'topic_mismatch',
      `topic ${spec.name} exists with ${partitions} partitions, not ${spec.partitions}: adding some would move keys, so ` +
        `ask for ${partitions}, or use another topic`,
    )
  const wrong = [...configOf(spec, address)].filter(([name, { value, suffices }]) => {
    const found = there.get(name)
    return found !== value && !(found !== undefined && suffices?.(Number(found)))
  })
  if (wrong.length === 0) return
  const found = wrong.map(([name, { value }]) => `${name}=${there.get(name)} (not ${value})`)
  const mend = wrong.map(([name, { value }]) => `${name}=${value}`)
  throw invalid(
    'topic_mismatch',
    `topic ${spec.name} exists with ${found.join(', ')}. Where that is a mistake: kafka-configs.sh --bootstrap-server ` +
      `${address.brokers[0]} --alter --entity-type topics --entity-name ${spec.name} --add-config ${mend.join(',')}`,
  )
}

/** kafkajs gathers the errors of several topics. */
function reasonOf(error: unknown): { type: string; message: string } {
  const first: unknown = (error as { errors?: readonly unknown[] }).errors?.[0] ?? error
  return { type: typeOf(first), message: first instanceof Error ? first.message : String(first) }
}
