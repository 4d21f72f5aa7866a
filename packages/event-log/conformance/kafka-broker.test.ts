import { randomBytes, randomUUID } from 'node:crypto'
import { runKafkaTool } from '@aquifer/infra/kafka'
import { systemClock } from '@aquifer/runtime/clock'
import { Kafka, logLevel, Partitioners } from 'kafkajs'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { createClient } from '../src/adapters/kafka-client.ts'
import { type KafkaOptions, openKafkaEventLog } from '../src/adapters/kafka.ts'
import { parseKafkaUrl } from '../src/adapters/kafka-url.ts'
import type { Batch, EventLog, LogRecord, TopicSpec } from '../src/port.ts'
import { collector, commitAll, keyPerPartition, numbered, record, textOf } from './context.ts'
import { adminOf, startTestKafka } from './kafka-broker.ts'

const TIMINGS = {
  callTimeoutMs: 2_000,
  metadataMaxAgeMs: 300,
  heartbeatMs: 50,
  sessionTimeoutMs: 6_000,
  fetchWaitMs: 20,
}
const LOGIN = { user: 'alice', password: 'sécret/@:' }
const DEADLINE = { timeout: 40_000, interval: 20 }

const warnings: string[] = []
process.on('warning', ({ name }) => warnings.push(name))

