import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { checkKey, checkPrefix, measure } from './content.ts'
import type { Blobs } from './port.ts'

/** Blobs in memory, for tests and simulation. Nothing survives the process. */
export function createMemoryBlobs(): Blobs {
  const kept = new Map<string, Buffer>()
  const below = (prefix: string): string[] => {
    checkPrefix(prefix)
    return [...kept.keys()].filter((key) => key.startsWith(prefix)).sort()
  }

  return {
    async put(key, content, { maxBytes = Number.POSITIVE_INFINITY } = {}) {
      const measured = measure(checkKey(key), content, maxBytes)
      const slices: Buffer[] = []
      // The caller may go on using its buffers.
      for await (const slice of measured.bytes) slices.push(Buffer.from(slice))
      kept.set(key, Buffer.concat(slices))
      return measured.result()
    },
    async get(key) {
      checkKey(key)
      // As from any store: others run before the answer.
      await nextTurn()
      return kept.get(key) ?? null
    },
    async stream(key) {
      const bytes = kept.get(checkKey(key))
      return bytes ? Readable.from(bytes.length > 0 ? [bytes] : []) : null
    },
    list: async (prefix) => below(prefix),
    async delete(key) {
      kept.delete(checkKey(key))
    },
    async deletePrefix(prefix) {
      for (const key of below(prefix)) kept.delete(key)
    },
    ping: async () => {},
    close: async () => {},
  }
}
