import type { Clock } from '@aquifer/runtime/clock'
import { createTurns } from '@aquifer/runtime/concurrency'
import { AquiferError, errorMessage, invalid, unavailable } from '@aquifer/runtime/errors'
import type { Logger } from '@aquifer/runtime/logger'
import Cluster from 'kafkajs/src/cluster/index.js'
import type { Broker, Connection, Metadata } from 'kafkajs/src/cluster/index.js'
import loggers from 'kafkajs/src/loggers/index.js'
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js'
import createSocketFactory from 'kafkajs/src/network/socketFactory.js'
import Encoder from 'kafkajs/src/protocol/encoder.js'
import errors from 'kafkajs/src/protocol/error.js'
import protocol from 'kafkajs/src/protocol/requests/index.js'
import { registerCodecs } from './kafka-codecs.ts'
import type { KafkaAddress } from './kafka-url.ts'

const CONNECT_TIMEOUT_MS = 3_000
/** A request that is answered later than this is taken for lost, and its connection with it. */
const REQUEST_TIMEOUT_MS = 8_000
const RETRY_PAUSE_MS = 100
/** A topic that was just created is not known to every broker at once. */
const UNKNOWN_TOPIC_GRACE_MS = 500

/** How long things take; the defaults are for production. */
export interface KafkaTimings {
  /** A call that has not succeeded by then rejects with `log_unavailable`. Default 10 s. */
  readonly callTimeoutMs: number
  /** How soon added partitions are seen. Default 10 s. */
  readonly metadataMaxAgeMs: number
  /** How soon members hear of each other. Default 1 s. */
  readonly heartbeatMs: number
  /** After this long without a heartbeat a member's partitions go to others. Default 10 s, at least the broker's minimum (6 s). */
  readonly sessionTimeoutMs: number
  /** How long the broker holds a fetch that finds nothing. Default 250 ms. */
  readonly fetchWaitMs: number
}

export interface ClientOptions {
  readonly address: KafkaAddress
  readonly clock: Clock
  readonly logger: Logger | null
  readonly timings: KafkaTimings
}

/** Connections of its own to every broker: a request that may wait on the broker holds up all that follow it on a connection. */
export interface KafkaClient {
  /** The node that leads each partition of the topic, -1 where none does. Throws `unknown_topic`, when it has not appeared for `graceMs`. An answer that is younger than `maxAgeMs` is given again. */
  leaders(topic: string, graceMs?: number, maxAgeMs?: number): Promise<readonly number[]>
  /** Connected. */
  broker(nodeId: number): Promise<Broker>
  anyBroker(): Promise<Broker>
  coordinator(group: string): Promise<Broker>
  /** Asks a broker which brokers there are. */
  check(): Promise<void>
  /** What was learned of leaders and coordinators is asked for again. */
  forget(): void
  /**
   * Repeats `operation` until it succeeds, at most `callTimeoutMs`. Rejects with what `operation` threw as `AquiferError`,
   * else with `log_unavailable`.
   */
  call<T>(what: string, operation: () => Promise<T>): Promise<T>
  /** Runs `operation` once, at most `timeoutMs` (default `callTimeoutMs`); then every connection is dropped. Rejects with what it threw. */
  once<T>(operation: () => Promise<T>, timeoutMs?: number): Promise<T>
  close(): Promise<void>
}

