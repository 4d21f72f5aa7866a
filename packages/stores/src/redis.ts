import { createHash } from 'node:crypto'
import { Redis } from 'ioredis'
import type { RedisOptions } from 'ioredis'
import { errorMessage, invalid, unavailable } from '@aquifer/runtime/errors'
import type { Logger } from '@aquifer/runtime/logger'
import { backoffMs } from '@aquifer/runtime/retry'

/**
 * One Redis, or what a Sentinel names, shared by the registry, the cache, the answers and the locks of a process.
 *
 *  1. A command is never sent twice and never queued: while there is no connection it fails at once, retryable.
 *  2. No command waits longer than the time-out; a connection that stays silent so long is replaced.
 *  3. A server that evicts is refused, at the start and after every reconnection: what it drops would come back from the dead.
 */
export interface RedisConnection {
  /** Before every key, so that several systems can share a server. */
  readonly prefix: string
  /** How many replicas have a write before `confirmed` resolves. */
  readonly confirmReplicas: number
  /** The connection for one purpose: what fails rejects with this code, retryable. */
  as(code: 'registry_unavailable' | 'state_unavailable'): RedisUser
  /** Resolves when the server answers. */
  ping(): Promise<void>
  close(): Promise<void>
}

export interface RedisUser {
  run<T>(operation: (client: Redis) => Promise<T>): Promise<T>
  /** Runs a script by its hash, and by its text where the server does not know it. */
  script(
    script: Script,
    keys: readonly string[],
    args: readonly (string | number | Buffer)[],
  ): Promise<unknown>
  /** The same on a connection of its own; resolves when `confirmReplicas` have what the server wrote before. */
  confirmed(
    script: Script,
    keys: readonly string[],
    args: readonly (string | number | Buffer)[],
  ): Promise<unknown>
}

/** A Lua script, which runs as one step. All its keys must lie in one hash slot. */
export interface Script {
  readonly text: string
  readonly sha1: string
}

export function script(text: string): Script {
  return { text, sha1: createHash('sha1').update(text).digest('hex') }
}

const COMMAND_TIMEOUT_MS = 2000
const CONNECT_TIMEOUT_MS = 5000
const CONFIRM_TIMEOUT_MS = 2000
const MAX_RECONNECT_MS = 2000

/**
 * `url`: `redis://[user:password@]host[:port][/db]`, `rediss://` with TLS. Options in its query:
 * `prefix` (default `aquifer`), `confirmReplicas` (0), `confirmTimeoutMs` (2000), `commandTimeoutMs` (2000), and
 * `sentinels=host:port,host:port`, where the host is the name of what they watch.
 *
 * Errors: `redis_unavailable` (retryable), `redis_unfit` (the server may lose what is written), `invalid_redis_url`.
 */
export async function openRedis(options: {
  url: string
  logger: Logger
  random: () => number
}): Promise<RedisConnection> {
  const { logger } = options
  const settings = parseUrl(options.url)
  const client = new Redis(clientOptions(settings, options.random))
  const confirmer =
    settings.confirmReplicas > 0
      ? client.duplicate({ commandTimeout: settings.confirmTimeoutMs + settings.commandTimeoutMs })
      : client
  const clients = [...new Set([client, confirmer])]
  let unfit: string | null = null

  async function inspect(): Promise<void> {
    unfit = evicts(await client.info('memory'))
    if (unfit !== null) return logger.error(unfit)
    if (!/^aof_enabled:1/m.test(await client.info('persistence'))) {
      logger.warn('redis keeps no append-only file: a restart loses writes; set appendonly to yes')
    }
  }

  async function close(): Promise<void> {
    for (const each of clients) each.disconnect()
  }

  for (const each of clients) {
    each.on('error', (error: Error) => logger.warn({ err: error }, 'redis: the connection failed'))
  }
  try {
    await Promise.all(clients.map(async (each) => await connected(each)))
    await inspect()
  } catch (cause) {
    await close()
    throw unavailable('redis_unavailable', `redis at ${settings.name}: ${errorMessage(cause)}`, cause)
  }
  if (unfit !== null) {
    await close()
    throw invalid('redis_unfit', unfit)
  }
  client.on('ready', () => {
    inspect().catch((error: unknown) => logger.warn({ err: error }, 'redis could not be inspected'))
  })

  function as(code: string): RedisUser {
    const failed = (cause: unknown): Error => unavailable(code, `redis: ${errorMessage(cause)}`, cause)
    async function run<T>(operation: (client: Redis) => Promise<T>): Promise<T> {
      if (client.status !== 'ready') throw failed(new Error('no connection'))
      if (unfit !== null) throw failed(new Error(unfit))
      try {
        return await operation(client)
      } catch (cause) {
        throw failed(cause)
      }
    }
    return {
      run,
      script: async (...call) => await run(async () => await evaluate(client, ...call)),
      confirmed: async (...call) =>
        await run(async () => {
          const reply = await evaluate(confirmer, ...call)
          const { confirmReplicas, confirmTimeoutMs } = settings
          if (confirmReplicas === 0) return reply
          const acknowledged = await confirmer.wait(confirmReplicas, confirmTimeoutMs)
          if (acknowledged >= confirmReplicas) return reply
          throw new Error(
            `${acknowledged} of ${confirmReplicas} replicas confirmed a write within ${confirmTimeoutMs} ms`,
          )
        }),
    }
  }

  return {
    prefix: settings.prefix,
    confirmReplicas: settings.confirmReplicas,
    as,
    async ping() {
      await as('state_unavailable').run(async () => await client.ping())
    },
    close,
  }
}

