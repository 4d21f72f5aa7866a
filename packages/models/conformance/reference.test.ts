import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Embedder } from '../src/embedder.ts'
import { createOnnxEmbedder } from '../src/onnx-embedder.ts'
import { openTokenizer } from '../src/tokenizer.ts'
import { cosine } from './embedder.ts'
import { temporaryDir, testModel } from './test-model.ts'

interface Reference {
  readonly maxTextTokens: number
  readonly rows: readonly {
    text: string
    ids: number[]
    vector: string
    words: { start: number; word: string; vector: string }[]
  }[]
}

// Made by fixtures/reference_embeddings.py, which shares no code with what is tested here.
const { maxTextTokens, rows } = JSON.parse(
  readFileSync(new URL('../fixtures/reference-embeddings.json', import.meta.url), 'utf8'),
) as Reference
const model = await testModel()

function unpack(base64: string): { vector: Float32Array } {
  return { vector: new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer) }
}

describe.skipIf(!model)('reference embeddings of all-MiniLM-L6-v2', () => {
  it('tokenizer: gives the reference’s token ids', () => {
    const tokenizer = openTokenizer(model!.tokenizer)
    for (const { text, ids } of rows) expect(tokenizer.encode(text, maxTextTokens).ids, text).toEqual(ids)
  })

  for (const { precision, least, leastOfWords } of [
    { precision: 'fp32', least: 0.9999, leastOfWords: 0.9999 },
    { precision: 'int8', least: 0.985, leastOfWords: 0.95 },
  ] as const) {
    describe(precision, () => {
      let embedder: Embedder
      beforeAll(async () => {
        embedder = await createOnnxEmbedder(model!, {
          precision,
          device: 'cpu',
          maxTokens: maxTextTokens,
          documentWorkers: 1,
          fallbackDir: temporaryDir(),
        })
      }, 60_000)
      afterAll(async () => {
        await embedder.close()
      })

      it(`vectors: cosine to the reference of at least ${least}`, async () => {
        const found = await embedder.embed(rows, { lane: 'bulk' })
        const cosines = rows.map(({ vector }, index) => cosine(unpack(vector), found[index]!))
        rows.forEach(({ text }, index) =>
          expect(cosines[index], text.slice(0, 80)).toBeGreaterThanOrEqual(least),
        )
      })

      it(`word states: cosine to the reference of at least ${leastOfWords}`, async () => {
        const found = await embedder.embed(rows, { lane: 'bulk', words: 'vectors' })
        rows.forEach(({ words }, index) => {
          const own = found[index]!.words!
          let at = -1
          for (const { word, vector } of words) {
            const next = own.words.indexOf(word.toLowerCase(), at + 1)
            if (next < 0) continue // a stop word has no state
            at = next
            const state = own.vectors!.subarray(at * embedder.dimensions, (at + 1) * embedder.dimensions)
            expect(cosine(unpack(vector), { vector: state }), word).toBeGreaterThanOrEqual(leastOfWords)
          }
        })
      })
    })
  }
})
