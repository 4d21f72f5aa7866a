import { describe, expect, it } from 'vitest'

import { defaultLoadLimits } from './document.ts'
import { loadDocument } from './loaders.ts'
import { makeDocx, makeOffice, makeZip, relationships } from './zip.fixture.ts'

/** Published under a name and type that say nothing: the content is all there is to go by. */
async function load(bytes: Uint8Array) {
  const document = await loadDocument(
    { bytes, contentType: 'application/octet-stream', filename: null },
    defaultLoadLimits,
  )
  const page = (at: number) => document.pageStarts.filter((start) => start <= at).length
  const shown = document.blocks.map(
    ({ kind, start, end, headings }) =>
      `${document.pageStarts.length > 0 ? `p${page(start)} ` : ''}${kind} [${headings.join(' > ')}] ${document.text.slice(start, end)}`,
  )
  return { ...document, shown }
}

const p = (text: string, properties = '') =>
  `<w:p>${properties === '' ? '' : `<w:pPr>${properties}</w:pPr>`}<w:r><w:t>${text}</w:t></w:r></w:p>`
const style = (id: string) => `<w:pStyle w:val="${id}"/>`

describe('DOCX', () => {
  const styles =
    '<w:styles><w:style w:type="paragraph" w:styleId="T"><w:name w:val="Title"/></w:style>' +
    '<w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>' +
    '<w:style w:type="paragraph" w:styleId="Own"><w:name w:val="Own"/><w:basedOn w:val="berschrift1"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>' +
    '<w:style w:type="paragraph" w:styleId="toc"><w:name w:val="toc 1"/></w:style></w:styles>'
  const numbering =
    '<w:numbering><w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>' +
    '<w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1.%2)"/></w:lvl></w:abstractNum>' +
    '<w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="·"/></w:lvl></w:abstractNum>' +
    '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num></w:numbering>'
  const numbered = (id: number, level = 0) =>
    `<w:numPr><w:ilvl w:val="${level}"/><w:numId w:val="${id}"/></w:numPr>`
  const parts = {
    'word/styles.xml': styles,
    'word/numbering.xml': numbering,
    'word/footnotes.xml': `<w:footnotes><w:footnote w:type="separator" w:id="0"/><w:footnote w:id="2">${p('A note.')}</w:footnote></w:footnotes>`,
    'word/_rels/document.xml.rels': relationships({
      a: ['styles', 'styles.xml'],
      b: ['numbering', '/word/numbering.xml'],
      c: ['footnotes', 'footnotes.xml'],
    }),
  }

  it('title, headings by outline level, numbers as shown, notes, hidden and deleted text', async () => {
    const document = await load(
      makeDocx(
        [
          p('The plan', style('T')),
          p('Begin 3', style('toc')),
          p('Begin', style('berschrift1') + numbered(1)),
          `<w:p><w:r><w:t xml:space="preserve">Text </w:t></w:r><w:del><w:r><w:delText>old</w:delText></w:r></w:del><w:ins><w:r><w:t>new</w:t></w:r></w:ins>` +
            `<w:r><w:rPr><w:vanish/></w:rPr><w:t>secret</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r></w:p>`,
          p('first', numbered(1, 1)),
          p('second', numbered(1, 1)),
          p('dot', numbered(2)),
          p('Deeper', style('Own')),
          '<w:p><w:r><mc:AlternateContent><mc:Choice><w:drawing><wps:txbx><w:txbxContent>' +
            p('In a box') +
            '</w:txbxContent></wps:txbx></w:drawing></mc:Choice><mc:Fallback><w:t>again</w:t></mc:Fallback></mc:AlternateContent></w:r></w:p>',
        ].join(''),
        parts,
      ),
    )
    expect(document.title).toBe('The plan')
    expect(document.shown).toEqual([
      'heading [The plan] The plan',
      'heading [The plan > 1. Begin] 1. Begin',
      'paragraph [The plan > 1. Begin] Text new[1]',
      'paragraph [The plan > 1. Begin] [1] A note.',
      'list [The plan > 1. Begin] 1.a) first',
      'list [The plan > 1. Begin] 1.b) second',
      'list [The plan > 1. Begin] - dot',
      'heading [The plan > 1. Begin > Deeper] Deeper',
      'paragraph [The plan > 1. Begin > Deeper] In a box',
    ])
  })

  it('tables: merged cells say their text in each row; a frame of one cell is read as text', async () => {
    const cell = (text: string, properties = '') => `<w:tc><w:tcPr>${properties}</w:tcPr>${p(text)}</w:tc>`
    const row = (...cells: string[]) => `<w:tr>${cells.join('')}</w:tr>`
    const { shown } = await load(
      makeDocx(
        `<w:tbl>${row(cell('Region'), cell('Q1'), cell('Q2'))}` +
          row(cell('North', '<w:vMerge w:val="restart"/>'), cell('1'), cell('2')) +
          row(cell('', '<w:vMerge/>'), cell('both', '<w:gridSpan w:val="2"/>')) +
          `</w:tbl><w:tbl>${row(cell('Framed'))}</w:tbl>`,
      ),
    )
    expect(shown).toEqual([
      'table [] | Region | Q1 | Q2 |\n| North | 1 | 2 |\n| North | both |  |',
      'paragraph [] Framed',
    ])
  })

  it('pages: as Word laid them out, also within a paragraph', async () => {
    const turn = '<w:lastRenderedPageBreak/>'
    const document = await load(
      makeDocx(
        `${p('One')}<w:p><w:r><w:t>begins here </w:t>${turn}<w:t>and ends there</w:t></w:r></w:p>` +
          `<w:p><w:r>${turn}<w:t>Three</w:t></w:r></w:p>`,
      ),
    )
    expect(document.shown).toEqual([
      'p1 paragraph [] One',
      'p1 paragraph [] begins here and ends there',
      'p3 paragraph [] Three',
    ])
    expect(document.text.slice(document.pageStarts[1])).toMatch(/^and ends/u)
  })
})

