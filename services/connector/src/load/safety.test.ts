import { describe, expect, it } from 'vitest'

import { defaultLoadLimits } from './document.ts'
import type { LoadLimits } from './document.ts'
import { loadDocument } from './loaders.ts'
import { makeDocx, makeOffice, makeZip } from './zip.fixture.ts'

async function load(
  content: string | Uint8Array,
  contentType = 'application/octet-stream',
  filename: string | null = null,
  limits: Partial<LoadLimits> = {},
) {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  return await loadDocument({ bytes, contentType, filename }, { ...defaultLoadLimits, ...limits })
}
const failure = (code: string) => expect.objectContaining({ code, retryable: false })
const text = (content: string) => `<w:p><w:r><w:t>${content}</w:t></w:r></w:p>`

describe('archives', () => {
  it('a part that unpacks to a thousand times its size: too_large, before it is unpacked', async () => {
    const bomb = makeDocx(text('a'.repeat(20_000_000)))
    expect(bomb.length).toBeLessThan(100_000)
    await expect(load(bomb)).rejects.toEqual(failure('too_large'))
  })

  it('many parts, each within the limit: too_large in sum', async () => {
    const limits = { maxUnpackedBytes: 3_000_000 }
    const content = Array.from({ length: 50_000 }, (_, i) => i.toString(36)).join(' ')
    const sheets = Array.from({ length: 20 }, (_, i) => i)
    const book = makeOffice('spreadsheetml.sheet', 'xl/workbook.xml', {
      'xl/workbook.xml': `<workbook><sheets>${sheets.map((i) => `<sheet name="${i}" r:id="r${i}"/>`).join('')}</sheets></workbook>`,
      'xl/_rels/workbook.xml.rels': `<Relationships>${sheets.map((i) => `<Relationship Id="r${i}" Type="x/worksheet" Target="w.xml"/>`).join('')}</Relationships>`,
      'xl/w.xml': `<worksheet><sheetData><row><c t="str"><v>${content}</v></c></row></sheetData></worksheet>`,
    })
    await expect(load(book, '', null, limits)).rejects.toEqual(failure('too_large'))
  })

  it('a part that holds more than it says: broken', async () => {
    const lying = makeDocx(text('b'.repeat(1000)), {}, { 'word/document.xml': { size: 10 } })
    await expect(load(lying)).rejects.toEqual(failure('broken'))
  })

  it('an archive of nothing known: unsupported_type, whatever it is called', async () => {
    const zip = makeZip({ 'a.txt': 'hello' })
    const docx = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'
    await expect(load(zip, docx, 'a.docx')).rejects.toEqual(failure('unsupported_type'))
  })
})

describe('encrypted files', () => {
  it.each<[string, Uint8Array]>([
    ['a part of an archive', makeDocx(text('x'), {}, { 'word/document.xml': { encrypted: true } })],
    [
      'Office',
      Buffer.concat([
        Buffer.from('\u00d0\u00cf\u0011\u00e0\u00a1\u00b1\u001a\u00e1', 'latin1'),
        Buffer.alloc(512),
        Buffer.from('EncryptedPackage', 'utf16le'),
      ]),
    ],
    [
      'OpenDocument',
      makeZip({
        mimetype: 'application/vnd.oasis.opendocument.text',
        'META-INF/manifest.xml': '<manifest:file-entry><manifest:encryption-data/></manifest:file-entry>',
        'content.xml': 'garbage',
      }),
    ],
  ])('%s: encrypted', async (_, bytes) => {
    await expect(load(bytes)).rejects.toEqual(failure('encrypted'))
  })

  it('an Office file of before 2007: unsupported_type, with what to do', async () => {
    const old = Buffer.concat([Buffer.from('\u00d0\u00cf\u0011\u00e0', 'latin1'), Buffer.alloc(600)])
    const error = await load(old, 'application/msword', 'a.doc').catch((each: unknown) => each)
    expect(error).toEqual(failure('unsupported_type'))
    expect((error as Error).message).toContain('save it as .docx')
  })
})

