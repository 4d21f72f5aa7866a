import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { KnownFile, WatchState } from '@aquifer/stores/watch-state'

export interface WatchStateAdapter {
  open(): Promise<WatchState>
  /** Takes away what `open` opened, and what was written. */
  close(): Promise<void>
}

const file = (given: Partial<KnownFile> = {}): KnownFile => ({
  mark: '3:1:1:7:2',
  sha256: 'ab',
  access: '{"access":["é"],"open":false}',
  ...given,
})

export function watchStateConformance(name: string, fresh: () => Promise<WatchStateAdapter>): void {
  describe(`watch state: ${name}`, () => {
    let adapter: WatchStateAdapter
    beforeEach(async () => {
      adapter = await fresh()
    })
    afterEach(async () => await adapter.close())

    test('what was saved last is loaded, by whoever opens it', async () => {
      const state = await adapter.open()
      expect(await state.load('acme/docs')).toEqual(new Map())
      await state.save('acme/docs', 'a/ä 😀.md', file())
      await state.save('acme/docs', 'b.md', file({ sha256: null }))
      await state.save('acme/docs', 'a/ä 😀.md', file({ mark: 'other' }))
      await state.save('acme/others', 'c.md', file())
      expect(await (await adapter.open()).load('acme/docs')).toEqual(
        new Map([
          ['a/ä 😀.md', file({ mark: 'other' })],
          ['b.md', file({ sha256: null })],
        ]),
      )
    })

    test('what is forgotten is gone, of its folder alone', async () => {
      const state = await adapter.open()
      for (const folder of ['acme/docs', 'acme/others']) await state.save(folder, 'a.md', file())
      await state.forget('acme/docs', 'a.md')
      await state.forget('acme/docs', 'never.md')
      expect((await state.load('acme/docs')).size).toBe(0)
      expect((await state.load('acme/others')).size).toBe(1)
    })

    test('a folder of thousands is loaded whole', async () => {
      const state = await adapter.open()
      const paths = Array.from({ length: 2500 }, (_, i) => `${i}.md`)
      await Promise.all(paths.map(async (path) => await state.save('acme/docs', path, file({ mark: path }))))
      const loaded = await state.load('acme/docs')
      expect([...loaded.keys()].toSorted()).toEqual(paths.toSorted())
      expect(loaded.get('7.md')).toEqual(file({ mark: '7.md' }))
    })

    test('a folder’s identity is null until it is set, and the last one after', async () => {
      const state = await adapter.open()
      expect(await state.identity('acme/docs')).toBeNull()
      await state.setIdentity('acme/docs', '1:2')
      await state.setIdentity('acme/docs', '1:3')
      expect(await state.identity('acme/docs')).toBe('1:3')
      expect(await state.identity('acme/others')).toBeNull()
    })
  })
}
