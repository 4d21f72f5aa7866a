import { deflateSync } from 'node:zlib'

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { defaultLoadLimits } from './document.ts'
import type { LoadLimits } from './document.ts'
import { loadDocument } from './loaders.ts'
import { makePdf } from './pdf-fixture.ts'

async function load(
  content: string | Uint8Array,
  contentType: string,
  filename: string | null = null,
  limits: Partial<LoadLimits> = {},
) {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  const document = await loadDocument({ bytes, contentType, filename }, { ...defaultLoadLimits, ...limits })
  const blocks = document.blocks.map(({ kind, start, end }) => `${kind}: ${document.text.slice(start, end)}`)
  return { ...document, shown: blocks }
}

const failure = (code: string) => expect.objectContaining({ code, retryable: false })

describe('Markdown', () => {
  it('front matter, headings, lists, links, tables and code: read as the text that people see', async () => {
    const document = await load(
      [
        '---\ntitle: "The guide"\ndescription: How to begin\nlang: en\n---',
        '# Begin *here*\n\nSee [the docs](https://example.org) and ![a map](map.png),\nwrapped.<!-- not this -->',
        '- one\n- two\n  1. inner\n\n> quoted',
        '| a | b |\n|---|---|\n| 1 | `x` |',
        '## Code\n\n```js\nlet a = 1\n\n  b()\n```\n\n<details><summary>More</summary><script>no()</script></details>',
      ].join('\n\n'),
      'text/markdown; charset=utf-8',
    )
    expect(document.title).toBe('The guide')
    expect(document.language).toBe('en')
    expect(document.shown).toEqual([
      'paragraph: How to begin',
      'heading: Begin here',
      'paragraph: See the docs and a map, wrapped.',
      'list: - one',
      'list: - two',
      'list: 1. inner',
      'quote: quoted',
      'table: | a | b |\n| 1 | x |',
      'heading: Code',
      'code: let a = 1\n\n  b()',
      'paragraph: More',
    ])
    expect(document.text).toContain('- one\n- two\n  1. inner')
    expect(document.blocks.at(-1)?.headings).toEqual(['Begin here', 'Code'])
  })

  it('MDX and shortcodes: keep what stands between them', async () => {
    const source =
      'import { x } from "y"\n\n<Note>Mind the **gap**.</Note>\n\n<Table\n  content={[\n    { name: "model" },\n  ]}\n/>\n\n' +
      '{{< tabs name >}}\nInside.\n{{% /tabs %}}\n\n{% include a.html %}'
    const { shown } = await load(source, 'text/plain', 'page.mdx')
    expect(shown[0]).toBe('code: import { x } from "y"')
    expect(shown[1]).toBe('paragraph: Mind the gap.')
    expect(shown[2]).toContain('    { name: "model" },')
    expect(shown.at(-1)).toBe('paragraph: Inside.')
  })

  it('front matter that is no YAML: is left out', async () => {
    const { title, text } = await load('---\n: [\n---\n\n# T\n\nbody', 'text/markdown')
    expect([title, text]).toEqual(['T', 'T\n\nbody'])
  })
})

describe('HTML', () => {
  it('headings, lists, tables, code and alternative texts: kept; scripts, menus, footers, hidden parts: left out', async () => {
    const document = await load(
      `<!doctype html><html lang="de"><head><title>A page</title><style>p{}</style></head><body>
       <nav>Menu</nav><div class="sidebar">Links</div><h1>Top</h1><p>First <b>bold</b>&amp; more<br>next<script>x()</script></p>
       <ul><li>one<ul><li>inner</li></ul></li><li>two</li></ul><p hidden>secret</p><p style="display: none">secret</p>
       <table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td><i>2</i></td></tr></table>
       <pre>let a\n  b</pre><img src="x" alt="A map"><footer>Imprint</footer></body></html>`,
      'text/html',
    )
    expect(document.title).toBe('A page')
    expect(document.language).toBe('de')
    expect(document.shown).toEqual([
      'heading: Top',
      'paragraph: First bold& more\nnext',
      'list: - one',
      'list: - inner',
      'list: - two',
      'table: | a | b |\n| 1 | 2 |',
      'code: let a\n  b',
      'paragraph: A map',
    ])
  })

  it('a page with a main part: only that is read', async () => {
    const { text } = await load('<body><div>Frame</div><main><p>Content</p></main></body>', 'text/html')
    expect(text).toBe('Content')
  })

  it.each(['div', 'p', 'li', 'table', 'b'])(
    '100,000 open <%s>: read or refused, without a stack overflow',
    async (tag) => {
      const result = await load(`<${tag}>`.repeat(100_000) + 'text', 'text/html').catch(
        (error: unknown) => error,
      )
      expect([failure('no_text'), 'text']).toContainEqual(
        result instanceof Error ? result : (result as { text: string }).text,
      )
    },
  )
})

