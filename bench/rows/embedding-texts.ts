import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createParsePool } from '@aquifer/connector/parse-pool'
import { passageContext } from '@aquifer/text/passage'
import { mapLimited } from '@aquifer/runtime/concurrency'
import { AquiferError } from '@aquifer/runtime/errors'
import type { Passage } from '@aquifer/models/embedder'
import { readFolder } from '../data.ts'
import type { DataFile } from '../data.ts'

const SAMPLES = new URL('../../samples/', import.meta.url)

/**
 * Passages of a documentation corpus as the connector cuts it, in its order: `count` of them, from all over it. For a smoke run,
 * of the samples that everybody has.
 */
export async function corpusPassages(
  tokenizerPath: string,
  { count, smoke }: { count: number; smoke: boolean },
): Promise<Passage[]> {
  const files = smoke ? samples() : readFolder('corpus_md')
  const pool = createParsePool({ tokenizerPath })
  try {
    const documents = await mapLimited(files, 2, async ({ name, bytes }) => {
      try {
        return await pool.parse({ bytes, contentType: 'text/markdown', filename: name, title: null })
      } catch (error) {
        if (error instanceof AquiferError && error.code === 'no_text') return null
        throw error
      }
    })
    const passages = documents.flatMap((document) =>
      (document?.chunks ?? []).map(({ headings, text }): Passage => {
        const context = passageContext(document!.title, headings)
        return { text: context + text, contextLength: context.length }
      }),
    )
    const step = Math.max(1, Math.floor(passages.length / count))
    return passages.filter((_, index) => index % step === 0).slice(0, count)
  } finally {
    await pool.close()
  }
}

function samples(): DataFile[] {
  return readdirSync(SAMPLES)
    .filter((name) => name.endsWith('.md'))
    .map((name) => ({ name, bytes: readFileSync(fileURLToPath(new URL(name, SAMPLES))) }))
}

/** Share of questions whose own paragraph is among the five that are nearest. */
export function recallAt5(
  paragraphs: readonly { id: string; vector: Float32Array }[],
  questions: readonly { gold_id: string; vector: Float32Array }[],
): number {
  const found = questions.filter(({ gold_id, vector }) => {
    const scored = paragraphs.map((each) => ({ id: each.id, score: dot(each.vector, vector) }))
    const nearest = scored.sort((a, b) => b.score - a.score).slice(0, 5)
    return nearest.some(({ id }) => id === gold_id)
  })
  return found.length / questions.length
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let index = 0; index < a.length; index++) sum += a[index]! * b[index]!
  return sum
}
