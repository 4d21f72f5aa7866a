import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { startRedis } from '@aquifer/infra/redis'
import { startTestPart } from '@aquifer/infra/test-part'
import { systemClock } from '@aquifer/runtime/clock'
import type { Clock } from '@aquifer/runtime/clock'
import type { Turns } from '@aquifer/runtime/concurrency'
import { createRedisCache } from '@aquifer/stores/cache-redis'
import type { GenerationRecord } from '@aquifer/stores/generations'
import { createRedisGenerations } from '@aquifer/stores/generations-redis'
import type { RedisConnection } from '@aquifer/stores/redis'
import { createRedisRegistry, dropRedisRegistry } from '@aquifer/stores/registry-redis'
import { createRedisTurns } from '@aquifer/stores/turns-redis'
import { connectRedis, freshPlace } from './adapters/redis.ts'
import { versionAt, visible } from './registry-values.ts'
import { command, until } from './soundness-world.ts'

const redis = await startTestPart('redis', startRedis)
const suffix = 'missing' in redis ? ` (${redis.missing})` : ''
const part = 'missing' in redis ? null! : redis.part
const connections: RedisConnection[] = []

/** As another process has it. */
async function connection(url: string): Promise<RedisConnection> {
  const opened = await connectRedis(url)
  connections.push(opened)
  return opened
}

const answers = async (own: RedisConnection): Promise<boolean> =>
  await own.ping().then(
    () => true,
    () => false,
  )

afterEach(async () => {
  for (const each of connections.splice(0)) await each.close()
})
if (!('missing' in redis)) afterAll(redis.stop)

describe.skipIf('missing' in redis)(`redis connection${suffix}`, () => {
  test('a server that evicts is refused, at the start and from a reconnection on', async () => {
    const own = await connection(freshPlace(part.url))
    await command(part, 'CONFIG SET maxmemory-policy allkeys-lru')
    await expect(connectRedis(part.url)).rejects.toMatchObject({
      code: 'redis_unfit',
      message: expect.stringContaining('set maxmemory-policy to noeviction') as string,
    })
    await command(part, 'CLIENT KILL TYPE normal')
    await until(
      'it is refused',
      async () =>
        await own.ping().then(
          () => false,
          (error: Error) => error.message.includes('noeviction'),
        ),
    )
    await command(part, 'CONFIG SET maxmemory-policy noeviction')
    await command(part, 'CLIENT KILL TYPE normal')
    await until('it is taken', async () => await answers(own))
  })

  test('an outage is told at once, and ends by itself', async () => {
    const own = await connection(freshPlace(part.url))
    const registry = createRedisRegistry(own, { name: 'test' })
    const cache = createRedisCache(own, { clock: systemClock })
    await registry.applying.flip('acme', 'doc', visible(1))
    await part.kill()
    const unavailable = { retryable: true, status: 503 }
    await until('the connection is gone', async () => !(await answers(own)))
    const startedMs = Date.now()
    await expect(registry.lookUp('acme', ['doc'])).rejects.toMatchObject({
      ...unavailable,
      code: 'registry_unavailable',
    })
    await expect(registry.flip('acme', 'doc', visible(2))).rejects.toMatchObject({
      ...unavailable,
      code: 'registry_unavailable',
    })
    await expect(cache.get('k')).rejects.toMatchObject({ ...unavailable, code: 'state_unavailable' })
    expect(Date.now() - startedMs).toBeLessThan(500)
    await part.restart()
    await until('it is back', async () => await answers(own))
    expect((await registry.applying.lookUp('acme', ['doc'])).get('doc')).toMatchObject({
      visible: visible(1),
    })
  })

  test('a server that hangs is waited for no longer than the time-out', async () => {
    const own = await connection(`${freshPlace(part.url)}&commandTimeoutMs=200`)
    part.process!.kill('SIGSTOP')
    try {
      await expect(own.ping()).rejects.toMatchObject({ code: 'state_unavailable', retryable: true })
    } finally {
      part.process!.kill('SIGCONT')
    }
    await until('it is back', async () => await answers(own))
  })

  test('user, password and database are those of the URL, and no message tells them', async () => {
    await command(part, 'ACL SETUSER someone on >se/cret ~* +@all')
    const url = new URL(freshPlace(part.url))
    const place = `${url.host}/3${url.search}`
    const own = await connection(`redis://someone:se%2Fcret@${place}`)
    await own.as('state_unavailable').run(async (client) => await client.set(`${own.prefix}:k`, 'v'))
    expect(await command(part, 'INFO keyspace')).toContain('db3:')
    const wrong = connectRedis(`redis://someone:wro%2Fng@${place}`)
    await expect(wrong).rejects.toMatchObject({ code: 'redis_unavailable' })
    await expect(wrong).rejects.not.toThrow(/wro/)
  })

  test.each([
    'http://h',
    'redis:',
    'redis://h/x',
    'redis://h?nonsense=1',
    'redis://h?confirmReplicas=one',
    'redis://h?prefix={a}',
  ])('%s is refused', async (url) => {
    await expect(connectRedis(url)).rejects.toMatchObject({ code: 'invalid_redis_url', retryable: false })
  })

  test('a registry that is dropped leaves nothing, and its neighbour everything', async () => {
    const own = await connection(freshPlace(part.url))
    for (const name of ['gone', 'kept']) {
      await createRedisRegistry(own, { name }).applying.flip('acme', 'doc', visible(1))
    }
    await dropRedisRegistry(own, 'gone')
    const left = await own.as('state_unavailable').run(async (client) => await client.keys(`*${own.prefix}*`))
    expect(left.length).toBeGreaterThan(0)
    expect(left.every((key) => key.includes(':kept}'))).toBe(true)
  })

  test('what a deletion and a flip leave of a document counts once', async () => {
    const own = await connection(freshPlace(part.url))
    const { applying } = createRedisRegistry(own, { name: 'test' })
    await applying.flip('acme', 'doc', visible(1, { chunks: 3 }))
    await applying.flip('acme', 'doc', visible(2, { chunks: 5 }))
    expect(await applying.counts('acme')).toMatchObject({ indexed: 1, chunks: 5 })
    await applying.raiseFloor('acme', 'doc', versionAt(2))
    expect(await applying.counts('acme')).toMatchObject({ indexed: 0, deleted: 1, chunks: 0 })
    expect(await applying.recentLags('acme')).toEqual([])
  })
})

