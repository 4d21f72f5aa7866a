import type { RedisConnection } from '../redis.ts'
import type { KnownFile, WatchState } from './port.ts'

/** Of `load`; a reply of a whole folder could take longer than a command may. */
const FILES_PER_REPLY = 1000

/** A hash for each folder, its fields the paths, and one of all folders' identities. */
export function createRedisWatchState(redis: RedisConnection): WatchState {
  const user = redis.as('state_unavailable')
  const filesOf = (folder: string) => `${redis.prefix}:watch:files:${folder}`
  const identities = `${redis.prefix}:watch:identities`
  return {
    async load(folder) {
      const files = new Map<string, KnownFile>()
      let cursor = '0'
      do {
        const [next, entries] = await user.run(
          async (client) => await client.hscan(filesOf(folder), cursor, 'COUNT', FILES_PER_REPLY),
        )
        for (let at = 0; at < entries.length; at += 2)
          files.set(entries[at]!, JSON.parse(entries[at + 1]!) as KnownFile)
        cursor = next
      } while (cursor !== '0')
      return files
    },
    async save(folder, path, { mark, sha256, access }) {
      const file = JSON.stringify({ mark, sha256, access })
      await user.run(async (client) => await client.hset(filesOf(folder), path, file))
    },
    async forget(folder, path) {
      await user.run(async (client) => await client.hdel(filesOf(folder), path))
    },
    identity: async (folder) => await user.run(async (client) => await client.hget(identities, folder)),
    async setIdentity(folder, identity) {
      await user.run(async (client) => await client.hset(identities, folder, identity))
    },
    close: async () => {},
  }
}
