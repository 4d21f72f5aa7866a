import type { Chunks } from '@aquifer/contracts/types'
import { formatVersion } from '@aquifer/contracts/version'
import { createLexicalEmbedder } from '@aquifer/models/lexical-embedder'
import { longestTurnMs } from '@aquifer/runtime/longest-turn.fixture'
import { createMemoryVectorIndex } from '@aquifer/stores/vector-index-memory'
import { describe, expect, test } from 'vitest'
import { createPointMaker } from './points.ts'
import type { Part } from './work.ts'

const versionAt = (offset: number): string =>
  formatVersion({ appendTimeMs: 1_700_000_000_000 + offset, topic: 'documents', partition: 0, offset })

function part(offset: number, texts: readonly string[], title = 'T'): Part {
  const chunks: Chunks = {
    version: versionAt(offset),
    build: 'build-1',
    part: 0,
    parts: 1,
    totalChunks: texts.length,
    title,
    contentType: 'text/plain',
    metadata: {},
    access: null,
    guard: [],
    language: null,
    fingerprint: null,
    publishedAt: 1,
    chunks: texts.map((text, index) => ({
      index,
      text,
      headings: [],
      page: null,
      start: 0,
      end: text.length,
    })),
  }
  const position = { topic: 'chunks', partition: 0, offset, appendTimeMs: 1 }
  return {
    kind: 'part',
    tenant: 'acme',
    documentId: 'a',
    chunks,
    replayedAt: null,
    record: { ...position, key: null, value: null, headers: {} },
  }
}

/** An index that holds what was made before, and a registry that knows nothing of it, as after its loss. */
async function start(held: readonly Part[]) {
  const lexical = createLexicalEmbedder()
  const embedded: string[] = []
  const fetched: number[] = []
  const index = await createMemoryVectorIndex().open({
    fingerprint: lexical.fingerprint,
    dimensions: lexical.dimensions,
  })
  const make = createPointMaker({
    index: {
      ...index,
      async fetch(selector, limit) {
        fetched.push(limit)
        return await index.fetch(selector, limit)
      },
    },
    embedder: {
      ...lexical,
      async embed(passages, options) {
        embedded.push(...passages.map(({ text }) => text))
        return await lexical.embed(passages, options)
      },
    },
  })
  const signal = new AbortController().signal
  for (const each of held) {
    const [made] = await make([each], new Map(), 'bulk', signal)
    await index.upsert(made!.points)
  }
  embedded.length = 0
  fetched.length = 0
  return {
    embedded,
    fetched,
    makeAll: async (parts: readonly Part[]) => await make(parts, new Map(), 'bulk', signal),
    make: async (each: Part) => (await make([each], new Map(), 'bulk', signal))[0]!,
  }
}

describe('points', () => {
  test('a registry that is made again: what the index holds of the document is not embedded again', async () => {
    const { embedded, make } = await start([part(1, ['one', 'two']), part(2, ['one', 'three'])])
    const { points, reused } = await make(part(3, ['one', 'two', 'three', 'four']))
    expect(embedded).toEqual([expect.stringContaining('four')])
    expect(reused).toBe(3)
    expect(points.map(({ text, version }) => [text, version])).toEqual(
      ['one', 'two', 'three', 'four'].map((text) => [text, versionAt(3)]),
    )
  })

  test('a registry that is made again: another title is another passage', async () => {
    const { embedded, make } = await start([part(1, ['one'], 'Before')])
    expect((await make(part(2, ['one'], 'After'))).reused).toBe(0)
    expect(embedded).toHaveLength(1)
  })

  test('sixteen large parts of one document: what the index has of it is read once, and no turn of the event loop takes 50 ms', async () => {
    const words = Array.from({ length: 120 }, (_, word) => `word${word}`).join(' ')
    const { fetched, makeAll } = await start([])
    const parts = Array.from({ length: 16 }, (_, p) => ({
      ...part(
        1,
        Array.from({ length: 500 }, (__, i) => `${p} ${i} ${words}`),
      ),
    }))
    const longestMs = await longestTurnMs(async () => expect(await makeAll(parts)).toHaveLength(16))
    expect(fetched).toHaveLength(1)
    expect(longestMs).toBeLessThan(50)
  })

  test('what is looked through is bounded by the size of the document', async () => {
    const { fetched, make } = await start([part(1, ['one', 'two', 'three'])])
    await make(part(2, ['one']))
    expect(fetched).toEqual([2])
  })
})
