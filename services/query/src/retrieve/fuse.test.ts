import type { IndexHit } from '@aquifer/stores/vector-index'
import { terms } from '@aquifer/text/terms'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fuse } from './fuse.ts'
import type { FuseInput } from './fuse.ts'

const DIMENSIONS = 8

function hit(id: string, score: number, text: string, vector: readonly number[] = []): IndexHit {
  return {
    id,
    score,
    text,
    tenant: 't',
    documentId: id,
    version: 'v',
    build: 'b',
    index: 0,
    title: null,
    headings: [],
    page: null,
    start: 0,
    end: text.length,
    access: null,
    metadata: {},
    vector: Float32Array.from({ length: DIMENSIONS }, (_, i) => vector[i] ?? 0),
    wordBits: new Uint8Array(),
  }
}
const embedding = {
  vector: Float32Array.from({ length: DIMENSIONS }, (_, i) => (i === 0 ? 1 : 0)),
  words: null,
  tokens: 2,
}

describe('fusion', () => {
  test('by its definition where there are no word states: cosine, share of the best BM25, neighbouring terms', async () => {
    const query = 'river rises spring'
    expect(terms(query)).toHaveLength(3)
    const a = hit('a', 0.8, 'the river rises', [0.8])
    const b = hit('b', 4, 'spring river', [0.3])
    const aLexical = { ...a, score: 2 }
    const found = await fuse({ query, embedding, dense: [a], lexical: [b, aLexical] })
    expect(found.map(({ hit: { id } }) => id)).toEqual(['b', 'a'])
    const scores = Object.fromEntries(found.map((each) => [each.hit.id, each]))
    // 0.4 × cosine + 0.6 × BM25 share + 0.15 × share of the two neighbouring pairs
    expect(scores['a']!.score).toBeCloseTo(0.4 * 0.8 + 0.6 * 0.5 + 0.15 * 0.5, 5)
    expect(scores['b']!.score).toBeCloseTo(0.4 * 0.3 + 0.6 * 1, 5)
    expect([scores['a']!.dense, scores['a']!.lexical, scores['b']!.dense]).toEqual([0.8, 2, null])
  })

  test('of one list alone its order stands', async () => {
    const idsOf = async (lists: Partial<FuseInput>) =>
      (await fuse({ query: 'x', embedding: undefined, dense: [], lexical: [], ...lists })).map(
        (each) => each.hit.id,
      )
    const dense = [hit('a', 0.9, 'x', [0.9]), hit('b', 0.5, 'x', [0.5]), hit('c', 0.1, 'x', [0.1])]
    expect(await idsOf({ embedding, dense })).toEqual(['a', 'b', 'c'])
    const lexical = [hit('c', 9, 'x'), hit('b', 5, 'x'), hit('a', 1, 'x')]
    expect(await idsOf({ lexical })).toEqual(['c', 'b', 'a'])
  })

  const list = (scoreMax: number) =>
    fc
      .uniqueArray(
        fc.record({
          id: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'),
          score: fc.double({ min: 0, max: scoreMax, noNaN: true }),
        }),
        {
          selector: ({ id }) => id,
        },
      )
      .map((hits) =>
        hits
          .sort((x, y) => y.score - x.score)
          .map(({ id, score }) => hit(id, score, `text of ${id} river`, [score])),
      )

  test('each passage comes once, best first, with finite scores; the order of equals does not depend on the lists’ order', async () => {
    await fc.assert(
      fc.asyncProperty(list(1), list(20), async (dense, lexical) => {
        const found = await fuse({ query: 'river rises', embedding, dense, lexical })
        const ids = found.map((each) => each.hit.id)
        expect(new Set(ids)).toEqual(new Set([...dense, ...lexical].map(({ id }) => id)))
        expect(new Set(ids).size).toBe(ids.length)
        expect(found.every(({ score }) => Number.isFinite(score))).toBe(true)
        expect(found.map(({ score }) => score)).toEqual(found.map(({ score }) => score).sort((x, y) => y - x))
        for (const each of found) {
          expect(each.dense).toBe(dense.find(({ id }) => id === each.hit.id)?.score ?? null)
          expect(each.lexical).toBe(lexical.find(({ id }) => id === each.hit.id)?.score ?? null)
        }
      }),
    )
  })

  test('a better BM25 never lowers a passage', async () => {
    await fc.assert(
      fc.asyncProperty(list(20), fc.double({ min: 0.1, max: 10, noNaN: true }), async (lexical, more) => {
        fc.pre(lexical.length > 1)
        const last = lexical.at(-1)!
        const rankOf = async (hits: readonly IndexHit[]) =>
          (await fuse({ query: 'x', embedding: undefined, dense: [], lexical: hits })).findIndex(
            (each) => each.hit.id === last.id,
          )
        const raised = [...lexical.slice(0, -1), { ...last, score: last.score + more }].sort(
          (x, y) => y.score - x.score,
        )
        expect(await rankOf(raised)).toBeLessThanOrEqual(await rankOf(lexical))
      }),
    )
  })

  test('a long question holds the event loop for a moment at most', async () => {
    const dimensions = 384
    const words = Array.from({ length: 250 }, (_, i) => `word${i}`)
    const long = {
      vector: new Float32Array(dimensions),
      tokens: 250,
      words: { words, bits: null, vectors: new Float32Array(250 * dimensions).fill(0.05) },
    }
    const dense = Array.from({ length: 100 }, (_, i) =>
      Object.assign(hit(`h${i}`, 1 - i / 200, words.slice(0, 120).join(' ')), {
        vector: new Float32Array(dimensions),
        wordBits: new Uint8Array((120 * dimensions) / 8).fill(i),
      }),
    )
    let worstMs = 0
    let last = performance.now()
    const timer = setInterval(() => {
      worstMs = Math.max(worstMs, performance.now() - last)
      last = performance.now()
    }, 1)
    const found = await fuse({ query: words.join(' '), embedding: long, dense, lexical: [] })
    clearInterval(timer)
    expect(found).toHaveLength(100)
    expect(worstMs).toBeGreaterThan(0)
    expect(worstMs).toBeLessThan(250)
  })
})