describe('PPTX', () => {
  it('slides: pages with titles, lists, tables and notes; hidden ones and furniture left out', async () => {
    const shape = (type: string, ...lines: string[]) =>
      `<p:sp><p:nvSpPr><p:cNvPr id="1" name="x"/><p:nvPr><p:ph type="${type}"/></p:nvPr></p:nvSpPr><p:txBody>${lines
        .map((line) => `<a:p><a:r><a:t>${line}</a:t></a:r></a:p>`)
        .join('')}</p:txBody></p:sp>`
    const slide = (attributes: string, ...shapes: string[]) =>
      `<p:sld ${attributes}><p:cSld><p:spTree>${shapes.join('')}</p:spTree></p:cSld></p:sld>`
    const cell = (text: string) =>
      `<a:tc><a:txBody><a:p><a:r><a:t>${text}</a:t></a:r></a:p></a:txBody></a:tc>`
    const table = `<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tr>${cell('a')}${cell('b')}</a:tr><a:tr>${cell('1')}${cell('2')}</a:tr></a:tbl></a:graphicData></a:graphic></p:graphicFrame>`
    const document = await load(
      makeOffice('presentationml.presentation', 'ppt/presentation.xml', {
        'ppt/presentation.xml':
          '<p:presentation><p:sldIdLst><p:sldId id="1" r:id="r2"/><p:sldId id="2" r:id="r3"/><p:sldId id="3" r:id="r1"/></p:sldIdLst></p:presentation>',
        'ppt/_rels/presentation.xml.rels': relationships({
          r1: ['slide', 'slides/slide1.xml'],
          r2: ['slide', 'slides/slide2.xml'],
          r3: ['slide', 'slides/slide3.xml'],
        }),
        'ppt/slides/slide1.xml': slide('', table),
        'ppt/slides/slide2.xml': slide(
          '',
          shape('sldNum', '7'),
          shape('body', 'One', 'Two'),
          shape('title', 'Plans'),
        ),
        'ppt/slides/slide3.xml': slide('show="0"', shape('title', 'Hidden')),
        'ppt/slides/_rels/slide2.xml.rels': relationships({ n: ['notesSlide', '../notesSlides/n.xml'] }),
        'ppt/notesSlides/n.xml': slide('', shape('body', 'Say hello')),
      }),
    )
    expect(document.title).toBe('Plans')
    expect(document.shown).toEqual([
      'p1 heading [Plans] Plans',
      'p1 list [Plans] - One',
      'p1 list [Plans] - Two',
      'p1 paragraph [Plans] Notes: Say hello',
      'p3 table [Plans] | a | b |\n| 1 | 2 |',
    ])
  })
})

