import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { passageContext } from '@aquifer/text/passage'
import { terms } from '@aquifer/text/terms'
import type { EvidencePassage } from '../../src/generator.ts'

export interface DevQuestion {
  readonly text: string
  /** Gold answers; null where the corpus answers the question nowhere. */
  readonly answers: readonly string[] | null
  /** Article of the passage that the question was written on: what folds are cut by. */
  readonly article: string
  /** The passage that the question was written on. */
  readonly written: string
  /** What a hybrid retrieval finds for it, best first. */
  readonly evidence: readonly EvidencePassage[]
  /** The largest cosine of a passage, to compare abstention with. */
  readonly topCosine: number
}

interface Paragraph {
  readonly id: string
  readonly title: string
  readonly text: string
}

export type Embed = (texts: readonly string[]) => Promise<readonly Float32Array[]>

/** SQuAD's questions with evidence from the 855 development paragraphs: the z-scores of cosine (.6) and BM25 (.4) joined. */
export async function devQuestions(folder: string, embed: Embed, k: number): Promise<DevQuestion[]> {
  const paragraphs = lines(folder, 'retrieval_squad_corpus.jsonl') as unknown as Paragraph[]
  const asked = [
    ...lines(folder, 'retrieval_squad.jsonl'),
    ...lines(folder, 'retrieval_squad_unanswerable.jsonl'),
  ]
  const passageVectors = await embed(paragraphs.map(({ title, text }) => passageContext(title, []) + text))
  const questionVectors = await embed(asked.map((row) => String(row['question'])))
  const bm25 = bm25Of(paragraphs.map(({ title, text }) => [...terms(title), ...terms(text)]))
  return asked.map((row, q): DevQuestion => {
    const cosines = passageVectors.map((vector) => dot(vector, questionVectors[q] ?? vector))
    const lexical = bm25(terms(String(row['question'])))
    const found = [...new Set([...best(cosines, 50), ...best(lexical, 50)])]
    const dense = standardised(found.map((i) => cosines[i] ?? 0))
    const sparse = standardised(found.map((i) => lexical[i] ?? 0))
    const joined = found
      .map((i, at) => ({ i, score: 0.6 * (dense[at] ?? 0) + 0.4 * (sparse[at] ?? 0) }))
      .toSorted((a, b) => b.score - a.score)
      .slice(0, k)
    const id = row['gold_id'] ?? row['nearest_id']
    const written = paragraphs.find((paragraph) => paragraph.id === id)
    return {
      text: String(row['question']),
      answers: Array.isArray(row['answers']) ? row['answers'].map(String) : null,
      article: written?.title ?? '',
      written: written?.text ?? '',
      topCosine: Math.max(...joined.map(({ i }) => cosines[i] ?? 0)),
      evidence: joined.flatMap(({ i, score }, at) => {
        const paragraph = paragraphs[i]
        return paragraph
          ? [{ marker: `[${at + 1}]`, title: paragraph.title, headings: [], text: paragraph.text, score }]
          : []
      }),
    }
  })
}

/** SQuAD's normal form: lower case, no punctuation, no articles, single spaces. */
export function normalAnswer(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}\s]/gu, ' ')
    .replace(/\b(?:a|an|the)\b/gu, ' ')
    .replace(/\s+/gu, ' ')
    .trim()
}

/** Whether a text holds one of the answers as whole words. */
export function containsAnswer(text: string, answers: readonly string[]): boolean {
  const said = ` ${normalAnswer(text)} `
  return answers.some((answer) => normalAnswer(answer) !== '' && said.includes(` ${normalAnswer(answer)} `))
}

export function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0)
}

function lines(folder: string, name: string): Record<string, unknown>[] {
  return readFileSync(join(folder, name), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

function best(scores: readonly number[], count: number): number[] {
  return scores
    .map((score, i) => ({ i, score }))
    .toSorted((a, b) => b.score - a.score)
    .slice(0, count)
    .map(({ i }) => i)
}

function standardised(values: readonly number[]): number[] {
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
  const spread = Math.sqrt(
    values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length),
  )
  return values.map((value) => (value - mean) / (spread || 1))
}

/** BM25 with k1 1.0 and b .6 over documents that are given as terms. */
function bm25Of(documents: readonly (readonly string[])[]): (question: readonly string[]) => number[] {
  const meanLength = documents.reduce((sum, document) => sum + document.length, 0) / documents.length
  const postings = new Map<string, Map<number, number>>()
  for (const [i, document] of documents.entries()) {
    for (const term of document) {
      const posting = postings.get(term) ?? new Map<number, number>()
      postings.set(term, posting.set(i, (posting.get(i) ?? 0) + 1))
    }
  }
  return (question) => {
    const scores = documents.map(() => 0)
    for (const term of question) {
      const posting = postings.get(term) ?? new Map<number, number>()
      const idf = Math.log(1 + (documents.length - posting.size + 0.5) / (posting.size + 0.5))
      for (const [i, count] of posting) {
        const length = 0.4 + (0.6 * (documents[i]?.length ?? 0)) / meanLength
        scores[i] = (scores[i] ?? 0) + (idf * count * 2) / (count + length)
      }
    }
    return scores
  }
}