export function createClient({ address, clock, logger, timings }: ClientOptions): KafkaClient {
  prepare()
  const cluster = new Cluster({
    logger: kafkaLogger(logger),
    socketFactory: createSocketFactory(),
    ...address,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    authenticationTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    metadataMaxAge: timings.metadataMaxAgeMs,
    allowAutoTopicCreation: false,
    // Each attempt takes the next of the brokers in the URL; what lasts longer is for `call`.
    retry: { retries: address.brokers.length, initialRetryTime: 20, maxRetryTime: 200 },
  })
  const { createBroker } = cluster.brokerPool
  cluster.brokerPool.createBroker = (options) => mended(createBroker(options))
  const turns = createTurns()
  const topics = new Map<string, { leaders: readonly number[]; readAtMs: number }>()
  const coordinators = new Map<string, Broker>()
  let closed = false

  /** Only one at a time: the cluster keeps the answer to the last question alone. */
  async function refresh(names: readonly string[]): Promise<void> {
    await turns('metadata', async () => {
      await cluster.connect()
      await cluster.brokerPool.refreshMetadata(names)
      for (const { topic, topicErrorCode, partitionMetadata } of cluster.brokerPool.metadata!.topicMetadata) {
        if (topicErrorCode !== 0) throw errors.createErrorFromCode(topicErrorCode)
        const leaders: number[] = []
        for (const { partitionId, leader } of partitionMetadata) leaders[partitionId] = leader
        topics.set(topic, { leaders, readAtMs: clock.now() })
      }
    })
  }

  async function leaders(
    topic: string,
    graceMs = UNKNOWN_TOPIC_GRACE_MS,
    maxAgeMs = timings.metadataMaxAgeMs,
  ): Promise<readonly number[]> {
    const known = topics.get(topic)
    if (known && clock.now() - known.readAtMs < maxAgeMs) return known.leaders
    const untilMs = clock.now() + graceMs
    for (;;) {
      try {
        await refresh([topic])
        return topics.get(topic)!.leaders
      } catch (error) {
        if (!['UNKNOWN_TOPIC_OR_PARTITION', 'INVALID_TOPIC_EXCEPTION'].includes(typeOf(error))) throw error
        // One that was there is not at fault: whoever wrote to it waits until it is back.
        if (known) throw unavailable('log_unavailable', `topic ${topic} is gone`, error)
        if (clock.now() >= untilMs)
          throw invalid('unknown_topic', `the log has no topic ${topic}: create it with ensureTopics`, 404)
        await clock.sleep(RETRY_PAUSE_MS)
      }
    }
  }

  async function broker(nodeId: number): Promise<Broker> {
    if (!cluster.brokerPool.brokers[nodeId]) await refresh([])
    return await cluster.findBroker({ nodeId: String(nodeId) })
  }

  async function anyBroker(): Promise<Broker> {
    if (!cluster.brokerPool.metadata) await refresh([])
    return await broker(cluster.brokerPool.metadata!.controllerId)
  }

  async function coordinator(group: string): Promise<Broker> {
    if (!cluster.brokerPool.metadata) await refresh([])
    let found = coordinators.get(group)
    if (!found) coordinators.set(group, (found = await cluster.findGroupCoordinator({ groupId: group })))
    return found
  }

  function forget(): void {
    for (const topic of topics.values()) (topic as { readAtMs: number }).readAtMs = -Infinity
    coordinators.clear()
  }

  /** kafkajs waits for what is under way before it closes a connection, and a broker that hangs never answers. */
  async function reset(): Promise<void> {
    forget()
    const { brokers, seedBroker } = cluster.brokerPool
    const all = new Set([...Object.values(brokers), ...(seedBroker ? [seedBroker] : [])])
    const connections = [...all].flatMap((one): readonly Connection[] => one.connectionPool.pool)
    for (const connection of connections) {
      connection.authHandlers?.onError()
      connection.rejectRequests(new Error('the connection was given up'))
    }
    await cluster.disconnect()
    for (const { socket } of connections) socket?.destroy()
  }

  async function once<T>(operation: () => Promise<T>, timeoutMs = timings.callTimeoutMs): Promise<T> {
    if (closed) throw unavailable('log_unavailable', 'the log is closed')
    try {
      return await inTime(operation(), timeoutMs, clock)
    } catch (error) {
      if (error instanceof Overdue) await reset()
      throw error
    }
  }

  async function call<T>(what: string, operation: () => Promise<T>): Promise<T> {
    const untilMs = clock.now() + timings.callTimeoutMs
    let refusal: unknown = null
    for (;;) {
      try {
        return await once(operation, Math.max(1, untilMs - clock.now()))
      } catch (thrown) {
        forget()
        if (thrown instanceof AquiferError) throw thrown
        // Time that ran out in a later attempt says less than what refused an earlier one.
        const error = thrown instanceof Overdue ? (refusal ?? thrown) : (refusal = thrown)
        if (closed || isLasting(error) || clock.now() + RETRY_PAUSE_MS >= untilMs)
          throw unavailable('log_unavailable', `${what}: ${errorMessage(error)}`, error)
        await clock.sleep(RETRY_PAUSE_MS)
      }
    }
  }

  return {
    leaders,
    broker,
    anyBroker,
    coordinator,
    check: async () => await refresh([]),
    forget,
    call,
    once,
    async close() {
      closed = true
      await reset()
    },
  }
}

