import { randomUUID } from 'node:crypto'
import type { RedisConnection } from '../redis.ts'
import { script } from '../redis.ts'
import type { GenerationRecord, GenerationStore } from './port.ts'

/** An instance that was never known, as after a loss of this store itself, is taken as lost too. */
const RENEW = script(`
  local known = redis.call('HGET', KEYS[1], ARGV[1])
  if known and known ~= ARGV[3] then return known end
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  return ARGV[2]`)

/** Generations of all processes that share a Redis. */
export function createRedisGenerations(redis: RedisConnection): GenerationStore {
  const user = redis.as('state_unavailable')
  const instances = `${redis.prefix}:generations:instances`
  const current = `${redis.prefix}:generations:current`
  return {
    async renew(fingerprint, lost, prepare) {
      const known = await user.run(async (client) => await client.hget(instances, fingerprint))
      if (known !== null && known !== lost) return known
      const instance = randomUUID().slice(0, 8)
      await prepare(instance)
      return String(await user.script(RENEW, [instances], [fingerprint, instance, lost ?? '']))
    },
    async instances() {
      return new Map(Object.entries(await user.run(async (client) => await client.hgetall(instances))))
    },
    async forget(fingerprint) {
      await user.run(async (client) => await client.hdel(instances, fingerprint))
    },
    async current() {
      const record = await user.run(async (client) => await client.get(current))
      return record === null ? null : (JSON.parse(record) as GenerationRecord)
    },
    async setCurrent(record) {
      await user.run(async (client) => await client.set(current, JSON.stringify(record)))
    },
  }
}
