import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import type { Blobs } from '@aquifer/stores/blobs'

const MIB = 1024 * 1024

export function blobsConformance(
  name: string,
  open: () => Promise<{ blobs: Blobs; close: () => Promise<void> }>,
): void {
  function behaviour(title: string, run: (blobs: Blobs) => Promise<void>): void {
    test(title, async () => {
      const { blobs, close } = await open()
      try {
        await blobs.ping()
        await run(blobs)
      } finally {
        await blobs.close()
        await close()
      }
    })
  }

  describe(`blobs: ${name}`, () => {
    behaviour('a blob comes back byte for byte, whole and as a stream', async (blobs) => {
      const content = Buffer.from(Array.from({ length: 3 * MIB }, (_, i) => (i * 31) % 251))
      const sha256 = createHash('sha256').update(content).digest('hex')
      expect(await blobs.put('a/b-1/c_2.bin', content)).toEqual({ sizeBytes: content.length, sha256 })
      expect((await blobs.get('a/b-1/c_2.bin'))!.equals(content)).toBe(true)
      const streamed = Readable.from([content.subarray(0, 10), content.subarray(10)])
      expect(await blobs.put('a/b-1/d', streamed)).toEqual({ sizeBytes: content.length, sha256 })
      expect((await buffer((await blobs.stream('a/b-1/d'))!)).equals(content)).toBe(true)
      expect((await blobs.put('empty', Buffer.alloc(0))).sizeBytes).toBe(0)
      expect(await blobs.get('empty')).toEqual(Buffer.alloc(0))
    })

    behaviour('there is none: null', async (blobs) => {
      expect(await blobs.get('a/b')).toBeNull()
      expect(await blobs.stream('a/b')).toBeNull()
      expect(await blobs.list('a/')).toEqual([])
      await blobs.delete('a/b')
      await blobs.deletePrefix('a/')
      await blobs.put('a/b/c', Buffer.from('x'))
      expect(await blobs.get('a/b')).toBeNull()
      expect(await blobs.stream('a/b')).toBeNull()
    })

    behaviour('past maxBytes it stops reading, keeps nothing and says so', async (blobs) => {
      await blobs.put('k', Buffer.from('old'))
      let given = 0
      const endless = Readable.from(
        (function* chunks() {
          for (;;) {
            given++
            yield Buffer.alloc(64 * 1024)
          }
        })(),
      )
      await expect(blobs.put('k', endless, { maxBytes: MIB })).rejects.toMatchObject({
        code: 'content_too_large',
        status: 413,
        retryable: false,
      })
      expect(given).toBeLessThan(200)
      expect(endless.destroyed).toBe(true)
      expect(String(await blobs.get('k'))).toBe('old')
      await expect(blobs.put('new', Buffer.alloc(11), { maxBytes: 10 })).rejects.toMatchObject({
        code: 'content_too_large',
      })
      expect(await blobs.get('new')).toBeNull()
      expect((await blobs.put('new', Buffer.alloc(10), { maxBytes: 10 })).sizeBytes).toBe(10)
    })

    behaviour('a source that breaks off leaves the old content', async (blobs) => {
      await blobs.put('k', Buffer.from('old'))
      const broken = new Readable({
        read() {
          this.push('half')
          this.destroy(new Error('the client went away'))
        },
      })
      await expect(blobs.put('k', broken)).rejects.toThrow('the client went away')
      expect(String(await blobs.get('k'))).toBe('old')
    })

    behaviour('put is atomic: a reader sees all of one content', async (blobs) => {
      const contents = [1, 2, 3, 4].map((fill) => Buffer.alloc(MIB, fill))
      await blobs.put('k', contents[0]!)
      const state = { writing: true }
      const written = Promise.all(contents.map((content) => blobs.put('k', content))).finally(() => {
        state.writing = false
      })
      do {
        const seen = (await blobs.get('k'))!
        expect(contents.some((content) => content.equals(seen))).toBe(true)
      } while (state.writing)
      await written
    })

    behaviour('list and deletePrefix name what lies below the prefix alone', async (blobs) => {
      const keys = ['d/a', 'd/a/b', 'd/a/c/d', 'd/a.x', 'd/ab/c', 'e/a']
      await Promise.all(keys.map((key) => blobs.put(key, Buffer.from(key))))
      expect(await blobs.list('d/')).toEqual(['d/a', 'd/a.x', 'd/a/b', 'd/a/c/d', 'd/ab/c'])
      expect(await blobs.list('d/a/')).toEqual(['d/a/b', 'd/a/c/d'])
      await blobs.deletePrefix('d/a/')
      expect(await blobs.list('d/')).toEqual(['d/a', 'd/a.x', 'd/ab/c'])
      await blobs.delete('d/ab/c')
      expect(String(await blobs.get('d/a'))).toBe('d/a')
      expect(await blobs.list('e/')).toEqual(['e/a'])
    })

    behaviour('puts and deletes side by side disturb no neighbour', async (blobs) => {
      await Promise.all(
        Array.from({ length: 40 }, async (_, i) => {
          const key = `shared/folder/${i}`
          await blobs.put(key, Buffer.from(key))
          if (i % 2) await blobs.delete(key)
          else expect(String(await blobs.get(key))).toBe(key)
        }),
      )
      expect(await blobs.list('shared/')).toHaveLength(20)
    })

    behaviour('a key that is no key is refused', async (blobs) => {
      const keys = [
        '',
        '/',
        '/a',
        'a/',
        'a//b',
        '..',
        '../a',
        'a/../../b',
        'a/./b',
        'a b',
        'a\\b',
        'a~',
        'é',
        'a\u0000',
        'x'.repeat(3000),
      ]
      for (const key of keys) {
        const refused = { code: 'invalid_key', retryable: false }
        await expect(blobs.put(key, Buffer.from('x'))).rejects.toMatchObject(refused)
        await expect(blobs.get(key)).rejects.toMatchObject(refused)
        await expect(blobs.delete(key)).rejects.toMatchObject(refused)
        await expect(blobs.deletePrefix(key.endsWith('/') ? `/${key}` : key)).rejects.toMatchObject(refused)
      }
    })
  })
}
