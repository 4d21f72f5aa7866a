import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { containsAnswer, devQuestions } from '../fit/extractive/dev-data.ts'
import { createExtractiveGenerator } from './extractive.ts'

const folder = process.env['AQUIFER_DEV_DATA'] ?? resolve(import.meta.dirname, '../../../../shared/data')
const there = existsSync(join(folder, 'retrieval_squad.jsonl'))
if (!there)
  console.warn(`no development data at ${folder}: set AQUIFER_DEV_DATA to measure the extractive generator`)

/** Every so many questions are asked. */
const STRIDE = 3

/**
 * Words alone, over what BM25 finds, so that no model is needed. The weights have seen these questions: the floors lie under
 * the out-of-fold figures that extractive/weights.json records, and would be missed by a serving path that differs from the fitted one.
 */
test.skipIf(!there)(
  'SQuAD questions: answers hold a gold answer, and unanswerable ones are refused',
  async () => {
    const noVectors = async (texts: readonly string[]): Promise<readonly Float32Array[]> =>
      texts.map(() => new Float32Array(1))
    const asked = (await devQuestions(folder, noVectors, 6)).filter((_, i) => i % STRIDE === 0)
    const generator = createExtractiveGenerator({ embedder: null })
    const counts = { answerable: 0, held: 0, refused: 0, unanswerable: 0, refusedRightly: 0 }
    for (const { text, evidence, answers } of asked) {
      const { signal } = new AbortController()
      let said = ''
      let abstained: boolean | null = null
      for await (const event of generator.generate({
        question: text,
        evidence,
        messages: [],
        maxOutputTokens: 256,
        temperature: 0,
        signal,
      })) {
        if (event.type === 'text') said += event.text
        else abstained = event.abstained
      }
      expect(said.split(/\s+/u).length).toBeLessThanOrEqual(60)
      if (answers === null) {
        counts.unanswerable += 1
        counts.refusedRightly += Number(abstained)
      } else {
        counts.answerable += 1
        counts.refused += Number(abstained)
        counts.held += Number(containsAnswer(said, answers))
      }
    }
    expect(counts.held / counts.answerable).toBeGreaterThan(0.75)
    expect(counts.refused / counts.answerable).toBeLessThan(0.08)
    expect(counts.refusedRightly / counts.unanswerable).toBeGreaterThan(0.22)
  },
  120_000,
)
