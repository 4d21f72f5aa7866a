import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { topics } from '@aquifer/contracts/topics'
import { createMemoryEventLog } from '@aquifer/event-log/memory'
import type { EventLog } from '@aquifer/event-log/port'
import { unavailable } from '@aquifer/runtime/errors'
import { createMemoryBlobs } from '@aquifer/stores/blobs-memory'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createSteppedClock } from '../stepped-clock.fixture.ts'
import { hastyClock, TENANT, until } from '../world.fixture.ts'
import { CONFIRM_FILE } from './deletion-guard.ts'
import { folderWatchDeps, watchRecords } from './folder-watch.fixture.ts'
import { createFolderWatch } from './watch-folder.ts'
import type { FolderWatch, FolderWatchDeps } from './watch-folder.ts'
import { openSqliteWatchState } from '@aquifer/stores/watch-state-sqlite'

const MIB = 1024 * 1024
let dir: string
let folder: string
let log: EventLog
let blobs: FolderWatchDeps['blobs']
let warnings: string[]
let watch: FolderWatch

function open(more: Partial<FolderWatchDeps> = {}): FolderWatch {
  const given = {
    log,
    blobs,
    state: openSqliteWatchState(join(dir, 'watch.db')),
    folders: [`docs=${folder}`],
  }
  return createFolderWatch(folderWatchDeps({ ...given, ...more }, warnings))
}
async function start(more: Partial<FolderWatchDeps> = {}): Promise<void> {
  watch = open(more)
  watch.start()
  await watch.look()
}
async function restart(more: Partial<FolderWatchDeps> = {}): Promise<void> {
  await watch.stop()
  await start(more)
}

const records = async () => await watchRecords(log)
/** What the log says last of each document: its text, by path. */
async function shown(): Promise<Record<string, string>> {
  const last = new Map<string, string | null>()
  for (const { id, document } of await records())
    last.set(
      id.replace('docs/', ''),
      document && String(document.content ?? (await blobs.get(document.blob!))),
    )
  return Object.fromEntries([...last].filter(([, text]) => text !== null).sort(byName)) as Record<
    string,
    string
  >
}
const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => (a < b ? -1 : 1)
const write = async (path: string, text: string) => await writeFile(join(folder, path), text)
const countOfRecords = async () => (await records()).length

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'aquifer-watch-'))
  folder = join(dir, 'folder')
  await mkdir(folder)
  warnings = []
  let recordsSoFar = 0
  log = createMemoryEventLog({ clock: { ...hastyClock, now: () => ++recordsSoFar }, maintainEveryMs: null })
  await log.ensureTopics(Object.values(topics).map((topic) => Object.assign({ partitions: 2 }, topic)))
  blobs = createMemoryBlobs()
})
afterEach(async () => {
  await watch.stop()
  await log.close()
  await rm(dir, { recursive: true, force: true })
})

describe('watched folder: what it holds', () => {
  test('files are published under their path, the large ones by the blob store; changes follow by events', async () => {
    await mkdir(join(folder, 'a/b'), { recursive: true })
    await write('a/b/one.md', '# One')
    await write('large.txt', 'x'.repeat(MIB))
    await start({ access: 'hr, ops' })
    expect(Object.keys(await shown())).toEqual(['a/b/one.md', 'large.txt'])
    expect((await records()).find(({ id }) => id === 'docs/a/b/one.md')!.document).toMatchObject({
      access: ['hr', 'ops'],
      filename: 'one.md',
      contentType: 'application/octet-stream',
      metadata: { path: 'a/b/one.md' },
    })
    await write('a/b/one.md', '# Two')
    await until('the change is published', async () => (await shown())['a/b/one.md'] === '# Two')
    await mkdir(join(folder, 'new/deep'), { recursive: true })
    await write('new/deep/three.md', 'three')
    await until('a file in a new folder', async () => (await shown())['new/deep/three.md'] === 'three')
    await rename(join(folder, 'new'), join(folder, 'moved'))
    await until('the folder is renamed', async () => {
      const now = await shown()
      return now['moved/deep/three.md'] === 'three' && !('new/deep/three.md' in now)
    })
    await write('moved/deep/three.md', 'four')
    await until(
      'a change in a folder that was renamed',
      async () => (await shown())['moved/deep/three.md'] === 'four',
    )
    await rm(join(folder, 'moved'), { recursive: true })
    await until('the folder is deleted', async () => !('moved/deep/three.md' in (await shown())))
  })

  test('a file replaced by rename is one version, and one that only was touched none', async () => {
    await write('a.md', 'one')
    await start()
    const replace = async (text: string) => {
      await write('.a.md.new', text)
      await rename(join(folder, '.a.md.new'), join(folder, 'a.md'))
    }
    await replace('two')
    await until('it is replaced', async () => (await shown())['a.md'] === 'two')
    await chmod(join(folder, 'a.md'), 0o600)
    await watch.look()
    await replace('two')
    await watch.look()
    expect(await countOfRecords()).toBe(2)
  })

  test('a half-written file is taken when it is whole', async () => {
    const { clock, advance, waitsUntil } = createSteppedClock()
    await start({ clock, tuning: { settleMs: 1000 } })
    await write('a.md', 'half')
    await waitsUntil(1000)
    advance(500)
    await appendFile(join(folder, 'a.md'), ', whole')
    await waitsUntil(1500)
    advance(500)
    expect(await countOfRecords()).toBe(0)
    advance(500)
    await until('it is taken', async () => (await countOfRecords()) > 0)
    expect(await shown()).toEqual({ 'a.md': 'half, whole' })
  })

  test.each(['.hidden', '~$word.docx', 'a.part', 'a.crdownload', 'a.tmp', 'a~', '.git/config'])(
    '%s is passed over',
    async (name) => {
      await mkdir(join(folder, '.git'))
      await write(name, 'x')
      await write('seen.md', 'seen')
      await start()
      expect(await shown()).toEqual({ 'seen.md': 'seen' })
    },
  )
})

