import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PartMissing } from '@aquifer/infra/part'
import { dataDir, readRows } from '../data.ts'

/** A publication as its producer sends it: JSON of about 1 KiB, its document's key, one trace header. */
export interface SampleRecord {
  readonly key: string
  readonly value: Buffer
  readonly headers: Readonly<Record<string, string>>
}

const CONTENT_CHARS = 900

/**
 * `count` records of real text in turn from the SQuAD passages and the Markdown corpus, cut to about 1 KiB, each of a document of
 * its own. Throws `PartMissing` where the development data is not there.
 */
export function documentRecords(count: number): SampleRecord[] {
  const passages = [squadText(), corpusText()].map(cut)
  return Array.from({ length: count }, (_, index) => {
    const source = passages[index % passages.length]!
    const nth = Math.floor(index / passages.length)
    const id = `document-${index}`
    const event = {
      id,
      contentType: index % 2 === 0 ? 'text/plain' : 'text/markdown',
      content: source[nth % source.length]!,
      metadata: { source: index % 2 === 0 ? 'squad' : 'corpus' },
    }
    const trace = index.toString(16).padStart(16, '0')
    return {
      key: `default/${id}`,
      value: Buffer.from(JSON.stringify(event)),
      headers: { traceparent: `00-${trace}${trace}-${trace}-01` },
    }
  })
}

function squadText(): string {
  return readRows<{ text: string }>('retrieval_squad_corpus.jsonl')
    .map(({ text }) => text)
    .join('\n\n')
}

function corpusText(): string {
  const dir = join(dataDir, 'corpus_md')
  if (!existsSync(dir)) throw new PartMissing(`${dir} is not there: set AQUIFER_DEV_DATA`)
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.mdx?$/.test(name))
    .sort()
  return names.map((name) => readFileSync(join(dir, name), 'utf8')).join('\n\n')
}

function cut(text: string): string[] {
  const count = Math.floor(text.length / CONTENT_CHARS)
  return Array.from({ length: count }, (_, nth) => text.slice(nth * CONTENT_CHARS, (nth + 1) * CONTENT_CHARS))
}

/** In runs of `size`, the last one shorter. */
export function inRuns<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, nth) =>
    items.slice(nth * size, (nth + 1) * size),
  )
}
