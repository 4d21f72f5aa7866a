import { describe, expect, it } from 'vitest'

import { defaultLoadLimits } from './document.ts'
import { loadDocument } from './loaders.ts'
import { makeDocx } from './zip.fixture.ts'

async function load(content: string | Uint8Array, contentType = '', filename: string | null = null) {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  const document = await loadDocument({ bytes, contentType, filename }, defaultLoadLimits)
  const shown = document.blocks.map(
    ({ kind, start, end, headings }) =>
      `${kind} [${headings.join(' > ')}] ${document.text.slice(start, end)}`,
  )
  return { ...document, shown }
}

describe('messages', () => {
  const docx = makeDocx('<w:p><w:r><w:t>Attached words</w:t></w:r></w:p>').toString('base64')
  const inner = 'From: c@example.org\r\nTo: d@example.org\r\nSubject: Inner\r\n\r\nForwarded text.'
  const mail = [
    'From: =?utf-8?q?J=C3=B8rgen?= <a@example.org>',
    'To: b@example.org, "Kim" <kim@example.org>',
    'Subject: Meeting on Monday',
    'Date: Mon, 2 Nov 2026 10:00:00 +0100',
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary="x"',
    '',
    '--x',
    'Content-Type: text/plain; charset=utf-8',
    '',
    'Hello,\r\n\r\n> asked before\r\n\r\nsee you there.',
    '--x',
    'Content-Type: application/octet-stream',
    'Content-Disposition: attachment; filename="notes.bin"',
    'Content-Transfer-Encoding: base64',
    '',
    docx,
    '--x',
    'Content-Type: message/rfc822',
    '',
    inner,
    '--x',
    'Content-Type: application/zip',
    'Content-Disposition: attachment; filename="a.zip"',
    '',
    'no archive',
    '--x--',
  ].join('\r\n')

  it('preface, text, quotes, and each attachment by the type that it has', async () => {
    const document = await load(mail)
    expect(document.mediaType).toBe('message/rfc822')
    expect(document.title).toBe('Meeting on Monday')
    expect(document.shown).toEqual([
      'heading [Meeting on Monday] Meeting on Monday',
      'paragraph [Meeting on Monday] From: Jørgen <a@example.org>\nTo: b@example.org, Kim <kim@example.org>\nDate: 2026-11-02T09:00:00.000Z',
      'paragraph [Meeting on Monday] Hello,',
      'quote [Meeting on Monday] asked before',
      'paragraph [Meeting on Monday] see you there.',
      'heading [Meeting on Monday > Attachment: notes.bin] Attachment: notes.bin',
      'paragraph [Meeting on Monday > Attachment: notes.bin] Attached words',
      'heading [Meeting on Monday > Attachment: message] Attachment: message',
      'heading [Meeting on Monday > Attachment: message > Inner] Inner',
      'paragraph [Meeting on Monday > Attachment: message > Inner] From: c@example.org\nTo: d@example.org',
      'paragraph [Meeting on Monday > Attachment: message > Inner] Forwarded text.',
      'heading [Meeting on Monday > Attachment: a.zip] Attachment: a.zip',
      expect.stringContaining('(not read: '),
    ])
  })

  it('messages in messages without end: the deepest are named, not read', async () => {
    let nested = inner
    for (let i = 0; i < 12; i++)
      nested = `From: a@b.c\r\nTo: a@b.c\r\nSubject: s${i}\r\nContent-Type: message/rfc822\r\n\r\n${nested}`
    const { text } = await load(nested, 'message/rfc822')
    expect(text).toContain('s11')
    expect(text).toContain('files in files')
    expect(text).not.toContain('Forwarded text')
  })
})

