import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { AquiferError, errorMessage, unavailable } from '@aquifer/runtime/errors'
import { checkKey, checkPrefix, measure } from './content.ts'
import type { Blobs } from './port.ts'

/** Ends a file's name and may not stand in a key: so `a` and `a/b` can both be keys. */
const FILE_MARK = '~'
const MAX_RENAMES = 16
/** An upload that goes on writes far more often than this. */
const ABANDONED_MS = 60 * 60 * 1000

/**
 * Blobs as files, in a directory that several processes may share.
 *
 *  B1  Content is written beside, synced, then renamed into place, and the folder synced: all of it or the old one.
 *  B2  What a killed process left half written lies in `incoming`. At open, what nobody has written to for an hour goes: the rest
 *      may be another process's.
 */
export async function openFileBlobs({ path }: { path: string }): Promise<Blobs> {
  const root = join(path, 'blobs')
  const incoming = join(path, 'incoming')
  await mkdir(incoming, { recursive: true })
  await removeAbandoned(incoming)
  await mkdir(root, { recursive: true })

  const fileOf = (key: string): string => join(root, `${checkKey(key)}${FILE_MARK}`)
  const folderOf = (prefix: string): string => join(root, checkPrefix(prefix))

  /** Removes folders that a deletion left empty, up to the root. */
  async function removeEmpty(folder: string): Promise<void> {
    for (let at = folder; at !== root && !relative(root, at).startsWith('..'); at = dirname(at)) {
      try {
        await rmdir(at)
      } catch (error) {
        if (codeOf(error) !== 'ENOENT') return
      }
    }
  }

  async function place(from: string, to: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await rename(from, to)
        return await syncFolder(dirname(to))
      } catch (error) {
        if (codeOf(error) !== 'ENOENT' || attempt === MAX_RENAMES) throw error
      }
      // Not made yet, or a deletion has taken the empty folder away in between.
      await mkdir(dirname(to), { recursive: true })
    }
  }

  return {
    async put(key, content, { maxBytes = Number.POSITIVE_INFINITY } = {}) {
      const target = fileOf(key)
      const temporary = join(incoming, randomUUID())
      const measured = measure(key, content, maxBytes)
      try {
        await writeFile(temporary, measured.bytes, { flush: true })
        await place(temporary, target)
      } catch (error) {
        await rm(temporary, { force: true })
        throw failure(error)
      }
      return measured.result()
    },
    get: async (key) => await unlessMissing(readFile(fileOf(key))),
    async stream(key) {
      const file = await unlessMissing(open(fileOf(key)))
      return file && file.createReadStream()
    },
    async list(prefix) {
      const folder = folderOf(prefix)
      const entries = (await unlessMissing(readdir(folder, { recursive: true, withFileTypes: true }))) ?? []
      return entries
        .filter((entry) => entry.isFile())
        .map((entry) => relative(root, join(entry.parentPath, entry.name)).slice(0, -FILE_MARK.length))
        .sort()
    },
    async delete(key) {
      const file = fileOf(key)
      await rm(file, { force: true }).catch(rethrow)
      await removeEmpty(dirname(file))
    },
    async deletePrefix(prefix) {
      const folder = folderOf(prefix)
      await rm(folder, { recursive: true, force: true }).catch(rethrow)
      await removeEmpty(dirname(folder))
    },
    async ping() {
      await stat(root).catch(rethrow)
    },
    close: async () => {},
  }
}

async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const written = await unlessMissing(stat(path))
    if (written && Date.now() - written.mtimeMs > ABANDONED_MS) await rm(path, { force: true })
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function unlessMissing<T>(reading: Promise<T>): Promise<T | null> {
  try {
    return await reading
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw failure(error)
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}

function failure(error: unknown): unknown {
  // What the source itself failed with stays as it is; only the file system's errors carry a system call.
  if (error instanceof AquiferError || (error as NodeJS.ErrnoException).syscall === undefined) return error
  return unavailable('blob_store_failed', errorMessage(error), error)
}

function rethrow(error: unknown): never {
  throw failure(error)
}