const kafka = await startTestKafka(LOGIN)
if ('missing' in kafka) test.skip(`kafka: a broker of its own (${kafka.missing})`)
else {
  const { part } = kafka
  const admin = adminOf(part)
  const opened: EventLog[] = []
  afterAll(async () => {
    await Promise.all(opened.map((log) => log.close()))
    await admin.disconnect()
    await kafka.stop()
  })

  const open = async (options: Partial<KafkaOptions> = {}): Promise<EventLog> => {
    const log = await openKafkaEventLog({ url: part.url, clock: systemClock, timings: TIMINGS, ...options })
    opened.push(log)
    return log
  }
  const create = async (log: EventLog, spec: Partial<TopicSpec> = {}): Promise<string> => {
    const name = `test.${randomUUID()}`
    await log.ensureTopics([{ name, partitions: 1, retentionMs: null, cleanup: 'delete', ...spec }])
    return name
  }
  const until = async (holds: () => boolean | Promise<boolean>, what: string): Promise<void> =>
    await vi.waitFor(async () => {
      if (!(await holds())) throw new Error(`not in time: ${what}`)
    }, DEADLINE)
  /** A client that nobody here wrote the settings of. */
  const foreign = new Kafka({ brokers: [part.bootstrap], logLevel: logLevel.NOTHING })

  describe('kafka: the broker goes away and comes back', () => {
    test('restart: nothing that was acknowledged is lost, each lies once where the log said, and the group goes on by itself', async () => {
      const log = await open()
      const topic = await create(log, { partitions: 3 })
      const keys = keyPerPartition(3)
      const { records, handler } = collector()
      await log.subscribe({ group: randomUUID(), topics: [topic] }, handler)
      const placed = new Map<string, { partition: number; offset: number }>()
      let refused = 0
      const stopping = new AbortController()
      const writers = keys.map(async (key) => {
        for (let n = 0; !stopping.signal.aborted; n++) {
          const value = `${key}/${n}`
          try {
            const [position] = await log.append(topic, [record(key, value)])
            placed.set(value, position!)
          } catch (error) {
            expect(error).toMatchObject({ code: 'log_unavailable', retryable: true })
            refused++
          }
        }
      })
      await until(() => placed.size > 60, 'some are written')
      await part.kill()
      const begunMs = Date.now()
      await expect(log.append(topic, numbered('key', 1))).rejects.toMatchObject({ code: 'log_unavailable' })
      expect(Date.now() - begunMs).toBeLessThan(3 * TIMINGS.callTimeoutMs)
      await expect(log.ping()).rejects.toMatchObject({ code: 'log_unavailable', retryable: true })
      await part.restart()
      const before = placed.size
      await until(() => placed.size > before + 60, 'writing goes on')
      stopping.abort()
      await Promise.all(writers)
      expect(refused).toBeGreaterThan(0)
      await until(() => {
        const seen = new Set(records.map(textOf))
        return [...placed.keys()].every((value) => seen.has(value))
      }, 'all that was acknowledged is delivered')
      for (const { partition } of await log.offsets(topic)) {
        const held = new Map((await readAll(log, topic, partition)).map((one) => [one.offset, textOf(one)]))
        for (const [value, position] of placed)
          if (position.partition === partition) expect(held.get(position.offset)).toBe(value)
      }
    }, 90_000)

    test('hang: a broker that answers nothing holds up no call for ever, and all goes on when it answers again', async () => {
      const log = await open()
      const topic = await create(log)
      const group = randomUUID()
      const { records, handler } = collector()
      await log.subscribe({ group, topics: [topic] }, handler)
      await log.append(topic, [record('key', 'before')])
      await until(() => records.length === 1, 'delivered')
      part.process!.kill('SIGSTOP')
      const begunMs = Date.now()
      const gone = { code: 'log_unavailable', retryable: true }
      await Promise.all([
        expect(log.append(topic, [record('key', 'lost?')])).rejects.toMatchObject(gone),
        expect(log.read(topic, 0, 0, 1)).rejects.toMatchObject(gone),
        expect(log.lag(group, topic)).rejects.toMatchObject(gone),
        expect(log.ping()).rejects.toMatchObject(gone),
      ])
      expect(Date.now() - begunMs).toBeLessThan(3 * TIMINGS.callTimeoutMs)
      part.process!.kill('SIGCONT')
      await until(
        async () => await log.append(topic, [record('key', 'after')]).then(Boolean, () => false),
        'appended',
      )
      await until(() => records.some((one) => textOf(one) === 'after'), 'delivered again')
    }, 60_000)

    test('open: without a broker every call says so, in bounded time', async () => {
      const log = await open({
        url: 'kafka://127.0.0.1:1,127.0.0.1:2',
        timings: { ...TIMINGS, callTimeoutMs: 300 },
      })
      const gone = { code: 'log_unavailable', retryable: true }
      await expect(log.append('topic', numbered('key', 1))).rejects.toMatchObject(gone)
      await expect(log.read('topic', 0, 0, 1)).rejects.toMatchObject(gone)
      await expect(log.subscribe({ group: 'g', topics: ['topic'] }, async () => {})).rejects.toMatchObject(
        gone,
      )
      await expect(log.ping()).rejects.toMatchObject(gone)
    })
  })

  describe('kafka: who may come in', () => {
    const { bootstrap, caFile } = part.secure!
    const url = (login: string, more: string): string =>
      `kafka+ssl://${login}@${bootstrap}?ca=${encodeURIComponent(caFile)}${more}`
    const login = [LOGIN.user, LOGIN.password].map(encodeURIComponent).join(':')

    test.each(['plain', 'scram-sha-256', 'scram-sha-512'])('login: %s over TLS', async (mechanism) => {
      const log = await open({ url: url(login, `&mechanism=${mechanism}`) })
      const topic = await create(log)
      await log.append(topic, numbered('key', 3))
      const { records, handler } = collector()
      await log.subscribe({ group: randomUUID(), topics: [topic] }, handler)
      await until(() => records.length === 3, 'delivered')
    })

    test('login: a wrong password and an unknown authority are told as what they are', async () => {
      // The broker takes its time to refuse; the answer is what counts here.
      const timings = { ...TIMINGS, callTimeoutMs: 20_000 }
      const wrong = await open({ url: url('alice:wrong', ''), timings })
      await expect(wrong.ping()).rejects.toThrow(/authentication failed/i)
      const stranger = await open({ url: `kafka+ssl://${login}@${bootstrap}`, timings })
      await expect(stranger.ping()).rejects.toThrow(/certificate/)
    })
  })

  describe('kafka: groups', () => {
    test('partitions added while it runs: no record of theirs is skipped, and appends use them', async () => {
      const log = await open()
      const topic = await create(log)
      const { records, handler } = collector()
      const subscription = await log.subscribe({ group: randomUUID(), topics: [topic] }, handler)
      await log.append(topic, numbered('key', 3))
      await until(() => records.length === 3, 'the first partition')
      await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] })
      const producer = foreign.producer({ createPartitioner: Partitioners.DefaultPartitioner })
      await producer.connect()
      await producer.send({ topic, messages: [{ partition: 3, key: 'early', value: 'early' }] })
      await producer.disconnect()
      await until(() => records.some((one) => textOf(one) === 'early'), 'what came before the group looked')
      expect(subscription.assignment()).toHaveLength(4)
      await until(async () => {
        const keys = keyPerPartition(4)
        const positions = await log.append(
          topic,
          keys.map((key) => record(key, 'late')),
        )
        return new Set(positions.map(({ partition }) => partition)).size === 4
      }, 'appends use all four')
    })

    test('partitions added while it runs: they are read, and counted, by whoever knew fewer a moment ago', async () => {
      const log = await open({ timings: { ...TIMINGS, metadataMaxAgeMs: 600_000 } })
      const topic = await create(log)
      await log.append(topic, numbered('key', 1))
      expect(await log.offsets(topic)).toHaveLength(1)
      await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
      const producer = foreign.producer({ createPartitioner: Partitioners.DefaultPartitioner })
      await producer.connect()
      await producer.send({ topic, messages: [{ partition: 2, key: 'new', value: 'new' }] })
      await producer.disconnect()
      expect((await log.read(topic, 2, 0, 1)).map(textOf)).toEqual(['new'])
      await expect(log.read(topic, 3, 0, 1)).rejects.toMatchObject({ code: 'unknown_partition' })
      await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] })
      await until(async () => (await log.offsets(topic)).length === 4, 'all are counted')
    })

    test('members of one group with different topics: each is handed its own', async () => {
      const [one, two] = [await open(), await open()]
      const group = randomUUID()
      const topics = [await create(one, { partitions: 3 }), await create(one, { partitions: 2 })] as const
      const shared = await create(one, { partitions: 2 })
      const seen: Record<string, Set<string>> = { one: new Set(), two: new Set() }
      const join = async (log: EventLog, name: string, own: string) =>
        await log.subscribe({ group, topics: [own, shared] }, async (batch) => {
          seen[name]!.add(batch.topic)
          await commitAll(batch)
        })
      const members = [await join(one, 'one', topics[0]), await join(two, 'two', topics[1])] as const
      await until(
        () =>
          members.flatMap((member) => member.assignment()).length === 7 &&
          members[1].assignment().length >= 3,
        'all assigned',
      )
      for (const topic of [...topics, shared])
        await one.append(
          topic,
          keyPerPartition(3).map((key) => record(key, '0')),
        )
      for (const topic of [...topics, shared])
        await until(async () => (await one.lag(group, topic)) === 0, 'no lag')
      expect(seen['one']!.has(topics[1]) || seen['two']!.has(topics[0])).toBe(false)
    })

    test('rebalance: what stays is delivered and committed without a break', async () => {
      const log = await open()
      const group = randomUUID()
      const topic = await create(log, { partitions: 2 })
      const held: Batch[] = []
      const first = await log.subscribe({ group, topics: [topic] }, async (batch) => void held.push(batch))
      await log.append(
        topic,
        keyPerPartition(2).map((key) => record(key, '0')),
      )
      await until(() => held.length === 2, 'both delivered')
      const second = await log.subscribe({ group, topics: [topic] }, async () => {})
      await until(() => second.assignment().length === 1 && first.assignment().length === 1, 'shared')
      const kept = held.find(({ partition }) => partition === first.assignment()[0]!.partition)!
      expect(kept.signal.aborted).toBe(false)
      await commitAll(kept)
      expect(await log.lag(group, topic)).toBe(1)
    })

    test('expelled: a member that the group has put out gives up, joins anew, and gets what it had not committed', async () => {
      const log = await open()
      const group = randomUUID()
      const topic = await create(log)
      await log.append(topic, numbered('key', 2))
      const held: Batch[] = []
      await log.subscribe({ group, topics: [topic] }, async (batch) => void held.push(batch))
      await until(() => held.length === 1, 'delivered')
      const { groups } = await admin.describeGroups([group])
      const client = createClient({
        address: parseKafkaUrl(part.url),
        clock: systemClock,
        logger: null,
        timings: TIMINGS,
      })
      const coordinator = await client.coordinator(group)
      await coordinator.leaveGroup({ groupId: group, memberId: groups[0]!.members[0]!.memberId })
      await client.close()
      await until(() => held.length === 2, 'delivered again')
      expect(held[0]!.signal.aborted).toBe(true)
      await expect(commitAll(held[0]!)).rejects.toMatchObject({ code: 'partition_lost', retryable: true })
      await commitAll(held[1]!)
      expect(await log.lag(group, topic)).toBe(0)
    })
  })

  describe('kafka: records of other clients', () => {
    test('compression: gzip, snappy, lz4 and zstd of Java’s producer are read', async () => {
      const log = await open()
      const topic = await create(log, { cleanup: 'compact' })
      const codecs = ['gzip', 'snappy', 'lz4', 'zstd']
      const lines = (codec: string): string[] =>
        Array.from({ length: 200 }, (_, n) => `${codec}-${n}\t${codec} `.padEnd(300, `${n} `))
      for (const codec of codecs) {
        const args = ['--bootstrap-server', part.bootstrap, '--topic', topic, '--compression-codec', codec]
        await runKafkaTool(
          'org.apache.kafka.tools.ConsoleProducer',
          [...args, '--property', 'parse.key=true'],
          `${lines(codec).join('\n')}\n`,
        )
      }
      const found = (await readAll(log, topic, 0)).map(({ key, value }) => `${String(key)}\t${String(value)}`)
      expect(found).toEqual(codecs.flatMap(lines))
    }, 60_000)

    test('headers that are no text, and several of one name, do no harm', async () => {
      const log = await open()
      const topic = await create(log)
      const producer = foreign.producer({ createPartitioner: Partitioners.DefaultPartitioner })
      await producer.connect()
      const headers = {
        binary: Buffer.from([0xff, 0xfe, 0x41]),
        twice: ['first', 'second'],
        constructor: 'x',
      }
      await producer.send({ topic, messages: [{ value: 'v', headers }] })
      await producer.disconnect()
      const [found] = await log.read(topic, 0, 0, 10)
      expect(found!.key).toBeNull()
      expect(found!.headers).toEqual({ binary: '\uFFFD\uFFFDA', twice: 'second', constructor: 'x' })
    })

    test('transactions: what was aborted is not delivered, and their marks are no lag', async () => {
      const log = await open()
      const topic = await create(log)
      const group = randomUUID()
      const { records, handler } = collector()
      await log.subscribe({ group, topics: [topic] }, handler)
      const producer = foreign.producer({
        transactionalId: randomUUID(),
        maxInFlightRequests: 1,
        idempotent: true,
        createPartitioner: Partitioners.DefaultPartitioner,
      })
      await producer.connect()
      for (const outcome of ['abort', 'commit', 'abort', 'commit'] as const) {
        const transaction = await producer.transaction()
        await transaction.send({ topic, messages: [{ value: outcome }, { value: outcome }] })
        await transaction[outcome]()
      }
      await producer.disconnect()
      await until(() => records.length === 4, 'what was committed')
      expect(new Set(records.map(textOf))).toEqual(new Set(['commit']))
      await until(async () => (await log.lag(group, topic)) === 0, 'no lag')
      expect((await log.read(topic, 0, 0, 100)).map(({ offset }) => offset)).toEqual([3, 4, 9, 10])
      expect(await log.read(topic, 0, 11, 100)).toEqual([])
    })
  })

  describe('kafka: limits and topics', () => {
    test('append: the largest record fits its topic, though it cannot be packed', async () => {
      const log = await open()
      const { maxRecordBytes } = log.limits
      const plain = await create(log)
      const dead = `${plain}.dlq`
      await log.ensureTopics([{ name: dead, partitions: 1, retentionMs: 1_000_000, cleanup: 'delete' }])
      for (const [topic, bytes] of [
        [plain, maxRecordBytes],
        [dead, maxRecordBytes + 16 * 1024],
      ] as const) {
        await log.append(topic, [{ key: null, value: randomBytes(bytes) }])
        expect((await log.read(topic, 0, 0, 1))[0]!.value).toHaveLength(bytes)
      }
    })

    test('append: more than one request takes keeps its order', async () => {
      const log = await open()
      const topic = await create(log)
      const many = Array.from({ length: 30 }, (_, n) => ({ key: 'k', value: Buffer.alloc(400_000, n) }))
      const positions = await log.append(topic, many)
      expect(positions.map(({ offset }) => offset)).toEqual(many.map((_, n) => n))
      expect((await readAll(log, topic, 0)).map(({ value }) => value![0])).toEqual(many.map((_, n) => n))
    })

    test('topics: one that another made is checked, and the error says what mends it', async () => {
      const log = await open()
      const name = `test.${randomUUID()}`
      await admin.createTopics({ topics: [{ topic: name, numPartitions: 2 }] })
      const spec = { name, partitions: 1, retentionMs: null, cleanup: 'delete' } as const
      await expect(log.ensureTopics([spec])).rejects.toMatchObject({
        code: 'topic_mismatch',
        message: expect.stringMatching(
          /message\.timestamp\.type=CreateTime \(not LogAppendTime\).*kafka-configs\.sh .*--add-config/,
        ) as unknown,
      })
    })
  })

  test('kafkajs: Node warns of nothing, neither of timers in the past nor of listeners that gather', () => {
    expect(warnings).toEqual([])
  })
}

async function readAll(log: EventLog, topic: string, partition: number): Promise<LogRecord[]> {
  const all: LogRecord[] = []
  for (;;) {
    const some = await log.read(topic, partition, (all.at(-1)?.offset ?? -1) + 1, 1_000)
    if (some.length === 0) return all
    all.push(...some)
  }
}