describe('CSV', () => {
  it.each([
    ['commas', 'name,price\n"Tea, green",1.20\nCake,"2 ""€"""\n', 'a.csv'],
    ['semicolons', 'name;price\n"Tea, green";1.20\nCake;"2 ""€"""\n', 'a.csv'],
    ['tabs', 'name\tprice\nTea, green\t1.20\nCake\t2 "€"\n', 'a.tsv'],
    ['Excel’s own line', 'sep=|\nname|price\nTea, green|1.20\nCake|"2 ""€"""\n', 'a.csv'],
  ])('%s: the table', async (_, content, filename) => {
    const { shown } = await load(content, 'text/plain', filename)
    expect(shown).toEqual(['table [] | name | price |\n| Tea, green | 1.20 |\n| Cake | 2 "€" |'])
  })

  it('without a header row: its columns are numbered', async () => {
    expect((await load('1,2\n3,4\n', 'text/csv')).text).toBe('| column 1 | column 2 |\n| 1 | 2 |\n| 3 | 4 |')
  })

  it('an open quote: what can be read', async () => {
    expect((await load('a,b\n"c,d\ne,f\n', 'text/csv')).text).toContain('| e | f |')
  })
})

describe('JSON', () => {
  it('objects as sections, values behind their paths, equal records as a table', async () => {
    const value = {
      title: 'Catalogue',
      owner: { name: 'Kim', tags: ['a', 'b'] },
      products: [
        { id: 1, name: 'Tea' },
        { id: 2, name: 'Cake', sold: true },
      ],
      shop: { street: 'Hill 1', city: 'Ulm', open: { from: 8, to: null }, rooms: 3, lamps: 4 },
    }
    const document = await load(JSON.stringify(value))
    expect(document.mediaType).toBe('application/json')
    expect(document.title).toBe('Catalogue')
    expect(document.shown).toEqual([
      'paragraph [] title: Catalogue\nowner.name: Kim\nowner.tags: a, b',
      'heading [products] products',
      'table [products] | id | name | sold |\n| 1 | Tea |  |\n| 2 | Cake | true |',
      'heading [shop] shop',
      'paragraph [shop] street: Hill 1\ncity: Ulm\nopen.from: 8\nrooms: 3\nlamps: 4',
    ])
  })

  it('lines of JSON: a section each; a broken one stays as it is', async () => {
    const document = await load('{"name":"Tea","price":1}\n{"name":"Cake"}\n{"na', '', 'x.jsonl')
    expect(document.shown).toEqual([
      'heading [Record 1: Tea] Record 1: Tea',
      'paragraph [Record 1: Tea] name: Tea\nprice: 1',
      'heading [Record 2: Cake] Record 2: Cake',
      'paragraph [Record 2: Cake] name: Cake',
      'heading [Record 3] Record 3',
      'paragraph [Record 3] {"na',
    ])
    expect(document.title).toBeNull()
  })

  it('JSON with comments: its lines', async () => {
    const { shown } = await load('{\n  // why\n  "a": 1\n}', 'application/json')
    expect(shown).toEqual(['code [] {\n  // why\n  "a": 1\n}'])
  })
})