describe('watched folder: what lies outside', () => {
  test('links that lead out are refused, files and folders; one within is a file', async () => {
    const outside = join(dir, 'outside')
    await mkdir(outside)
    await writeFile(join(outside, 'secret.md'), 'secret')
    await write('in.md', 'in')
    await symlink(join(outside, 'secret.md'), join(folder, 'file.md'))
    await symlink(outside, join(folder, 'folder'))
    await symlink('../outside/secret.md', join(folder, 'relative.md'))
    await symlink('in.md', join(folder, 'link.md'))
    await symlink(folder, join(folder, 'loop'))
    await start()
    expect(await shown()).toEqual({ 'in.md': 'in', 'link.md': 'in' })
    expect(warnings.filter((each) => each.includes('leads out')).length).toBe(3)
    // A file that becomes such a link is no document any more.
    await unlink(join(folder, 'in.md'))
    await symlink(join(outside, 'secret.md'), join(folder, 'in.md'))
    await watch.look()
    expect(await shown()).toEqual({})
  })

  test('a folder swapped for a link while its file is taken gives nothing from outside', async () => {
    const outside = join(dir, 'outside')
    await mkdir(outside)
    await writeFile(join(outside, 'a.md'), 'secret')
    await mkdir(join(folder, 'sub'))
    await write('sub/a.md', 'mine')
    await start()
    for (let round = 0; round < 30; round++) {
      await write('sub/a.md', `mine ${round}`)
      const looking = watch.look()
      await rename(join(folder, 'sub'), join(dir, 'aside'))
      await symlink(outside, join(folder, 'sub'))
      await unlink(join(folder, 'sub'))
      await rename(join(dir, 'aside'), join(folder, 'sub'))
      await looking
    }
    const texts = (await records()).map(({ document }) => String(document?.content))
    expect(texts).not.toContain('secret')
    await watch.look()
    expect(await shown()).toEqual({ 'sub/a.md': 'mine 29' })
  })
})

