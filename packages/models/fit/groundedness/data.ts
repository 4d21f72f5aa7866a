import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One answer of the development data. */
export interface Row {
  readonly set: 'ragtruth' | 'mtrag' | 'halueval' | 'faithbench'
  readonly id: string
  /** Rows of one source stay in one fold. */
  readonly source: string
  readonly question: string | null
  readonly answer: string
  readonly contexts: readonly string[]
  readonly grounded: boolean
  /** UTF-16 ranges that people marked as unsupported; null where the set has no marks. */
  readonly spans: readonly { readonly start: number; readonly end: number }[] | null
}

export function readRows(dir: string): { rows: Row[]; hash: string } {
  const hash = createHash('sha256')
  const read = (name: string): Record<string, unknown>[] => {
    const text = readFileSync(join(dir, `groundedness_${name}.jsonl`), 'utf8')
    hash.update(text)
    return text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }
  const rows: Row[] = [
    ...read('ragtruth').map((row) => ragtruthRow(row)),
    ...read('mtrag_human').map((row) => ({
      set: 'mtrag' as const,
      id: String(row['id']),
      source: String(row['id']).split('<')[0] ?? '',
      question: String(row['question']),
      answer: String(row['response']),
      contexts: contextsOf(row['context']),
      grounded: row['label'] === 'grounded',
      spans: null,
    })),
    ...read('halueval_qa').flatMap((row) => haluevalRows(row)),
    ...read('faithbench').map((row) => ({
      set: 'faithbench' as const,
      id: String(row['id']),
      source: String(row['id']).split('-').slice(0, 2).join('-'),
      question: null,
      answer: String(row['response']),
      contexts: contextsOf(row['context']),
      grounded: row['label'] === 'grounded',
      spans: null,
    })),
  ]
  return { rows, hash: hash.digest('hex') }
}

export function hasData(dir: string): boolean {
  return existsSync(join(dir, 'groundedness_ragtruth.jsonl'))
}

/** `passage 1:… passage 2:…` of one string as the passages. */
export function splitPassages(context: string): string[] {
  return context.split(/\n\n(?=passage \d+:)/)
}

function ragtruthRow(row: Record<string, unknown>): Row {
  return {
    set: 'ragtruth',
    id: String(row['id']),
    source: String(row['source_id']),
    question: String(row['question']),
    answer: String(row['response']),
    contexts: splitPassages(String(row['context'])),
    grounded: row['label'] === 'grounded',
    spans: row['spans'] as { start: number; end: number }[],
  }
}

function haluevalRows(row: Record<string, unknown>): Row[] {
  return (['right_answer', 'hallucinated_answer', 'hallucinated_answer_2'] as const).flatMap((field) =>
    typeof row[field] !== 'string' || row[field] === ''
      ? []
      : {
          set: 'halueval' as const,
          id: `${String(row['id'])}-${field}`,
          source: String(row['id']),
          question: String(row['question']),
          answer: row[field],
          contexts: [String(row['knowledge'])],
          grounded: field === 'right_answer',
          spans: null,
        },
  )
}

function contextsOf(context: unknown): string[] {
  return Array.isArray(context) ? context.map(String) : [String(context)]
}