describe('source code', () => {
  const sections = async (code: string, filename: string) => {
    const document = await load(code, 'application/octet-stream', filename)
    // Nothing is moved: whoever looks at the source finds the same lines.
    expect(document.text).toBe(code.trimEnd())
    return document.blocks.map(
      ({ headings, start, end }) => `${headings.join('.')}|${document.text.slice(start, end).split('\n')[0]}`,
    )
  }

  it.each<[string, string, string[]]>([
    [
      'a.py',
      'import os\n\nclass Shop(Base):\n    size = 1\n\n    @cached\n    def sell(self, x):\n        def inner():\n            pass\n        return x\n\ndef main() -> None:\n    pass\n\nmain()\n',
      [
        '|import os',
        'class Shop|class Shop(Base):',
        'class Shop.sell|@cached',
        'main|def main() -> None:',
        '|main()',
      ],
    ],
    [
      'a.ts',
      "import x from 'x'\n\n/** Sells. */\nexport async function sell<T>(a: T): Promise<void> {\n  if (a) {\n    call(a)\n  }\n}\n\nexport class Shop {\n  open(at: number) {\n    return at\n  }\n}\n\nconst add = (a: number) => {\n  return a\n}\n",
      [
        "|import x from 'x'",
        'sell|/** Sells. */',
        'class Shop|export class Shop {',
        'class Shop.open|open(at: number) {',
        'class Shop|}',
        'add|const add = (a: number) => {',
      ],
    ],
    [
      'A.java',
      'package a;\n\npublic class Shop {\n  private int size;\n\n  public static void main(String[] args) {\n    for (int i = 0; i < 1; i++) {\n    }\n  }\n}\n',
      [
        '|package a;',
        'class Shop|public class Shop {',
        'class Shop.main|public static void main(String[] args) {',
        'class Shop|}',
      ],
    ],
    [
      'a.go',
      'package a\n\ntype Shop struct {\n\tsize int\n}\n\n// Sell sells.\nfunc (s *Shop) Sell(x int) error {\n\treturn nil\n}\n',
      ['|package a', 'type Shop|type Shop struct {', 'Shop.Sell|// Sell sells.'],
    ],
    [
      'a.rs',
      'use a;\n\nimpl Shop for Hut {\n    pub fn sell(&self) -> u8 {\n        1\n    }\n}\n',
      [
        '|use a;',
        'impl Shop for Hut|impl Shop for Hut {',
        'impl Shop for Hut.sell|pub fn sell(&self) -> u8 {',
        'impl Shop for Hut|}',
      ],
    ],
    [
      'a.cpp',
      '#include <a>\n\nstatic int add(int a, int b) {\n  return a + b;\n}\n\nint Shop::size() const\n{\n  return 1;\n}\n',
      ['|#include <a>', 'add|static int add(int a, int b) {', 'Shop::size|int Shop::size() const'],
    ],
    [
      'a.sql',
      'CREATE TABLE shop (\n  id int\n);\n\n-- who buys\ncreate or replace view buyers as select 1;\n',
      ['CREATE TABLE shop|CREATE TABLE shop (', 'create or replace view buyers|-- who buys'],
    ],
    [
      'run',
      '#!/bin/sh\nset -e\n\nsell() {\n  echo sold\n}\n\nsell\n',
      ['|#!/bin/sh', 'sell|sell() {', '|sell'],
    ],
    [
      'a.yaml',
      'name: x\nservices:\n  web:\n    image: a\n  db:\n    image: b\n',
      ['|name: x', 'services|services:', 'services.web|web:', 'services.db|db:'],
    ],
  ])('%s: its declarations are the sections, its lines stay', async (filename, code, expected) => {
    expect(await sections(code, filename)).toEqual(expected)
  })
})

describe('RTF', () => {
  it('headings, characters of code pages and of Unicode, lists, tables, notes; pictures left out', async () => {
    const rtf =
      '{\\rtf1\\ansi\\ansicpg1252{\\fonttbl{\\f0\\fcharset0 Arial;}{\\f1\\fcharset204 Times;}}{\\stylesheet{\\s1 heading 1;}}{\\info{\\title The letter}{\\author Kim}}' +
      "{\\pict\\pngblip 89504e47}\\pard\\s1 Greeting\\par\\pard caf\\'e9 \\u8211? {\\f1\\'cf\\'f0}{\\v hidden}\\emdash{\\footnote a note}\\par" +
      '{\\listtext\\bullet\\tab}one\\par\\pard\\intbl a\\cell b\\cell\\row\\intbl 1\\cell 2\\cell\\row\\pard after\\par{\\*\\unknown no}}'
    const document = await load(rtf, 'text/plain', 'letter.txt')
    expect(document.mediaType).toBe('application/rtf')
    expect(document.title).toBe('The letter')
    expect(document.shown).toEqual([
      'heading [Greeting] Greeting',
      'paragraph [Greeting] café – Пр—',
      'paragraph [Greeting] [note] a note',
      'list [Greeting] - one',
      'table [Greeting] | a | b |\n| 1 | 2 |',
      'paragraph [Greeting] after',
    ])
  })
})
