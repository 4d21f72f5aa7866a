import { makePdf } from './pdf-fixture.ts'
import { makeDocx, makeOffice, makeZip, relationships } from './zip.fixture.ts'

/** A small file of each format, none of which needs data from elsewhere. */
export function sampleFiles(): { name: string; bytes: Buffer }[] {
  const words = Array.from({ length: 300 }, (_, i) => `word${i * 7}`).join(' ')
  const paragraph = `<w:p><w:pPr><w:pStyle w:val="H"/><w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr></w:pPr><w:r><w:t>${words}</w:t></w:r></w:p>`
  const cell = (text: string) =>
    `<w:tc><w:tcPr><w:vMerge/></w:tcPr><w:p><w:r><w:t>${text}</w:t></w:r></w:p></w:tc>`
  const docx = makeDocx(
    `${paragraph}<w:tbl><w:tr>${cell('a')}${cell('b')}</w:tr><w:tr>${cell('c')}${cell('d')}</w:tr></w:tbl>`,
    {
      'word/_rels/document.xml.rels': relationships({ n: ['numbering', 'numbering.xml'] }),
      'word/numbering.xml':
        '<w:numbering><w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl></w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num></w:numbering>',
    },
  )
  const pptx = makeOffice('presentationml.presentation', 'ppt/presentation.xml', {
    'ppt/presentation.xml':
      '<p:presentation><p:sldIdLst><p:sldId id="1" r:id="r1"/></p:sldIdLst></p:presentation>',
    'ppt/_rels/presentation.xml.rels': relationships({ r1: ['slide', 'slides/1.xml'] }),
    'ppt/slides/1.xml': `<p:sld><p:cSld><p:spTree><p:sp><p:txBody><a:p><a:r><a:t>${words}</a:t></a:r></a:p></p:txBody></p:sp></p:spTree></p:cSld></p:sld>`,
  })
  const rows = Array.from(
    { length: 50 },
    (_, i) =>
      `<row r="${i + 1}"><c r="A${i + 1}" t="str"><v>name ${i}</v></c><c r="B${i + 1}" s="0"><v>${i / 3}</v></c></row>`,
  ).join('')
  const xlsx = makeOffice('spreadsheetml.sheet', 'xl/workbook.xml', {
    'xl/workbook.xml': '<workbook><sheets><sheet name="S" r:id="r1"/></sheets></workbook>',
    'xl/_rels/workbook.xml.rels': relationships({ r1: ['worksheet', 's.xml'], r2: ['styles', 'styles.xml'] }),
    'xl/styles.xml':
      '<styleSheet><numFmts><numFmt numFmtId="164" formatCode="#,##0.00;[Red]-0.0%"/></numFmts><cellXfs><xf numFmtId="164"/></cellXfs></styleSheet>',
    'xl/s.xml': `<worksheet><sheetData>${rows}</sheetData><mergeCells><mergeCell ref="A1:A9"/></mergeCells></worksheet>`,
  })
  const odt = makeZip({
    mimetype: 'application/vnd.oasis.opendocument.text',
    'content.xml': `<office:document-content><office:body><office:text><text:h text:outline-level="1">Part</text:h><text:p>${words}</text:p></office:text></office:body></office:document-content>`,
  })
  const mail = `From: a@example.org\r\nTo: b@example.org\r\nSubject: Words\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n<h1>Words</h1><table><tr><td rowspan=2>a<td>b<tr><td>c</table>${words}\r\n--x\r\nContent-Type: application/octet-stream; name="a.docx"\r\nContent-Transfer-Encoding: base64\r\n\r\n${docx.toString('base64')}\r\n--x--`
  const records = Array.from({ length: 40 }, (_, i) => ({ id: i, name: `n ${i}`, at: { x: [1, { y: i }] } }))
  const texts: Readonly<Record<string, string>> = {
    'a.md': `# Title\n\n- ${words}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n`,
    'a.html': `<!doctype html><html><body><nav>x</nav><h1>Title</h1><ul><li>${words}</ul><table><tr><th>a<th>b<tr><td>1<td>2</table></body></html>`,
    'a.eml': mail,
    'a.csv': `name,price,text\n${records.map(({ id, name }) => `"${name}",${id},"a ""b"", c"`).join('\n')}\n`,
    'a.json': JSON.stringify({ title: 'T', records }),
    'a.jsonl': records.map((record) => JSON.stringify(record)).join('\n'),
    'a.rtf': `{\\rtf1\\ansi{\\fonttbl{\\f0 Arial;}}\\pard ${words}\\par\\intbl a\\cell b\\cell\\row\\pard \\u8211?{\\b ${words}}\\par}`,
    'a.py': `import os\n\nclass Shop:\n    def sell(self):\n        return 1\n\n# ${words}\n`,
    'a.yaml': `a:\n  b: 1\n  c:\n    - ${words}\n`,
  }
  return [
    { name: 'a.docx', bytes: docx },
    { name: 'a.pptx', bytes: pptx },
    { name: 'a.xlsx', bytes: xlsx },
    { name: 'a.odt', bytes: odt },
    {
      name: 'a.pdf',
      bytes: makePdf([[{ text: 'Title', y: 700, size: 20 }], [{ text: words.slice(0, 90), y: 600 }]]),
    },
    ...Object.entries(texts).map(([name, text]) => ({ name, bytes: Buffer.from(text) })),
  ]
}
