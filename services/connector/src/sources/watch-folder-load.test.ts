import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, watch as watchFiles, writeFileSync, writeSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { topics } from '@aquifer/contracts/topics'
import { createMemoryEventLog } from '@aquifer/event-log/memory'
import type { EventLog } from '@aquifer/event-log/port'
import { createMemoryBlobs } from '@aquifer/stores/blobs-memory'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { hastyClock, until } from '../world.fixture.ts'
import { folderWatchDeps, watchRecords } from './folder-watch.fixture.ts'
import { createFolderWatch } from './watch-folder.ts'
import type { FolderWatch } from './watch-folder.ts'
import { openSqliteWatchState } from '@aquifer/stores/watch-state-sqlite'

let dir: string
let folder: string
let log: EventLog
let watch: FolderWatch

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'aquifer-watch-'))
  folder = join(dir, 'folder')
  mkdirSync(folder)
  let recordsSoFar = 0
  log = createMemoryEventLog({ clock: { ...hastyClock, now: () => ++recordsSoFar }, maintainEveryMs: null })
  await log.ensureTopics(Object.values(topics).map((topic) => Object.assign({ partitions: 2 }, topic)))
})
afterEach(async () => {
  await watch.stop()
  await log.close()
  await rm(dir, { recursive: true, force: true })
})
const write = (name: string, text: string) => writeFileSync(join(folder, name), text)

function start(append?: EventLog['append']): void {
  const state = openSqliteWatchState(join(dir, 'watch.db'))
  const given = {
    log: { ...log, ...(append && { append }) },
    blobs: createMemoryBlobs(),
    state,
    folders: [`docs=${folder}`],
  }
  watch = createFolderWatch(folderWatchDeps({ ...given, tuning: { settleMs: 0 } }, []))
  watch.start()
}

/** The file's event has come to this process, the watched folder's watch included, which hears of it in the same turn. */
async function writeAndHear(name: string, text: string): Promise<void> {
  const own = watchFiles(folder)
  write(name, text)
  await once(own, 'change')
  own.close()
  await nextTurn()
}

test('watched folder: an edit goes before the thousands of files that the first look has found', async () => {
  const count = 1000
  for (let i = 0; i < count; i++) write(`${i}.md`, `${i}`)
  let appended = 0
  start(async (...of) => {
    const positions = await log.append(...of)
    if (++appended === 20) {
      const published = (await watchRecords(log))[0]!.id.replace('docs/', '')
      await writeAndHear(published, 'edited')
      await writeAndHear('new.md', 'new')
    }
    return positions
  })
  await until('all are published', async () => appended === count + 2)
  const texts = (await watchRecords(log)).map(({ document }) => String(document!.content))
  expect(texts).toHaveLength(count + 2)
  // A batch is under way when they come.
  expect(texts.indexOf('edited')).toBeLessThan(200)
  expect(texts.indexOf('new')).toBeLessThan(200)
})

test('watched folder: what comes when the system’s queue of events is full is found without waiting for the next look', async () => {
  for (const name of ['a', 'b']) write(`${name}.md`, name)
  start()
  await watch.look()
  const { length: before } = await watchRecords(log)
  // More than Linux keeps (16,384), in one turn; equal events one after the other would count as one.
  const files = ['a.md', 'b.md'].map((name) => openSync(join(folder, name), 'w'))
  for (let i = 0; i < 16_400; i++) writeSync(files[i % 2]!, 'x')
  for (const file of files) closeSync(file)
  write('late.md', 'late')
  await until('the late one is published', async () => {
    const seen = (await watchRecords(log)).slice(before)
    return seen.some(({ document }) => String(document?.content) === 'late')
  })
})
