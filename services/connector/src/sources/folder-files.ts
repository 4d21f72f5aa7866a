import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { lstat, open, realpath, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { isAbsolute, join, relative } from 'node:path'
import { errorMessage, invalid } from '@aquifer/runtime/errors'

/** A file's own fault, for as long as its disk fails. */
export const UNREADABLE = 'unreadable_file'

/**
 * What lies at a path below a folder. `mark` changes whenever the content may have: size, times, inode. `passed` says why a path is
 * no file to take; `unreadable` is not the same as missing, for a share that is gone answers so too.
 */
export type Found =
  | { readonly kind: 'file'; readonly mark: string }
  | { readonly kind: 'folder'; readonly mark: string }
  | { readonly kind: 'missing' }
  | { readonly kind: 'passed'; readonly why: string }
  | { readonly kind: 'unreadable'; readonly why: string }

/** Hidden files, and those that editors, browsers and office programs write on the way to the real one. */
const PASSED_OVER = /^\.|^~\$|^#.*#$|~$|\.(?:part|partial|crdownload|download|tmp|temp|swp|swx|lock)$/i

export function isPassedOver(name: string): boolean {
  return PASSED_OVER.test(name)
}

export function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ENOTDIR'
}

function isInside(root: string, path: string): boolean {
  const below = relative(root, path)
  return below !== '' && below !== '..' && !below.startsWith('../') && !isAbsolute(below)
}

function markOf({ size, mtimeNs, ctimeNs, ino, dev }: BigIntStats): string {
  return [size, mtimeNs, ctimeNs, ino, dev].join(':')
}

/** Device and inode: what stands at the path is the same folder as before. Throws what the file system does. */
export async function folderIdentity(root: string): Promise<string> {
  const { dev, ino } = await stat(root, { bigint: true })
  return `${dev}:${ino}`
}

/**
 * Looks at a path below `root`, which is a real path. A link to a file within the folder is that file; one that leads out, and any
 * link to a folder, is passed over: what a folder within holds is seen at its own place.
 */
export async function inspect(root: string, path: string): Promise<Found> {
  const full = join(root, path)
  try {
    let found = await lstat(full, { bigint: true })
    if (found.isSymbolicLink()) {
      const real = await realpath(full)
      if (real !== root && !isInside(root, real))
        return { kind: 'passed', why: 'it is a link that leads out of the folder' }
      found = await stat(full, { bigint: true })
      if (found.isDirectory()) return { kind: 'passed', why: 'it is a link to a folder' }
    }
    if (found.isDirectory()) return { kind: 'folder', mark: `${found.dev}:${found.ino}` }
    if (!found.isFile()) return { kind: 'passed', why: 'it is no regular file' }
    return { kind: 'file', mark: markOf(found) }
  } catch (error) {
    return isMissing(error) ? { kind: 'missing' } : { kind: 'unreadable', why: String(error) }
  }
}

export interface OpenedFile {
  readonly handle: FileHandle
  readonly mark: string
  /** Of the content as it is now. */
  markNow(): Promise<string>
}

/**
 * Opens a file below `root`, or null where by now it is none or lies outside. Any part of a path may be swapped for a link at any
 * time; so what was opened has to be what the path, its links followed, names within the folder afterwards too.
 */
export async function openInside(root: string, path: string): Promise<OpenedFile | null> {
  const full = join(root, path)
  const real = await realpath(full)
  if (!isInside(root, real)) return null
  // No pipe is waited for, and no link is followed at the last step.
  const handle = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const opened = await handle.stat({ bigint: true })
    const after = await realpath(full)
    const named = await stat(after, { bigint: true })
    if (opened.isFile() && isInside(root, after) && named.ino === opened.ino && named.dev === opened.dev) {
      return {
        handle,
        mark: markOf(opened),
        markNow: async () => markOf(await handle.stat({ bigint: true })),
      }
    }
  } catch (error) {
    await handle.close()
    throw error
  }
  await handle.close()
  return null
}

/** The content from its beginning. Throws `UNREADABLE` where the disk fails. */
export async function* readAll(handle: FileHandle, onSlice: (slice: Buffer) => void): AsyncGenerator<Buffer> {
  const slices = handle.createReadStream({ start: 0, autoClose: false })[Symbol.asyncIterator]()
  for (;;) {
    const { done, value } = await slices.next().catch((cause: unknown) => {
      throw invalid(UNREADABLE, errorMessage(cause), 400, cause)
    })
    if (done) return
    onSlice(value as Buffer)
    yield value as Buffer
  }
}

/** Hexadecimal sha256. */
export async function hashOf(handle: FileHandle): Promise<string> {
  const hash = createHash('sha256')
  for await (const _ of readAll(handle, (slice) => hash.update(slice))) continue
  return hash.digest('hex')
}