describe.skipIf('missing' in redis)(`turns on redis${suffix}`, () => {
  /** Time that passes as soon as somebody waits. */
  function hastyClock(): Clock {
    let aheadMs = 0
    return {
      now: () => Date.now() + aheadMs,
      async sleep(ms, signal) {
        aheadMs += ms
        await systemClock.sleep(1, signal)
      },
    }
  }

  async function turns(url: string, clock: Clock = systemClock): Promise<Turns> {
    return createRedisTurns(await connection(url), { clock, random: Math.random })
  }

  test('works of one key never overlap, whichever process they are of; other keys do not wait', async () => {
    const url = freshPlace(part.url)
    const doors = await Promise.all([turns(url), turns(url), turns(url)])
    let inside = 0
    let done = 0
    const other = Promise.withResolvers<void>()
    const blocked = doors[0]('other', async () => await other.promise)
    await Promise.all(
      Array.from({ length: 30 }, async (_, i) => {
        await doors[i % 3]!('one', async () => {
          expect(++inside).toBe(1)
          await new Promise((resolve) => setImmediate(resolve))
          inside--
          done++
        })
      }),
    )
    expect(done).toBe(30)
    other.resolve()
    await blocked
  })

  test('what the work gives or throws comes back, and the turn goes on', async () => {
    const door = await turns(freshPlace(part.url))
    await expect(door('k', async () => await Promise.reject(new Error('mine')))).rejects.toThrow('mine')
    expect(await door('k', async () => 7)).toBe(7)
  })

  test('the turn of a process that died passes on when its time is over', async () => {
    const url = freshPlace(part.url)
    const own = await connection(url)
    await own
      .as('state_unavailable')
      .run(async (client) => await client.set(`${own.prefix}:turn:k`, 'dead', 'PX', 300))
    expect(await (await turns(url))('k', async () => 'mine')).toBe('mine')
  })

  test('who cannot have a turn in time is told so, and leaves it to its holder', async () => {
    const url = freshPlace(part.url)
    const door = await turns(url, hastyClock())
    const own = await connection(url)
    const state = own.as('state_unavailable')
    const place = `${own.prefix}:turn:k`
    await state.run(async (client) => await client.set(place, 'another', 'PX', 60_000))
    await expect(door('k', async () => 1)).rejects.toMatchObject({
      code: 'state_unavailable',
      retryable: true,
    })
    await state.run(async (client) => await client.del(place))
    // Taken over while the work went on: what is another's is not given back.
    await door('k', async () => await state.run(async (client) => await client.set(place, 'another')))
    expect(await state.run(async (client) => await client.get(place))).toBe('another')
  })

  test('who has lost its turn hears of it: another has it, or it was away for longer than it is held', async () => {
    const url = freshPlace(part.url)
    const own = await connection(url)
    const state = own.as('state_unavailable')
    const heard = async (clock: Clock, meanwhile: () => Promise<unknown>) =>
      await (
        await turns(url, clock)
      )('k', async (lost) => {
        await meanwhile()
        await until('it is told', async () => lost.aborted)
      })
    await heard(
      hastyClock(),
      async () => await state.run((client) => client.set(`${own.prefix}:turn:k`, 'b')),
    )
    await state.run(async (client) => await client.del(`${own.prefix}:turn:k`))
    const hasty = hastyClock()
    const late: Clock = { ...hasty, sleep: async (ms, signal) => await hasty.sleep(4 * ms, signal) }
    await heard(late, async () => {})
  })

  test('a turn lasts as long as its work', async () => {
    const url = freshPlace(part.url)
    const door = await turns(url, hastyClock())
    const own = await connection(url)
    const state = own.as('state_unavailable')
    await door('k', async () => {
      const place = `${own.prefix}:turn:k`
      await state.run(async (client) => await client.pexpire(place, 1000))
      await until(
        'it is renewed',
        async () => (await state.run(async (client) => await client.pttl(place))) > 1000,
      )
    })
  })
})