describe('charsets', () => {
  it.each<[string, Uint8Array, string]>([
    ['UTF-8 with a mark', Buffer.from('\ufeffhéllo'), 'text/plain'],
    ['UTF-16 with a mark', Buffer.from('\ufeffhéllo', 'utf16le'), 'text/plain'],
    ['UTF-16 without one', Buffer.from('héllo', 'utf16le'), 'text/plain'],
    ['Windows-1252, undeclared', Buffer.from('h\xe9llo', 'latin1'), 'text/plain'],
    ['declared', Buffer.from('h\xe9llo', 'latin1'), 'text/plain; charset="iso-8859-1"'],
    ['an unknown name', Buffer.from('héllo'), 'text/plain; charset=nonsense'],
    ['by the page itself', Buffer.from('<meta charset="iso-8859-1"><p>h\xe9llo', 'latin1'), 'text/html'],
  ])('%s: read', async (_, bytes, type) => {
    expect((await load(bytes, type)).text).toBe('héllo')
  })

  it('any bytes as plain text: a well-formed NFC text without control characters, or a failure of the document', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }),
          fc.string({ unit: 'binary' }).map((each) => Buffer.from(each)),
        ),
        async (bytes) => {
          const document = await load(bytes, 'text/plain').catch((error: unknown) => error)
          if (document instanceof Error) {
            expect(['empty', 'unsupported_type', 'broken', 'no_text']).toContain(
              (document as { code?: string }).code,
            )
            return
          }
          const { text } = document as { text: string }
          expect(text).toBe(text.normalize('NFC').toWellFormed())
          expect(text).not.toMatch(/[^\P{Cc}\n\t]/u)
        },
      ),
    )
  })
})

describe('PDF', () => {
  const page = (number: number, ...lines: { text: string; y: number; size?: number }[]) => [
    { text: 'Annual report', y: 800 },
    ...lines,
    { text: `Page ${number}`, y: 40 },
  ]

  it('pages: paragraphs and headings by place and size, hyphens mended, running heads left out', async () => {
    const pdf = makePdf(
      [
        page(
          1,
          { text: 'Results', y: 760, size: 20 },
          { text: 'The first paragraph is set over two lines and was hy-', y: 720 },
          { text: 'phenated at its end.', y: 706 },
          { text: 'The second paragraph goes on over the', y: 670 },
        ),
        page(2, { text: 'end of the page. Then it ends.', y: 760 }, { text: '1. An item', y: 720 }),
        page(3, { text: 'Outlook', y: 760, size: 20 }, { text: 'All is (well).', y: 720 }),
      ],
      'The report',
    )
    const document = await load(pdf, 'application/octet-stream')
    expect(document.title).toBe('The report')
    expect(document.shown).toEqual([
      'heading: Results',
      'paragraph: The first paragraph is set over two lines and was hyphenated at its end.',
      'paragraph: The second paragraph goes on over the end of the page. Then it ends.',
      'list: 1. An item',
      'heading: Outlook',
      'paragraph: All is (well).',
    ])
    expect(document.pageStarts.length).toBe(3)
    expect(document.text.slice(document.pageStarts[2]).trim()).toMatch(/^Outlook/u)
  })

  it('without text: no_text', async () => {
    await expect(load(makePdf([[]]), 'application/pdf')).rejects.toEqual(failure('no_text'))
  })

  it('broken: broken, with what to do', async () => {
    const error = await load('%PDF-1.7\nnothing that follows is one', 'application/pdf').catch(
      (each: unknown) => each,
    )
    expect(error).toEqual(failure('broken'))
    expect((error as Error).message).toContain('publish a repaired copy')
  })

  it('too many pages: too_large', async () => {
    const pdf = makePdf([[], [], []])
    await expect(load(pdf, 'application/pdf', null, { maxPages: 2 })).rejects.toEqual(failure('too_large'))
  })
})

