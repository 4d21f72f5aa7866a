import { pointId } from '@aquifer/contracts/keys'
import { createLexicalEmbedder } from '@aquifer/models/lexical-embedder'
import { createMemoryRegistry } from '@aquifer/stores/registry-memory'
import type { Point } from '@aquifer/stores/vector-index'
import { createMemoryVectorIndex } from '@aquifer/stores/vector-index-memory'
import { terms } from '@aquifer/text/terms'
import { expect, test } from 'vitest'
import { createRetriever } from './retrieve.ts'

const VERSION = '019b76daa801-aquifer.documents-00000-0000000000000001'
const NOW = Date.UTC(2026, 0, 1)
const clock = { now: () => NOW, sleep: async () => {} }

test('retrieval: a version that became whole and visible after the search is searched again, not shown in part', async () => {
  const embedder = createLexicalEmbedder()
  const index = await createMemoryVectorIndex().open(embedder)
  const registry = createMemoryRegistry()
  const points = await Promise.all(
    ['the first half', 'the second half'].map(async (text, at): Promise<Point> => {
      const [embedding] = await embedder.embed([{ text }], { lane: 'bulk' })
      const identity = { tenant: 'acme', documentId: 'a', version: VERSION, build: 'b', index: at }
      const about = { text, title: null, headings: [], page: null, start: 0, end: text.length }
      const id = pointId('acme', 'a', VERSION, 'b', at)
      const vectors = { terms: terms(text), vector: embedding!.vector, wordBits: new Uint8Array() }
      return { id, ...identity, ...about, ...vectors, access: null, metadata: {} }
    }),
  )
  await index.upsert(points.slice(0, 1))
  let searches = 0
  const retrieve = createRetriever({
    registry,
    embedder,
    clock,
    index: {
      ...index,
      async search(query) {
        const found = await index.search(query)
        if (++searches > 1) return found
        await index.upsert(points.slice(1))
        const said = { title: null, contentType: null, language: null, fingerprint: null }
        const about = { ...said, access: null, metadata: {}, guard: [] }
        const times = { publishedAt: NOW, indexedAt: NOW }
        await registry.flip('acme', 'a', { version: VERSION, build: 'b', chunks: 2, ...about, ...times })
        return found
      },
    },
  })
  const found = await retrieve({
    identity: { tenant: 'acme', groups: null, canWrite: false },
    query: 'half',
    limit: 10,
    mode: 'hybrid',
    signal: new AbortController().signal,
  })
  expect(found.map(({ hit }) => hit.text).sort()).toEqual(['the first half', 'the second half'])
  expect(searches).toBe(2)
})
