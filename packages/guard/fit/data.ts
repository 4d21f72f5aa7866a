import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Development data: not part of the repository, found by `AQUIFER_DEV_DATA`. */
export const dataDirectory: string =
  process.env['AQUIFER_DEV_DATA'] ?? fileURLToPath(new URL('../../../../shared/data', import.meta.url))

export const hasData: boolean = existsSync(join(dataDirectory, 'injection.jsonl'))

export interface InjectionRow {
  readonly id: string
  readonly text: string
  readonly label: 'attack' | 'benign'
  readonly kind: 'direct' | 'indirect' | 'indirect_bare'
  readonly source: string
}

export interface PersonalRow {
  readonly id: string
  readonly text: string
  readonly template_id: number
  readonly spans: readonly { readonly start: number; readonly end: number; readonly canon: string }[]
}

export interface UnsafeRow {
  readonly id: string
  readonly payload: string
  readonly expected: readonly string[] | null
}

function lines(name: string): unknown[] {
  return readFileSync(join(dataDirectory, name), 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line): unknown => JSON.parse(line))
}

// The files' shapes are described in their own README; they are read nowhere but here.
export const injectionRows = (): InjectionRow[] => lines('injection.jsonl') as InjectionRow[]
export const personalRows = (): PersonalRow[] => lines('pii.jsonl') as PersonalRow[]
export const unsafeRows = (): UnsafeRow[] => lines('xss.jsonl') as UnsafeRow[]

/** Ordinary passages and questions, where no attack is expected. */
export function ordinaryTexts(): { passages: string[]; questions: string[] } {
  const ragtruth = lines('groundedness_ragtruth.jsonl') as { context: string; question: string }[]
  const mtrag = lines('groundedness_mtrag_human.jsonl') as { context: string[] }[]
  const halueval = lines('groundedness_halueval_qa.jsonl') as { knowledge: string; question: string }[]
  return {
    passages: [
      ...new Set([
        ...ragtruth.map((row) => row.context),
        ...mtrag.flatMap((row) => row.context),
        ...halueval.map((row) => row.knowledge),
      ]),
    ],
    questions: [...new Set([...ragtruth, ...halueval].map((row) => row.question))],
  }
}

/** Real documentation pages, for measuring only. */
export function documentationPages(): { name: string; text: string }[] {
  const root = join(dataDirectory, 'corpus_md')
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.mdx?$/.test(name))
    .sort()
    .map((name) => ({ name, text: readFileSync(join(root, name), 'utf8') }))
}

export function fileHash(name: string): string {
  return createHash('sha256')
    .update(readFileSync(join(dataDirectory, name)))
    .digest('hex')
    .slice(0, 16)
}
