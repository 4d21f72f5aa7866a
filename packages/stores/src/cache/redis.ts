import type { Clock } from '@aquifer/runtime/clock'
import type { RedisConnection } from '../redis.ts'
import type { Cache } from './port.ts'

/**
 * The cache on Redis, a key an entry. Times of expiry are by `clock`, so processes that share it must agree on the time within
 * what they would miss of an entry's life.
 */
export function createRedisCache(redis: RedisConnection, { clock }: { clock: Clock }): Cache {
  const user = redis.as('state_unavailable')
  const keyOf = (key: string): string => `${redis.prefix}:cache:${key}`
  const endOf = (ttlMs: number): number => Math.ceil(clock.now() + ttlMs)
  return {
    get: async (key) => await user.run(async (client) => await client.getBuffer(keyOf(key))),
    async set(key, value, ttlMs) {
      await user.run(async (client) => await client.set(keyOf(key), value, 'PXAT', endOf(ttlMs)))
    },
    add: async (key, value, ttlMs) =>
      (await user.run(async (client) => await client.set(keyOf(key), value, 'PXAT', endOf(ttlMs), 'NX'))) ===
      'OK',
    async delete(key) {
      await user.run(async (client) => await client.unlink(keyOf(key)))
    },
    async ping() {
      await user.run(async (client) => await client.ping())
    },
    close: async () => {},
  }
}
