import { describe, expect, test } from 'vitest'
import type { Cache } from '@aquifer/stores/cache'

/** `advance` moves the cache's time, or waits for it to pass. */
export function cacheConformance(
  name: string,
  open: () => Promise<{ cache: Cache; advance(ms: number): Promise<void>; close: () => Promise<void> }>,
): void {
  function behaviour(
    title: string,
    run: (cache: Cache, advance: (ms: number) => Promise<void>) => Promise<void>,
  ): void {
    test(title, async () => {
      const { cache, close, ...time } = await open()
      try {
        await cache.ping()
        await run(cache, (ms) => time.advance(ms))
      } finally {
        await close()
      }
    })
  }

  describe(`cache: ${name}`, () => {
    behaviour('a value comes back byte for byte until its time is over', async (cache, advance) => {
      const value = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
      expect(await cache.get('k')).toBeNull()
      await cache.set('k', value, 1000)
      expect(await cache.get('k')).toEqual(value)
      await advance(999)
      expect(await cache.get('k')).toEqual(value)
      await advance(2)
      expect(await cache.get('k')).toBeNull()
    })

    behaviour('set replaces the value and its time', async (cache, advance) => {
      await cache.set('k', Buffer.from('one'), 1000)
      await cache.set('k', Buffer.from('two'), 5000)
      await advance(2000)
      expect(String(await cache.get('k'))).toBe('two')
      await cache.set('k', Buffer.alloc(0), 5000)
      expect(await cache.get('k')).toEqual(Buffer.alloc(0))
    })

    behaviour('add: of concurrent callers exactly one gets true', async (cache, advance) => {
      for (let round = 0; round < 3; round++) {
        const added = await Promise.all(
          Array.from({ length: 20 }, (_, i) => cache.add('k', Buffer.from(`${round}-${i}`), 1000)),
        )
        expect(added.filter(Boolean)).toHaveLength(1)
        expect(String(await cache.get('k'))).toBe(`${round}-${added.indexOf(true)}`)
        await advance(1001)
      }
    })

    behaviour('delete removes, and again nothing', async (cache) => {
      await cache.set("k'😀", Buffer.from('x'), 1000)
      await cache.set('other', Buffer.from('y'), 1000)
      await cache.delete("k'😀")
      await cache.delete("k'😀")
      expect(await cache.get("k'😀")).toBeNull()
      expect(String(await cache.get('other'))).toBe('y')
      expect(await cache.add("k'😀", Buffer.from('z'), 1000)).toBe(true)
    })

    behaviour('many writes: what has not expired stays', async (cache, advance) => {
      for (let i = 0; i < 250; i++) await cache.set(`short ${i}`, Buffer.from('s'), 10)
      await advance(11)
      await Promise.all(
        Array.from({ length: 450 }, (_, i) => cache.set(`long ${i}`, Buffer.from(`${i}`), 60_000)),
      )
      expect(await cache.get('short 3')).toBeNull()
      for (const i of [0, 224, 449]) expect(String(await cache.get(`long ${i}`))).toBe(`${i}`)
    })
  })
}
