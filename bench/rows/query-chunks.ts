import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { createParsePool } from '@aquifer/connector/parse-pool'
import type { Embedder } from '@aquifer/models/embedder'
import type { Point } from '@aquifer/stores/vector-index'
import { passageContext } from '@aquifer/text/passage'
import { terms } from '@aquifer/text/terms'
import { readFolder, readRows } from '../data.ts'

export type RealChunk = Pick<Point, 'text' | 'title' | 'headings' | 'terms' | 'vector' | 'wordBits'>
export interface RealQuestion {
  readonly vector: Float32Array
  readonly terms: readonly string[]
}
export interface Real {
  readonly chunks: readonly RealChunk[]
  readonly questions: readonly RealQuestion[]
}

/** What is made once and kept between runs; no part of the project. */
export const cacheDir = join(tmpdir(), 'aquifer-bench-queries-1')

const QUESTIONS = 200

/** The chunks of the corpora as the system makes them, and real questions; from the cache where they are there. */
export async function realChunks(embedder: Embedder, smoke: boolean): Promise<Real> {
  const path = join(cacheDir, `chunks-${embedder.fingerprint}${smoke ? '-smoke' : ''}`)
  if (existsSync(path)) return deserialize(readFileSync(path)) as Real
  const sources = [
    ...readRows<{ id: string; title: string; text: string }>('retrieval_squad_corpus.jsonl').map((row) => ({
      name: row.id,
      bytes: Buffer.from(row.text),
      title: row.title as string | null,
    })),
    ...readFolder('corpus_md').map((file) => Object.assign({ title: null }, file)),
  ].slice(0, smoke ? 30 : undefined)
  const pool = createParsePool({ tokenizerPath: embedder.tokenizerPath })
  const read: Pick<Point, 'text' | 'title' | 'headings'>[] = []
  for (const { name, bytes, title } of sources) {
    const contentType = name.endsWith('.md') || name.endsWith('.mdx') ? 'text/markdown' : 'text/plain'
    // One of the files has no text.
    const parsed = await pool.parse({ bytes, contentType, filename: name, title }).catch(() => null)
    for (const { text, headings } of parsed?.chunks ?? []) read.push({ text, headings, title: parsed!.title })
  }
  await pool.close()
  const passages = read.map(({ text, title, headings }) => {
    const context = passageContext(title, headings)
    return { text: context + text, contextLength: context.length }
  })
  const embedded = await embedder.embed(passages, { lane: 'bulk', words: 'bits' })
  const asked = readRows<{ question: string }>('retrieval_squad.jsonl').slice(0, smoke ? 10 : QUESTIONS)
  const vectors = await embedder.embed(
    asked.map(({ question }) => ({ text: question })),
    { lane: 'bulk' },
  )
  const real: Real = {
    chunks: read.map((chunk, i) => ({
      ...chunk,
      terms: terms(`${chunk.title ?? ''}\n${chunk.headings.join('\n')}\n${chunk.text}`),
      vector: embedded[i]!.vector,
      wordBits: embedded[i]!.words!.bits!,
    })),
    questions: asked.map(({ question }, i) => ({ vector: vectors[i]!.vector, terms: terms(question) })),
  }
  mkdirSync(cacheDir, { recursive: true })
  writeFileSync(`${path}.new`, serialize(real))
  renameSync(`${path}.new`, path)
  return real
}