describe.skipIf('missing' in redis)(`generations on redis${suffix}`, () => {
  test('G1 G2 processes that ask at once get the same instance, and renew a lost one once', async () => {
    const url = freshPlace(part.url)
    const stores = await Promise.all(
      Array.from({ length: 4 }, async () => createRedisGenerations(await connection(url))),
    )
    const all = async <T>(ask: (store: (typeof stores)[0]) => Promise<T>) => [
      ...new Set(await Promise.all(stores.map(ask))),
    ]
    const prepare = async () => {}
    const first = await all((store) => store.renew('f1', null, prepare))
    expect(first).toHaveLength(1)
    const second = await all((store) => store.renew('f1', first[0]!, prepare))
    expect(second).toHaveLength(1)
    expect(second).not.toEqual(first)
    expect(await all((store) => store.renew('f1', first[0]!, prepare))).toEqual(second)
    expect(await stores[0]!.instances()).toEqual(new Map([['f1', second[0]]]))
    await stores[0]!.forget('f1')
    expect(await stores[1]!.instances()).toEqual(new Map())
  })

  test('G3 an instance is known when it is prepared, not before, and not where that failed', async () => {
    const store = createRedisGenerations(await connection(freshPlace(part.url)))
    const failing = store.renew('f1', null, async () => await Promise.reject(new Error('died')))
    await expect(failing).rejects.toThrow('died')
    expect(await store.instances()).toEqual(new Map())
    const names: string[] = []
    const instance = await store.renew('f1', null, async (name) => {
      names.push(name)
      expect(await store.instances()).toEqual(new Map())
    })
    expect(names).toEqual([instance])
    expect(await store.renew('f1', 'another', async (name) => void names.push(name))).toBe(instance)
    expect(names).toHaveLength(1)
  })

  test('the generation that serves is the same for all', async () => {
    const url = freshPlace(part.url)
    const [one, other] = [
      createRedisGenerations(await connection(url)),
      createRedisGenerations(await connection(url)),
    ]
    expect(await one.current()).toBeNull()
    const record: GenerationRecord = { build: 'b', embedderUrl: 'lexical:', fingerprint: 'f', dimensions: 3 }
    await one.setCurrent(record)
    expect(await other.current()).toEqual(record)
  })
})
