import { mkdir, mkdtemp, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import { createFolderWatch } from '@aquifer/connector/watch-folder'
import type { FolderWatch } from '@aquifer/connector/watch-folder'
import { topics } from '@aquifer/contracts/topics'
import { createMemoryEventLog } from '@aquifer/event-log/memory'
import type { EventLog } from '@aquifer/event-log/port'
import { startRedis } from '@aquifer/infra/redis'
import { startTestPart } from '@aquifer/infra/test-part'
import { systemClock } from '@aquifer/runtime/clock'
import { createLogger } from '@aquifer/runtime/logger'
import { createMemoryBlobs } from '@aquifer/stores/blobs-memory'
import { openRedis } from '@aquifer/stores/redis'
import type { RedisConnection } from '@aquifer/stores/redis'
import { createMemoryRegistry } from '@aquifer/stores/registry-memory'
import { createRedisTurns } from '@aquifer/stores/turns-redis'
import { createRedisWatchState } from '@aquifer/stores/watch-state-redis'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { folderWatchDeps, watchRecords } from '../../services/connector/src/sources/folder-watch.fixture.ts'
import { eventually } from './harness/server.ts'

const redis = await startTestPart('redis', startRedis)
if (!('missing' in redis)) afterAll(redis.stop)

interface Replica {
  readonly watch: FolderWatch
  readonly warnings: string[]
  readonly redis: RedisConnection
}
let dir: string
let folder: string
let place: string
let log: EventLog
let replicas: Replica[]
const registry = createMemoryRegistry()
const blobs = createMemoryBlobs()

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'aquifer-replicas-'))
  folder = join(dir, 'folder')
  await mkdir(folder)
  place = `${'missing' in redis ? '' : redis.part.url}?prefix=${randomUUID()}`
  log = createMemoryEventLog({ clock: systemClock, maintainEveryMs: null })
  await log.ensureTopics(Object.values(topics).map((topic) => Object.assign({ partitions: 2 }, topic)))
  replicas = []
  for (let i = 0; i < 30; i++) await write(`${i}.md`, `${i}`)
})
afterEach(async () => {
  for (const each of replicas) {
    await each.watch.stop()
    await each.redis.close()
  }
  await log.close()
  await rm(dir, { recursive: true })
})

/** As another process has it: a connection of its own, and a watch that knows only what Redis does. */
async function startReplica(): Promise<Replica> {
  const random = Math.random
  const own = await openRedis({ url: place, logger: createLogger('silent', 'test'), random })
  const turns = createRedisTurns(own, { clock: systemClock, random })
  const warnings: string[] = []
  const given = {
    log,
    blobs,
    registry,
    turns,
    state: createRedisWatchState(own),
    folders: [`docs=${folder}`],
  }
  const watch = createFolderWatch(folderWatchDeps(given, warnings))
  replicas.push({ watch, warnings, redis: own })
  watch.start()
  return replicas.at(-1)!
}
const write = async (name: string, text: string) => await writeFile(join(folder, name), text)
/** Of every record: the document, and its text where it is no deletion. */
const said = async () =>
  (await watchRecords(log)).map(({ id, document }) => `${id} ${document ? String(document.content) : 'gone'}`)
const isSaid = async (record: string) => (await said()).includes(record)

describe.skipIf('missing' in redis)(
  `watched folder, several replicas${'missing' in redis ? ` (${redis.missing})` : ''}`,
  () => {
    test('one watches; who takes over goes on where it ended, though it never watched before', async () => {
      const first = await startReplica()
      await first.watch.look()
      await startReplica()
      await write('1.md', 'changed')
      await eventually('the change is published', async () => await isSaid('docs/1.md changed'))
      await first.watch.look()
      expect(await said()).toHaveLength(31)

      await first.watch.stop()
      await unlink(join(folder, '2.md'))
      await rename(join(folder, '3.md'), join(folder, 'three.md'))
      // As it was published first, but not last.
      await write('1.md', '1')
      await eventually('what went meanwhile is removed', async () => await isSaid('docs/2.md gone'))
      await replicas[1]!.watch.look()
      expect((await said()).slice(31).toSorted()).toEqual([
        'docs/1.md 1',
        'docs/2.md gone',
        'docs/3.md gone',
        'docs/three.md 3',
      ])
    })

    test('a replica whose turn has passed on stops, and no change is published twice', async () => {
      const first = await startReplica()
      await first.watch.look()
      const second = await startReplica()
      const turn = `${first.redis.prefix}:turn:watch/acme/docs`
      await first.redis.as('state_unavailable').run(async (client) => await client.del(turn))
      await second.watch.look()
      await eventually('the first one has noticed', async () => first.warnings.length > 0)
      await write('1.md', 'changed')
      await eventually('the change is published', async () => await isSaid('docs/1.md changed'))
      await second.watch.look()
      expect(await said()).toHaveLength(31)
      await second.watch.stop()
      await first.watch.look()
      await write('2.md', 'changed')
      await eventually('the next change is published', async () => await isSaid('docs/2.md changed'))
      expect(await said()).toHaveLength(32)
    })
  },
)