/** The name of the protocol's error, such as `NOT_LEADER_FOR_PARTITION`, wherever kafkajs wrapped it; '' for another error. */
export function typeOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { type } = at as { type?: unknown }
    if (typeof type === 'string' && type !== '') return type
  }
  return ''
}

/** No retry mends it: the operator must. */
function isLasting(error: unknown): boolean {
  const type = typeOf(error)
  return (
    type.endsWith('AUTHORIZATION_FAILED') ||
    ['UNSUPPORTED_VERSION', 'SASL_AUTHENTICATION_FAILED', 'UNSUPPORTED_SASL_MECHANISM'].includes(type) ||
    /SASL|ServerDoesNotSupport|certificate/.test(
      error instanceof Error ? `${error.name} ${errorMessage(error)}` : '',
    )
  )
}

class Overdue extends Error {}
/** One for all: an error of its own for each call that ends in time costs more than its timer. */
const IN_TIME = new Error('the call ended in time')

async function inTime<T>(work: Promise<T>, timeoutMs: number, clock: Clock): Promise<T> {
  const timer = new AbortController()
  const overdue = clock.sleep(timeoutMs, timer.signal).then(
    () => Promise.reject(new Overdue(`no answer within ${timeoutMs} ms`)),
    () => new Promise<never>(() => {}),
  )
  // What loses the race may still fail.
  work.catch(() => {})
  return await Promise.race([work, overdue]).finally(() => timer.abort(IN_TIME))
}

function kafkaLogger(logger: Logger | null) {
  const { LEVELS } = loggers
  return loggers.createLogger({
    level: LEVELS.WARN,
    logCreator:
      () =>
      ({ level, namespace, log: { message, ...more } }) => {
        // An outage is told by whoever is held up by it; this is the detail.
        logger?.[level === LEVELS.ERROR ? 'info' : 'debug']({ ...more, namespace }, `kafkajs: ${message}`)
      },
  })
}

/** What of kafkajs's brokers cannot stay as it is. */
function mended(broker: Broker): Broker {
  const { connectionPool } = broker
  for (const connection of connectionPool.pool) {
    // Asked twice, it opens two sockets and writes to the one that is not connected.
    const connect = connection.connect.bind(connection)
    let connecting: Promise<unknown> | null = null
    connection.connect = () => (connecting ??= connect().finally(() => (connecting = null)))
    // It lets go of a dead socket again and again while the broker is away, each time with a listener more.
    const disconnect = connection.disconnect.bind(connection)
    connection.disconnect = async () => {
      await disconnect()
      if (connection.socket?.destroyed) delete connection.socket
    }
  }
  return Object.assign(broker, {
    /** Its own asks for all topics where none is named, and fails altogether where one has no leader. */
    async metadata(topics: readonly string[]) {
      const { request, response } = protocol.requests.Metadata.protocol({ version: 6 })({ topics })
      const encode = async () => new Encoder().writeArray(topics).writeBoolean(false)
      const parse = async (decoded: unknown) => decoded as Metadata
      return await connectionPool.send({
        request: { ...request, encode },
        response: { ...response, parse },
      })
    },
  })
}

let prepared = false

function prepare(): void {
  if (prepared) return
  prepared = true
  registerCodecs()
  // kafkajs sets a timer after each answer, of a time in the past where no request waits, which Node warns of.
  const schedule = RequestQueue.prototype.scheduleCheckPendingRequests
  RequestQueue.prototype.scheduleCheckPendingRequests = function (this: RequestQueue): void {
    if (this.pending.length > 0) schedule.call(this)
  }
}
