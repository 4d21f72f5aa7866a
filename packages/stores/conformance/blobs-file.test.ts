import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { openFileBlobs } from '@aquifer/stores/blobs-file'
import { blobsConformance } from './blobs.ts'

const fresh = (): Promise<string> => mkdtemp(join(tmpdir(), 'aquifer-blobs-'))

blobsConformance('file', async () => {
  const path = await fresh()
  return {
    blobs: await openFileBlobs({ path }),
    close: () => rm(path, { recursive: true, force: true }),
  }
})

test('file blobs: nothing half written outlives a put that failed, or the process', async () => {
  const path = await fresh()
  const blobs = await openFileBlobs({ path })
  await expect(blobs.put('k', Buffer.alloc(11), { maxBytes: 10 })).rejects.toThrow()
  expect(await readdir(join(path, 'incoming'))).toEqual([])
  const left = join(path, 'incoming', 'left-by-a-dead-process')
  await writeFile(left, 'half')
  const yesterday = Date.now() / 1000 - 24 * 60 * 60
  await utimes(left, yesterday, yesterday)
  await openFileBlobs({ path })
  expect(await readdir(join(path, 'incoming'))).toEqual([])
})

test('file blobs: another process that opens the directory leaves what is being written alone', async () => {
  const path = await fresh()
  const blobs = await openFileBlobs({ path })
  const goOn = Promise.withResolvers<void>()
  const opened = Promise.withResolvers<void>()
  async function* halves() {
    yield Buffer.from('first, ')
    opened.resolve()
    await goOn.promise
    yield Buffer.from('second')
  }
  const putting = blobs.put('k', Readable.from(halves()))
  await opened.promise
  await openFileBlobs({ path })
  goOn.resolve()
  await putting
  expect(String(await blobs.get('k'))).toBe('first, second')
})

test('file blobs: a deletion leaves no empty folders', async () => {
  const path = await fresh()
  const blobs = await openFileBlobs({ path })
  await blobs.put('a/b/c', Buffer.from('x'))
  await blobs.put('a/d/e/f', Buffer.from('x'))
  await blobs.delete('a/b/c')
  expect(existsSync(join(path, 'blobs/a/b'))).toBe(false)
  await blobs.deletePrefix('a/d/')
  expect(await readdir(join(path, 'blobs'))).toEqual([])
})