const workbook = (
  sheets: readonly (readonly [name: string, attributes: string, content: string])[],
  extra = {},
) =>
  makeOffice('spreadsheetml.sheet', 'xl/workbook.xml', {
    'xl/workbook.xml': `<workbook><sheets>${sheets
      .map(([name, attributes], i) => `<sheet name="${name}" sheetId="${i + 1}" ${attributes} r:id="s${i}"/>`)
      .join('')}</sheets></workbook>`,
    'xl/_rels/workbook.xml.rels': relationships({
      ...Object.fromEntries(sheets.map((_, i) => [`s${i}`, ['worksheet', `worksheets/${i}.xml`] as const])),
      t: ['sharedStrings', 'sharedStrings.xml'],
      f: ['styles', 'styles.xml'],
    }),
    ...Object.fromEntries(
      sheets.map(([, , content], i) => [`xl/worksheets/${i}.xml`, `<worksheet>${content}</worksheet>`]),
    ),
    'xl/sharedStrings.xml':
      '<sst><si><t>Product</t></si><si><r><t>Pri</t></r><r><t>ce</t></r><rPh><t>no</t></rPh></si></sst>',
    'xl/styles.xml':
      '<styleSheet><numFmts><numFmt numFmtId="164" formatCode="0.0%"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="4"/></cellXfs></styleSheet>',
    ...extra,
  })

describe('XLSX', () => {
  it('sheets: rows by their numbers, columns by their letters, values as shown', async () => {
    const document = await load(
      workbook([
        [
          'Prices',
          '',
          '<sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>Price list</t></is></c></row>' +
            '<row r="3"><c r="B3" t="s"><v>0</v></c><c r="C3" t="s"><v>1</v></c><c r="D3" t="str"><v>Since</v></c><c r="E3" t="str"><v>Share</v></c></row>' +
            '<row r="4"><c r="B4" t="str"><v>Tea</v></c><c r="C4" s="3"><f>1*1234.5</f><v>1234.5</v></c><c r="D4" s="1"><v>45292</v></c><c r="E4" s="2"><v>0.125</v></c></row>' +
            '<row r="5" hidden="1"><c r="B5" t="str"><v>Hidden</v></c><c r="C5"><v>1</v></c></row>' +
            '<row r="6"><c r="B6" t="b"><v>1</v></c><c r="C6"><v>0.1</v></c><c r="D6" t="e"><v>#N/A</v></c></row></sheetData>',
        ],
        ['Secret', 'state="hidden"', '<sheetData><row r="1"><c r="A1"><v>1</v></c></row></sheetData>'],
        ['Last', '', '<sheetData><row r="1"><c r="AA1"><v>7</v></c></row></sheetData>'],
      ]),
    )
    expect(document.shown).toEqual([
      'p1 heading [Prices] Prices',
      expect.stringContaining('Price list'),
      'p1 table [Prices] | row | B Product | C Price | D Since | E Share |\n| 4 | Tea | 1,234.50 | 1/1/2024 | 12.5% |\n| 6 | TRUE | 0.1 | #N/A |  |',
      'p3 heading [Last] Last',
      'p3 paragraph [Last] 7',
    ])
    expect(document.title).toBeNull()
  })

  it('a wide sheet: each cell carries its name', async () => {
    const cells = (row: number, text: (i: number) => string) =>
      `<row r="${row}">${Array.from({ length: 20 }, (_, i) => `<c t="str"><v>${text(i)}</v></c>`).join('')}</row>`
    const { shown } = await load(
      workbook([
        [
          'Wide',
          '',
          `<sheetData>${cells(1, (i) => `a long name ${i}`)}${cells(2, (i) => (i < 2 ? `v${i}` : ''))}</sheetData>`,
        ],
      ]),
    )
    expect(shown[1]).toBe('p1 paragraph [Wide] | 2 | A a long name 0: v0 | B a long name 1: v1 |')
  })
})

