import { crc32 } from 'node:zlib'

import { errorMessage } from '@aquifer/runtime/errors'
import { fromBufferPromise } from 'yauzl'
import type { Entry, ZipFile } from 'yauzl'

import type { Budget } from './document.ts'
import { loadFailure } from './failures.ts'

/** A ZIP archive in memory; nothing of it is ever written to a disk. */
export interface Archive {
  readonly names: ReadonlySet<string>
  /** Null where there is no such part. Fails `encrypted`, `broken`, `too_large`. */
  read(name: string): Promise<Buffer | null>
}

const MAX_ENTRIES = 20_000
/**
 * A part above the first size that unpacks to more than so many times itself is a bomb. Office XML reaches about 50,
 * a large sheet of equal rows 150; DEFLATE can do 1,032.
 */
const CHECKED_BYTES = 4 * 1024 * 1024
const MAX_RATIO = 300

/** Reads the directory alone; a part is unpacked when it is asked for, and counts against the budget before that. */
export async function openArchive(bytes: Uint8Array, budget: Budget): Promise<Archive> {
  const entries = new Map<string, Entry>()
  let zip: ZipFile
  try {
    zip = await fromBufferPromise(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), {
      lazyEntries: true,
    })
    if (zip.entryCount > MAX_ENTRIES)
      throw loadFailure('too_large', `the archive has more than ${MAX_ENTRIES} parts`)
    for await (const entry of zip.eachEntry())
      if (!entries.has(entry.fileName)) entries.set(entry.fileName, entry)
  } catch (error) {
    throw archiveFailure(error)
  }
  return {
    names: new Set(entries.keys()),
    async read(name) {
      const entry = entries.get(name)
      return entry ? await unpack(zip, entry, budget) : null
    },
  }
}

async function unpack(zip: ZipFile, entry: Entry, budget: Budget): Promise<Buffer> {
  const { fileName, uncompressedSize, compressedSize } = entry
  if (entry.isEncrypted())
    throw loadFailure('encrypted', 'the file asks for a password: publish it without protection')
  if (uncompressedSize > budget.unpackedBytes)
    throw loadFailure('too_large', `${fileName} unpacks to more than the limit: publish it in parts`)
  if (uncompressedSize > CHECKED_BYTES && uncompressedSize > compressedSize * MAX_RATIO)
    throw loadFailure(
      'too_large',
      `${fileName} unpacks to ${Math.round(uncompressedSize / compressedSize)} times its size: no document does`,
    )
  budget.unpackedBytes -= uncompressedSize
  try {
    const parts: Buffer[] = []
    // The library ends the stream with an error where it holds another number of bytes than was declared.
    for await (const part of await zip.openReadStreamPromise(entry)) parts.push(part as Buffer)
    const content = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
    if (crc32(content) !== entry.crc32)
      throw loadFailure('broken', `${fileName} in it is damaged: publish it again`)
    return content
  } catch (error) {
    throw archiveFailure(error)
  }
}

function archiveFailure(error: unknown): unknown {
  if (error instanceof Error && 'status' in error) return error
  return loadFailure(
    'broken',
    `the archive cannot be read (${errorMessage(error)}): publish a repaired copy`,
    error,
  )
}
