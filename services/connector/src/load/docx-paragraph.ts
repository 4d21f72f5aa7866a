import { attribute, child, descendants, elements, textOf } from './xml.ts'
import type { XmlNode } from './xml.ts'

export interface ParagraphText {
  /** What stands on each page; one text where the paragraph crosses none. */
  readonly pages: string[]
  /** Contents of text boxes that are anchored in it. */
  readonly boxes: readonly XmlNode[]
  readonly notes: readonly Note[]
}

export interface Note {
  readonly mark: number
  readonly note: XmlNode
}

interface Reading {
  readonly pages: string[]
  readonly boxes: XmlNode[]
  readonly notes: Note[]
  readonly noteOf: (key: string) => Note | null
}

/** Not said, or said elsewhere: properties, what was deleted or moved away, the codes of fields, notes of reviewers. */
const SKIPPED = new Set([
  'pPr',
  'rPr',
  'del',
  'delText',
  'moveFrom',
  'instrText',
  'delInstrText',
  'fldChar',
  'commentReference',
  'annotationRef',
  'rt',
])
/** The symbol fonts' own places say nothing outside them. */
const PRIVATE_USE = /[\ue000-\uf8ff]/u

const NOTHING: XmlNode = { name: '', attributes: {}, children: [] }

/** What Office says under descriptions of its own making. */
const MADE_BY_PROGRAM =
  /\s*(?:AI-generated content may be incorrect|Description automatically generated[^]*)\.?\s*$/iu

/** The text of a paragraph. `noteOf` gives the next mark for a note's key, such as `footnote:2`. */
export function readParagraph(node: XmlNode, noteOf: (key: string) => Note | null): ParagraphText {
  const reading: Reading = { pages: [''], boxes: [], notes: [], noteOf }
  readInline(reading, node)
  return reading
}

function say(reading: Reading, text: string): void {
  reading.pages[reading.pages.length - 1] += text
}

function readInline(reading: Reading, node: XmlNode): void {
  for (const each of elements(node)) {
    if (SKIPPED.has(each.name)) continue
    switch (each.name) {
      case 't':
        say(reading, textOf(each))
        break
      case 'tab':
      case 'ptab':
        say(reading, ' ')
        break
      case 'br':
        say(reading, attribute(each, 'type') === 'page' ? '' : '\n')
        break
      case 'cr':
        say(reading, '\n')
        break
      case 'noBreakHyphen':
        say(reading, '-')
        break
      case 'sym':
        say(reading, symbol(each))
        break
      case 'lastRenderedPageBreak':
        reading.pages.push('')
        break
      case 'footnoteReference':
      case 'endnoteReference':
        addNote(reading, each)
        break
      case 'r':
        if (!isHidden(each)) readInline(reading, each)
        break
      case 'AlternateContent':
        readInline(reading, child(each, 'Choice') ?? child(each, 'Fallback') ?? NOTHING)
        break
      case 'drawing':
      case 'pict':
      case 'object':
        readDrawing(reading, each)
        break
      case 'oMath':
      case 'oMathPara':
        say(reading, descendants(each, 't').map(textOf).join(' '))
        break
      default:
        readInline(reading, each)
    }
  }
}

function isHidden(run: XmlNode): boolean {
  const vanish = child(run, 'rPr', 'vanish')
  return vanish !== undefined && !['0', 'false', 'off'].includes(attribute(vanish, 'val') ?? '1')
}

function symbol(node: XmlNode): string {
  const code = Number.parseInt(attribute(node, 'char') ?? '', 16)
  if (!(code > 0x1f && code < 0xd800) && !(code >= 0xe000 && code < 0xfffe)) return ''
  const character = String.fromCharCode(code)
  return PRIVATE_USE.test(character) ? '' : character
}

function addNote(reading: Reading, node: XmlNode): void {
  const kind = node.name === 'footnoteReference' ? 'footnote' : 'endnote'
  const note = reading.noteOf(`${kind}:${attribute(node, 'id')}`)
  if (!note) return
  say(reading, `[${note.mark}]`)
  reading.notes.push(note)
}

/** A picture says what its description says; a text box is read after the paragraph. */
function readDrawing(reading: Reading, node: XmlNode): void {
  const boxes = descendants(node, 'txbxContent')
  reading.boxes.push(...boxes)
  if (boxes.length > 0) return
  const description = descendants(node, 'docPr')
    .map((each) => (attribute(each, 'descr') ?? '').replace(MADE_BY_PROGRAM, '').trim())
    .filter((text) => text !== '')
  if (description.length > 0) say(reading, ` ${description.join(' ')} `)
}