describe('OpenDocument', () => {
  const open = (kind: string, body: string) =>
    makeZip({
      mimetype: `application/vnd.oasis.opendocument.${kind}`,
      'content.xml': `<office:document-content><office:automatic-styles><style:style style:name="P1" style:parent-style-name="Title"/></office:automatic-styles><office:body>${body}</office:body></office:document-content>`,
    })

  it('a text: title, headings, lists, tables, notes; deletions left out', async () => {
    const cell = (text: string, more = '') =>
      `<table:table-cell ${more}><text:p>${text}</text:p></table:table-cell>`
    const document = await load(
      open(
        'text',
        '<office:text><text:tracked-changes><text:p>gone</text:p></text:tracked-changes><text:p text:style-name="P1">Name</text:p>' +
          '<text:h text:outline-level="1">Part</text:h><text:p>a<text:s text:c="2"/>b<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>why</text:p></text:note-body></text:note></text:p>' +
          '<text:list><text:list-item><text:p>item</text:p><text:list><text:list-item><text:p>inner</text:p></text:list-item></text:list></text:list-item></text:list>' +
          `<table:table><table:table-row>${cell('x', 'table:number-rows-spanned="2"')}${cell('y')}</table:table-row><table:table-row><table:covered-table-cell/>${cell('z')}</table:table-row></table:table></office:text>`,
      ),
    )
    expect(document.title).toBe('Name')
    expect(document.shown).toEqual([
      'heading [Name] Name',
      'heading [Name > Part] Part',
      'paragraph [Name > Part] a  b[1]',
      'paragraph [Name > Part] [1] why',
      'list [Name > Part] - item',
      'list [Name > Part] - inner',
      'table [Name > Part] | x | y |\n| x | z |',
    ])
  })

  it('a workbook: the values as shown; repeated blank cells cost nothing', async () => {
    const { shown } = await load(
      open(
        'spreadsheet',
        '<office:spreadsheet><table:table table:name="S"><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell><table:table-cell table:number-columns-repeated="2"><text:p>b</text:p></table:table-cell><table:table-cell table:number-columns-repeated="16380"/></table:table-row>' +
          '<table:table-row table:number-rows-repeated="1000000"><table:table-cell/></table:table-row><table:table-row><table:table-cell><text:p>last</text:p></table:table-cell></table:table-row></table:table></office:spreadsheet>',
      ),
    )
    expect(shown).toEqual([
      'p1 heading [S] S',
      'p1 table [S] | row | A | B | C |\n| 1 | a | b | b |',
      'p1 paragraph [S] last',
    ])
  })

  it('a presentation: a page each slide', async () => {
    const frame = (kind: string, text: string) =>
      `<draw:frame presentation:class="${kind}"><draw:text-box><text:p>${text}</text:p></draw:text-box></draw:frame>`
    const { shown } = await load(
      open(
        'presentation',
        `<office:presentation><draw:page>${frame('title', 'One')}${frame('outline', 'said')}</draw:page><draw:page>${frame('title', 'Two')}<presentation:notes>${frame('notes', 'aside')}</presentation:notes></draw:page></office:presentation>`,
      ),
    )
    expect(shown).toEqual([
      'p1 heading [One] One',
      'p1 paragraph [One] said',
      'p2 heading [Two] Two',
      'p2 paragraph [Two] Notes: aside',
    ])
  })
})