describe('the type of a content', () => {
  it.each<[string, string | Uint8Array, string, string | null, string]>([
    [
      'by magic, whatever is declared',
      makePdf([[{ text: 'hello', y: 700 }]]),
      'text/html',
      null,
      'application/pdf',
    ],
    ['by name, where the type is generic', '# hello', 'application/octet-stream', 'a.MD', 'text/markdown'],
    ['by content, where there is no name', '<!doctype html><p>hello', '', null, 'text/html'],
    [
      'as text, where nothing else is known',
      'hello',
      'application/x-www-form-urlencoded',
      null,
      'text/plain',
    ],
    ['by an alias', '<p>hello', 'application/xhtml+xml', null, 'text/html'],
  ])('%s', async (_, content, declared, filename, expected) => {
    const document = await load(content, declared, filename)
    expect(document.mediaType).toBe(expected)
    expect(document.text).toBe('hello')
  })

  it.each<[string, string | Uint8Array, string, string]>([
    ['no bytes', '', 'text/plain', 'empty'],
    ['blank text', ' \n\t\n', 'text/plain', 'empty'],
    ['a page without text', '<p></p>', 'text/html', 'no_text'],
    ['an unknown type', 'hello', 'application/x-unknown', 'unsupported_type'],
    ['a name of the prototype', 'hello', 'constructor', 'unsupported_type'],
    [
      'a binary file of no declared type',
      Buffer.from([1, 0, 0, 2, 0, 3]),
      'application/octet-stream',
      'unsupported_type',
    ],
    ['a PNG declared as Markdown', Buffer.from('\x89PNG\r\n', 'latin1'), 'text/markdown', 'mistyped'],
    ['NUL bytes declared as HTML', '<p>a\0\0b</p>', 'text/html', 'mistyped'],
    ['a text declared as PDF', 'error 404', 'application/pdf', 'mistyped'],
  ])('%s: fails as such', async (_, content, type, code) => {
    await expect(load(content, type)).rejects.toEqual(failure(code))
  })
})

describe('limits', () => {
  it.each<[string, string | Uint8Array, string, Partial<LoadLimits>]>([
    ['bytes', 'hello', 'text/plain', { maxBytes: 4 }],
    ['characters', 'hello world', 'text/plain', { maxCharacters: 10 }],
    ['blocks', '- a\n- b\n- c', 'text/markdown', { maxBlocks: 2 }],
  ])('more %s than allowed: too_large, with what to do', async (_, content, type, limits) => {
    const error = await load(content, type, null, limits).catch((each: unknown) => each)
    expect(error).toEqual(failure('too_large'))
    expect((error as Error).message).toContain('publish it in parts')
  })
})

describe('hostile Markdown', () => {
  it.each([
    ['quotes', '>'.repeat(100_000)],
    ['lists', '- '.repeat(100_000)],
    ['brackets', '['.repeat(20_000)],
    ['emphasis', '*a_ '.repeat(50_000)],
    ['one word of 10 MB', 'x'.repeat(10_000_000)],
    ['one line of 5 MB', 'word '.repeat(1_000_000)],
    ['front matter marks', '---\n'.repeat(50_000)],
    [
      'aliases',
      `---\na: &a [x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a]\nc: [*b, *b, *b, *b, *b, *b, *b]\n---\n`,
    ],
    ['emoji', '😀'.repeat(1_000_000)],
  ])('%s: read or refused', async (_, source) => {
    const result = await load(`${source}text`, 'text/markdown').catch((error: unknown) => error)
    if (result instanceof Error) expect(result).toEqual(failure('no_text'))
  })
})

