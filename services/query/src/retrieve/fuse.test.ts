import type { IndexHit } from '@aquifer/stores/vector-index'
import { terms } from '@aquifer/text/terms'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fuse } from './fuse.ts'

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
  test('by its definition where there are no word states: cosine, share of the best BM25, neighbouring terms', () => {
    const query = 'river rises spring'
    expect(terms(query)).toHaveLength(3)
    const a = hit('a', 0.8, 'the river rises', [0.8])
    const b = hit('b', 4, 'spring river', [0.3])
    const aLexical = { ...a, score: 2 }
    const found = fuse({ query, embedding, dense: [a], lexical: [b, aLexical] })
    expect(found.map(({ hit: { id } }) => id)).toEqual(['b', 'a'])
    const scores = Object.fromEntries(found.map((each) => [each.hit.id, each]))
    // 0.4 × cosine + 0.6 × BM25 share + 0.15 × share of the two neighbouring pairs
    expect(scores['a']!.score).toBeCloseTo(0.4 * 0.8 + 0.6 * 0.5 + 0.15 * 0.5, 5)
    expect(scores['b']!.score).toBeCloseTo(0.4 * 0.3 + 0.6 * 1, 5)
    expect([scores['a']!.dense, scores['a']!.lexical, scores['b']!.dense]).toEqual([0.8, 2, null])
  })

  test('of one list alone its order stands', () => {
    const dense = [hit('a', 0.9, 'x', [0.9]), hit('b', 0.5, 'x', [0.5]), hit('c', 0.1, 'x', [0.1])]
    expect(fuse({ query: 'unseen', embedding, dense, lexical: [] }).map(({ hit: { id } }) => id)).toEqual([
      'a',
      'b',
      'c',
    ])
    const lexical = [hit('c', 9, 'x'), hit('b', 5, 'x'), hit('a', 1, 'x')]
    expect(
      fuse({ query: 'x', embedding: undefined, dense: [], lexical }).map(({ hit: { id } }) => id),
    ).toEqual(['c', 'b', 'a'])
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

  test('each passage comes once, best first, with finite scores; the order of equals does not depend on the lists’ order', () => {
    fc.assert(
      fc.property(list(1), list(20), (dense, lexical) => {
        const found = fuse({ query: 'river rises', embedding, dense, lexical })
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

  test('a better BM25 never lowers a passage', () => {
    fc.assert(
      fc.property(list(20), fc.double({ min: 0.1, max: 10, noNaN: true }), (lexical, more) => {
        fc.pre(lexical.length > 1)
        const last = lexical.at(-1)!
        const rankOf = (hits: readonly IndexHit[]) =>
          fuse({ query: 'x', embedding: undefined, dense: [], lexical: hits }).findIndex(
            (each) => each.hit.id === last.id,
          )
        const raised = [...lexical.slice(0, -1), { ...last, score: last.score + more }].sort(
          (x, y) => y.score - x.score,
        )
        expect(rankOf(raised)).toBeLessThanOrEqual(rankOf(lexical))
      }),
    )
  })
})
