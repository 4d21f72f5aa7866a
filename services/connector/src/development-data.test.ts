import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { passageContext } from '@aquifer/text/passage'
import { describe, expect, it } from 'vitest'

import { chunkDocument, defaultChunkOptions } from './chunk/chunk.ts'
import { defaultLoadLimits } from './load/document.ts'
import { loadDocument } from './load/loaders.ts'
import { createTokenCounter } from './token-counter.ts'

const data =
  process.env['AQUIFER_DEV_DATA'] ?? fileURLToPath(new URL('../../../../shared/data', import.meta.url))
const there = existsSync(data)
if (!there) console.log(`development data not found in ${data}: the tests on real files are skipped`)

const countTokens = createTokenCounter(null)
const load = async (bytes: Buffer, filename: string, passwords: readonly string[] = []) =>
  loadDocument(
    { bytes, contentType: 'application/octet-stream', filename: basename(filename) },
    defaultLoadLimits,
    passwords,
  )

describe.skipIf(!there)('real documentation in Markdown', () => {
  const files = there ? globSync(join(data, 'corpus_md/**/*.{md,mdx}')).sort() : []

  it('every file: gives a text whose chunks keep every law, or is only a title', async () => {
    expect(files.length).toBe(285)
    const failed: string[] = []
    for (const file of files) {
      const document = await load(readFileSync(file), file).catch((error: { code?: string }) => {
        failed.push(`${error.code} ${basename(file)}`)
        return null
      })
      if (!document) continue
      const points = Array.from(document.text)
      let at = 0
      for (const chunk of chunkDocument(document, defaultChunkOptions, countTokens)) {
        expect(points.slice(chunk.start, chunk.end).join('')).toBe(chunk.text)
        expect(points.slice(at, chunk.start).join('').trim()).toBe('')
        const passage = passageContext(document.title, chunk.headings) + chunk.text
        expect(countTokens([passage])[0]).toBeLessThanOrEqual(defaultChunkOptions.maxTokens)
        at = chunk.end
      }
      expect(points.slice(at).join('').trim()).toBe('')
    }
    // A file of front matter and nothing else.
    expect(failed).toEqual(['no_text index.mdx'])
  })

  it('a sentence put into the first paragraph: changes one chunk at the median, few at most', async () => {
    const changed: number[] = []
    for (const file of files) {
      const source = readFileSync(file, 'utf8')
      const body = /^---\n[\s\S]*?\n---\n/u.exec(source)?.[0].length ?? 0
      const place = /[a-z]\. (?=[A-Z])/u.exec(source.slice(body))
      if (!place) continue
      const at = body + place.index + 3
      const edited = `${source.slice(0, at)}An editor added this sentence on a quiet afternoon. ${source.slice(at)}`
      const [before, after] = await Promise.all([source, edited].map((each) => load(Buffer.from(each), file)))
      const known = new Set(chunkDocument(before!, defaultChunkOptions, countTokens).map(({ text }) => text))
      const chunks = chunkDocument(after!, defaultChunkOptions, countTokens)
      changed.push(chunks.filter(({ text }) => !known.has(text)).length)
    }
    changed.sort((a, b) => a - b)
    expect(changed.length).toBeGreaterThan(150)
    expect(changed[Math.floor(changed.length / 2)]).toBe(1)
    expect(changed[Math.floor(changed.length * 0.95)]).toBeLessThanOrEqual(2)
    expect(changed.at(-1)).toBeLessThanOrEqual(6)
  })
})

interface ParserFile {
  readonly file: string
  readonly class: string
  readonly ext: string
  readonly password: string | null
}

/** What a file of each class may come to: a text, or one of these failures. */
const OUTCOMES: Readonly<Record<string, readonly string[]>> = {
  ok: ['text'],
  empty: ['no_text', 'empty'],
  encrypted: ['encrypted'],
  // Opens without a password, and is blank.
  encrypted_no_password: ['no_text'],
  // A reader may repair it.
  broken: ['broken', 'no_text', 'text'],
  wrong_type: ['unsupported_type'],
}

describe.skipIf(!there)('real files of many kinds', () => {
  const rows = there
    ? readFileSync(join(data, 'parsers/INDEX.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as ParserFile)
    : []
  it.each(rows.map((row) => [basename(row.file), row] as const))('%s', async (_, row) => {
    const outcome = await load(readFileSync(join(data, row.file)), row.file).then(
      (document) => (document.text.trim() === '' ? 'blank' : 'text'),
      (error: { code?: string }) => error.code ?? 'no code',
    )
    expect(OUTCOMES[row.class]).toContain(outcome)
  })

  it('the protected ones: read once the passwords are known', async () => {
    const protectedRows = rows.filter((row) => row.class === 'encrypted')
    const passwords = ['wrong', ...protectedRows.map(({ password }) => password!)]
    expect(protectedRows).toHaveLength(4)
    const read = protectedRows.map(
      async ({ file }) =>
        await load(readFileSync(join(data, file)), file, passwords).then(
          ({ text }) => text.slice(0, 10),
          (error: { code?: string }) => error.code,
        ),
    )
    // The text of the second is in the object that is broken.
    expect(await Promise.all(read)).toEqual(['Lorem ipsu', 'no_text', 'Issue 6010', 'DocLayNet:'])
  })
})