/** What the constructor takes with `exactOptionalPropertyTypes`. */
type ClientOptions = Omit<RedisOptions, 'replyMapping'>

interface Settings {
  readonly name: string
  readonly client: ClientOptions
  readonly prefix: string
  readonly confirmReplicas: number
  readonly confirmTimeoutMs: number
  readonly commandTimeoutMs: number
}

function parseUrl(text: string): Settings {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || !/^rediss?:$/.test(url.protocol) || !url.hostname || !/^\/?\d*$/.test(url.pathname)) {
    // The address may hold a password, so the message does not repeat it.
    throw invalid('invalid_redis_url', 'a Redis URL is redis[s]://[user:password@]host[:port][/db][?options]')
  }
  const given = new Map(url.searchParams)
  const count = (name: string, otherwise: number): number => {
    const value = given.get(name) ?? String(otherwise)
    given.delete(name)
    if (!/^\d{1,6}$/.test(value)) throw invalid('invalid_redis_url', `${name} in a Redis URL is a number`)
    return Number(value)
  }
  const sentinels = given.get('sentinels')?.split(',').map(parseSentinel)
  const prefix = given.get('prefix') ?? 'aquifer'
  for (const name of ['sentinels', 'prefix']) given.delete(name)
  const settings = {
    confirmReplicas: count('confirmReplicas', 0),
    confirmTimeoutMs: count('confirmTimeoutMs', CONFIRM_TIMEOUT_MS),
    commandTimeoutMs: count('commandTimeoutMs', COMMAND_TIMEOUT_MS),
  }
  const [unknown] = given.keys()
  if (unknown !== undefined) throw invalid('invalid_redis_url', `a Redis URL has no option ${unknown}`)
  if (!/^[\w.-]+$/.test(prefix))
    throw invalid('invalid_redis_url', 'a prefix has letters, digits, . _ and - alone')
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const client: ClientOptions = {
    ...(sentinels ? { sentinels, name: host } : { host, port: Number(url.port || 6379) }),
    ...(url.username && { username: decodeURIComponent(url.username) }),
    ...(url.password && { password: decodeURIComponent(url.password) }),
    ...(url.protocol === 'rediss:' && {
      tls: sentinels ? {} : { servername: host },
      enableTLSForSentinelMode: true,
    }),
    db: Number(url.pathname.slice(1)),
  }
  return { name: url.host, client, prefix, ...settings }
}

function parseSentinel(place: string): { host: string; port: number } {
  const [, host, port] = /^(.+?)(?::(\d+))?$/.exec(place) ?? []
  if (!host) throw invalid('invalid_redis_url', 'sentinels in a Redis URL are host:port,host:port')
  return { host, port: Number(port ?? 26_379) }
}

function clientOptions({ client, commandTimeoutMs }: Settings, random: () => number): ClientOptions {
  const retryStrategy = (attempt: number): number => backoffMs(attempt, random, 50, MAX_RECONNECT_MS)
  return {
    ...client,
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: commandTimeoutMs,
    socketTimeout: 3 * commandTimeoutMs,
    retryStrategy,
    sentinelRetryStrategy: retryStrategy,
    // A server that was made a replica: the address may lead to another one by now.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  }
}

/** The first connection, in bounded time; what follows reconnects by itself. */
async function connected(client: Redis): Promise<void> {
  const timer = setTimeout(() => client.disconnect(), 2 * CONNECT_TIMEOUT_MS)
  try {
    await client.connect()
  } finally {
    clearTimeout(timer)
  }
}

function evicts(memory: string): string | null {
  const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1] ?? 'unknown'
  return policy === 'noeviction'
    ? null
    : `redis may evict keys (maxmemory-policy ${policy}), and a deleted document would show again: set maxmemory-policy to noeviction`
}

async function evaluate(
  client: Redis,
  { text, sha1 }: Script,
  keys: readonly string[],
  args: readonly (string | number | Buffer)[],
): Promise<unknown> {
  try {
    return await client.evalsha(sha1, keys.length, ...keys, ...args)
  } catch (error) {
    if (!errorMessage(error).startsWith('NOSCRIPT')) throw error
    return await client.eval(text, keys.length, ...keys, ...args)
  }
}