describe('XML', () => {
  it('entities of its own: stay as they are written', async () => {
    const entities = Array.from({ length: 20 }, (_, i) => `<!ENTITY e${i + 1} "&e${i};&e${i};&e${i};">`).join(
      '',
    )
    const main = `<?xml version="1.0"?><!DOCTYPE d [<!ENTITY e0 "lol">${entities}<!ENTITY f SYSTEM "file:///etc/passwd">]><w:document><w:body>${text('&e20;&f;')}</w:body></w:document>`
    const document = await load(
      makeOffice('wordprocessingml.document', 'word/document.xml', { 'word/document.xml': main }),
    )
    expect(document.text).toBe('&e20;&f;')
  })

  it('nested without end: too_large, without a stack overflow', async () => {
    await expect(load(makeDocx('<w:p>'.repeat(100_000)))).rejects.toEqual(failure('too_large'))
  })
})

describe('nesting', () => {
  it.each([
    ['JSON lists', `${'['.repeat(100_000)}1${']'.repeat(100_000)}`, 'application/json'],
    ['JSON objects', `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`, 'application/json'],
    ['RTF groups', `{\\rtf1 ${'{'.repeat(100_000)}x${'}'.repeat(100_000)}}`, 'application/rtf'],
    [
      'parts of a message',
      `${Array.from({ length: 3000 }, (_, i) => `Content-Type: multipart/mixed; boundary=b${i}\r\n\r\n--b${i}\r\n`).join('')}\r\nx`,
      'message/rfc822',
    ],
    ['HTML furniture', `${'<header><aside>'.repeat(20_000)}text`, 'text/html'],
  ])('%s: read or refused', async (_, content, type) => {
    const result = await load(content, type).catch((error: unknown) => error)
    if (result instanceof Error)
      expect([failure('too_large'), failure('broken'), failure('no_text')]).toContainEqual(result)
  })
})

describe('a name or type that is wrong', () => {
  const page = '<!DOCTYPE html><html><body><p>hello</p></body></html>'
  it.each<[string, string | Uint8Array, string, string | null, string]>([
    ['a page named .txt', page, 'text/plain', 'a.txt', 'text/html'],
    ['a page declared as PDF', page, 'application/pdf', 'a.pdf', 'text/html'],
    ['a page named .csv', page, 'text/csv', 'a.csv', 'text/html'],
    [
      'a document declared as Markdown',
      makeDocx(text('hello')),
      'text/markdown',
      'a.md',
      'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    ],
    [
      'a table that Excel’s owner calls a workbook',
      'a,b\n1,2\n',
      'application/vnd.ms-excel',
      'a.csv',
      'text/csv',
    ],
    ['a script that is declared as a film', 'const hello = 1\n', 'video/mp2t', 'a.ts', 'text/x-typescript'],
    ['records without a name', '{"a":1}\n{"a":2}\n', 'text/plain', null, 'application/x-ndjson'],
    [
      'a message without a name',
      'From: a@b.c\nTo: d@e.f\nSubject: Hi\n\nhello',
      'text/plain',
      null,
      'message/rfc822',
    ],
    ['a table without a name', 'id,name,price\n1,tea,2\n2,cake,3\n3,pie,4\n4,jam,5\n', '', null, 'text/csv'],
    [
      'prose with commas',
      'One, two, three.\nFour, five, six.\nSeven, eight, nine.\nTen, or so, more.\n\nhello',
      '',
      null,
      'text/plain',
    ],
    ['a text about PDF', 'A file begins with %PDF-1.7, it says.', 'text/plain', 'a.txt', 'text/plain'],
    ['an unknown kind of text', 'hello', 'text/x-unheard-of', null, 'text/plain'],
  ])('%s: read as what it is', async (_, content, declared, filename, expected) => {
    expect((await load(content, declared, filename)).mediaType).toBe(expected)
  })
})