describe('watched folder: restarts and faults', () => {
  test('a restart publishes only what changed meanwhile, and removes what is gone', async () => {
    for (const name of ['a', 'b', 'c']) await write(`${name}.md`, name)
    await start()
    await restart()
    expect(await countOfRecords()).toBe(3)
    await watch.stop()
    await write('a.md', 'changed')
    await unlink(join(folder, 'b.md'))
    await rename(join(folder, 'c.md'), join(folder, 'd.md'))
    await start()
    expect(await shown()).toEqual({ 'a.md': 'changed', 'd.md': 'c' })
    expect(await countOfRecords()).toBe(7)
  })

  test('another access list is published for every file', async () => {
    await write('a.md', 'a')
    await start({ access: '*' })
    await restart({ access: 'hr' })
    expect((await records()).at(-1)!.document!.access).toEqual(['hr'])
    await restart({ access: 'hr' })
    expect(await countOfRecords()).toBe(2)
  })

  test('a folder that is gone, or another in its place, removes nothing; back again it goes on', async () => {
    for (const name of ['a', 'b']) await write(`${name}.md`, name)
    await start()
    await rename(folder, join(dir, 'unmounted'))
    await until('it is told of', async () => warnings.some((each) => each.includes('until it is back')))
    // The empty folder that a share is mounted on.
    await mkdir(folder)
    await watch.look()
    expect(warnings.some((each) => each.includes('another folder is in its place'))).toBe(true)
    await watch.stop()
    await start()
    expect(Object.keys(await shown())).toEqual(['a.md', 'b.md'])
    await rm(folder, { recursive: true })
    await rename(join(dir, 'unmounted'), folder)
    await unlink(join(folder, 'a.md'))
    await watch.look()
    expect(Object.keys(await shown())).toEqual(['b.md'])
  })

  test('most of many files gone at once removes nothing until it is confirmed', async () => {
    for (let i = 0; i < 50; i++) await write(`${i}.md`, `${i}`)
    await start()
    await watch.stop()
    for (const name of await readdir(folder)) await unlink(join(folder, name))
    await start()
    expect(Object.keys(await shown())).toHaveLength(50)
    expect(warnings.some((each) => each.includes(CONFIRM_FILE))).toBe(true)
    await write(CONFIRM_FILE, '')
    await watch.look()
    expect(await shown()).toEqual({})
  })

  test('most of many files renamed at once is no deletion of most', async () => {
    await mkdir(join(folder, 'one'))
    for (let i = 0; i < 50; i++) await write(`one/${i}.md`, `${i}`)
    await start()
    await rename(join(folder, 'one'), join(folder, 'two'))
    await watch.look()
    expect(Object.keys(await shown())).toHaveLength(50)
    expect(Object.keys(await shown())[0]).toBe('two/0.md')
  })

  test('what is at fault itself is told once and stops no other; it is taken when it has changed', async () => {
    await write('large.md', 'x'.repeat(3 * MIB))
    await write(`${'x'.repeat(250)}.md`, 'fine')
    await mkdir(join(folder, 'y'.repeat(250), 'z'.repeat(200)), { recursive: true })
    await write(`${'y'.repeat(250)}/${'z'.repeat(200)}/${'x'.repeat(200)}.md`, 'its id is too long')
    await start()
    await restart()
    expect(Object.keys(await shown())).toEqual([`${'x'.repeat(250)}.md`])
    expect(warnings.filter((each) => each.includes('large.md was not taken'))).toHaveLength(1)
    expect(await blobs.list(`uploads/${TENANT}/`)).toEqual([])
    await write('large.md', 'small')
    await watch.look()
    expect((await shown())['large.md']).toBe('small')
  })

  test('a log that fails is waited for, and nothing is missed', async () => {
    let failures = 3
    const append: EventLog['append'] = async (...of) => {
      if (failures-- > 0) throw unavailable('log_unavailable', 'down')
      return await log.append(...of)
    }
    await write('a.md', 'a')
    await start({ log: { ...log, append }, clock: { ...hastyClock, now: () => Date.now() } })
    expect(await shown()).toEqual({ 'a.md': 'a' })
  })

  test('two with the same prefix are refused', () => {
    watch = open()
    expect(() => open({ folders: ['/srv/a/docs', '/srv/b/docs'] })).toThrow(/two folders are called docs/)
  })
})

type Step = { do: 'write' | 'delete' | 'rename' | 'look' | 'restart'; path: string; to: string; text: string }

test('watched folder: whatever is created, changed, renamed, deleted, it ends with exactly the files of the folder', async () => {
  const paths = [
    'a.md',
    'b.md',
    'sub/a.md',
    'sub/b.md',
    'sub/deep/c.md',
    'other/a.md',
    'sub',
    'other',
    '.hidden.md',
  ]
  const step = fc.record({
    do: fc.constantFrom<Step['do'][]>('write', 'write', 'write', 'delete', 'rename', 'look', 'restart'),
    path: fc.constantFrom(...paths),
    to: fc.constantFrom(...paths),
    text: fc.constantFrom('one', 'two', 'three'),
  })
  const act = async ({ do: what, path, to, text }: Step) => {
    const [from, target] = [join(folder, path), join(folder, to)]
    if (what === 'look') return await watch.look()
    if (what === 'restart') return await restart()
    // What cannot be done in this state of the folder is not done.
    await mkdir(join(what === 'rename' ? target : from, '..'), { recursive: true }).catch(() => {})
    const done =
      what === 'write'
        ? writeFile(from, text)
        : what === 'rename'
          ? rename(from, target)
          : rm(from, { recursive: true })
    await done.catch(() => {})
  }
  const expected = async () => {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    const files = entries
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1))
      .filter((path) => !/(?:^|\/)\./.test(path))
    const texts = files.map(async (path): Promise<[string, string]> => [
      path,
      await readFile(join(folder, path), 'utf8'),
    ])
    return Object.fromEntries((await Promise.all(texts)).sort(byName))
  }
  await start()
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      for (const each of steps) await act(each)
      await watch.look()
      expect(await shown()).toEqual(await expected())
    }),
    { numRuns: 25 },
  )
})