it('a PDF that unpacks to 100 MB of blanks: no_text', async () => {
  const stream = deflateSync(Buffer.alloc(100_000_000, 0x20))
  const head =
    '%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n' +
    '3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>endobj\n' +
    `4 0 obj<</Length ${stream.length}/Filter/FlateDecode>>stream\n`
  const pdf = Buffer.concat([
    Buffer.from(head),
    stream,
    Buffer.from('\nendstream endobj\ntrailer<</Root 1 0 R>>'),
  ])
  await expect(load(pdf, 'application/pdf')).rejects.toEqual(failure('no_text'))
})

describe('the layout of a PDF', () => {
  it('words in columns with gaps between: a table; a mark behind a number is raised', async () => {
    const row = (y: number, ...cells: string[]) => cells.map((text, i) => ({ text, x: 72 + i * 120, y }))
    const pdf = makePdf([
      [
        { text: 'Some words before it end here.', y: 760 },
        ...row(700, 'Country', 'Capital', 'People'),
        ...row(684, 'Austria', 'Vienna', '8,935,112'),
        { text: '2', x: 72 + 240 + 49, y: 689, size: 6 },
        ...row(668, 'Vatican', 'Vatican City', '453'),
        { text: 'And words after it.', y: 620 },
      ],
    ])
    const { shown } = await load(pdf, 'application/pdf')
    expect(shown).toEqual([
      'paragraph: Some words before it end here.',
      'table: | Country | Capital | People |\n| Austria | Vienna | 8,935,112² |\n| Vatican | Vatican City | 453 |',
      'paragraph: And words after it.',
    ])
  })

  it('a hyphen that is the word’s own: stays', async () => {
    const pdf = makePdf([
      [
        { text: 'Tools for self-', y: 700 },
        { text: 'publishing are a well-known mer-', y: 686 },
        { text: 'cy, and so is the co-op, a co-', y: 672 },
        { text: 'op of long standing.', y: 658 },
      ],
    ])
    expect((await load(pdf, 'application/pdf')).text).toBe(
      'Tools for self-publishing are a well-known mercy, and so is the co-op, a co-op of long standing.',
    )
  })

  it('pages that differ in their number alone: are read', async () => {
    const pdf = makePdf([1, 2, 3].map((i) => [{ text: `Ticket ${i} of 3`, y: 700 }]))
    expect((await load(pdf, 'application/pdf')).text).toContain('Ticket 2 of 3')
  })
})

describe('the furniture of a page', () => {
  it('menus by their links, cookie bars, asides, permalinks: left out, also where no element names the content', async () => {
    const links = Array.from({ length: 8 }, (_, i) => `<li><a href="/${i}">Topic ${i}</a></li>`).join('')
    const { shown, title } = await load(
      `<!doctype html><title>Tea | The shop</title><body><header><a href="/">Home</a></header><ul>${links}</ul>
       <div id="CookieConsent">We use cookies</div><div class="cookie-notice">Accept</div><aside>Follow us</aside>
       <h1>Tea<a href="#tea">#</a></h1><p>Tea is hot, and there are <a href="/a">many kinds</a> of it.</p>
       <table><tr><td colspan="2">Kinds</td></tr><tr><th>Name</th><th>Colour</th></tr><tr><td rowspan="2">Assam</td><td>black</td></tr><tr><td>brown</td></tr></table>
       <div role="contentinfo">Imprint</div></body>`,
      'text/html',
    )
    expect(title).toBe('Tea')
    expect(shown).toEqual([
      'heading: Tea',
      'paragraph: Tea is hot, and there are many kinds of it.',
      'paragraph: Kinds',
      'table: | Name | Colour |\n| Assam | black |\n| Assam | brown |',
    ])
  })

  it('a page that is named a menu throughout: is read', async () => {
    const { text } = await load(
      '<!doctype html><body><div class="menu"><p>Soup</p></div></body>',
      'text/html',
    )
    expect(text).toBe('Soup')
  })
})
