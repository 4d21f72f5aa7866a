import { loadFailure } from './failures.ts'
import type { SourceFile } from './loaders.ts'
import { normalizeText } from './normalize.ts'

export type BlockKind = 'heading' | 'paragraph' | 'list' | 'table' | 'code' | 'quote'

/** A piece of a document's structure. Offsets are UTF-16 units of the document's text, the end exclusive. */
export interface Block {
  readonly kind: BlockKind
  readonly start: number
  readonly end: number
  /** From the outermost heading to the one that this block stands under; a heading's own is its last. One section's
   * blocks share one array. */
  readonly headings: readonly string[]
}

/** A document as one text with structure. */
export interface LoadedDocument {
  /** Made once, NFC-normalised: what `/text` serves and all ranges refer to. */
  readonly text: string
  readonly title: string | null
  /** In order, without overlap; together they hold all that is not blank. */
  readonly blocks: readonly Block[]
  /** Where each page begins in the text; empty where the format has no pages. */
  readonly pageStarts: readonly number[]
  /** BCP 47, where the document says it. */
  readonly language: string | null
}

export interface LoadLimits {
  readonly maxBytes: number
  readonly maxPages: number
  /** UTF-16 units of extracted text. */
  readonly maxCharacters: number
  /** Headings, paragraphs, list items, tables. */
  readonly maxBlocks: number
  /** What the parts of archives unpack to, of a document and of all that it holds. */
  readonly maxUnpackedBytes: number
  /** Files within files: an attachment of a forwarded message is two deep. */
  readonly maxNesting: number
}

export const defaultLoadLimits: LoadLimits = {
  maxBytes: 64 * 1024 * 1024,
  maxPages: 5000,
  maxCharacters: 32 * 1024 * 1024,
  maxBlocks: 300_000,
  maxUnpackedBytes: 128 * 1024 * 1024,
  maxNesting: 4,
}

/** What a document and the files in it may still unpack; it only sinks. */
export interface Budget {
  unpackedBytes: number
}

export interface LoadInput {
  readonly bytes: Uint8Array
  /** Of the declared type, such as `utf-16le`. */
  readonly charset: string | null
  /** Of the content, as it was found. */
  readonly type: string
  readonly filename: string | null
  readonly limits: LoadLimits
  /** What protected files are tried with. */
  readonly passwords: readonly string[]
  readonly budget: Budget
  /** Reads a file that this one holds, by its own type. */
  readonly loadNested: (file: SourceFile) => Promise<LoadedDocument>
}

/** Bytes of one format → text with structure. Fails with a `LoadFailure` only. */
export type Loader = (input: LoadInput) => Promise<LoadedDocument>

/** A title or heading is context, not content: what is longer is cut. */
const MAX_HEADING_LENGTH = 200

export interface DocumentBuilder {
  heading(level: number, text: string): void
  /** Opens a section whose name stands in its text already, as a function's does: the path alone changes. */
  section(level: number, name: string): void
  /**
   * Appends one block; blank text is left out. `indent` counts levels of a nested list. Of several texts each but the first
   * begins a page: they are parts of one block.
   */
  add(kind: Exclude<BlockKind, 'heading'>, text: string | readonly string[], indent?: number): void
  /** Appends a whole document, its headings under the ones that are open. */
  append(document: LoadedDocument): void
  /** Goes on with the last block, as a paragraph that crosses a page does. */
  continueBlock(text: string): void
  startPage(): void
  readonly last: { readonly kind: BlockKind; readonly text: string } | null
  /** Without a title the first of the largest headings is it, unless headings are only `labels`, such as sheets' names. */
  finish(facts: { title?: string | null; language?: string | null; labels?: boolean }): LoadedDocument
}

/** Collects normalised blocks into one text and keeps the heading path. */
export function createDocumentBuilder(limits: LoadLimits): DocumentBuilder {
  const parts: string[] = []
  const blocks: Block[] = []
  const pageStarts: number[] = []
  let length = 0
  let open: { level: number; text: string }[] = []
  let path: readonly string[] = []
  let firstTop: { level: number; text: string } | null = null
  let last: { kind: BlockKind; text: string } | null = null

  const append = (piece: string) => {
    parts.push(piece)
    length += piece.length
    if (length > limits.maxCharacters)
      throw loadFailure(
        'too_large',
        `the document has more than ${limits.maxCharacters} characters of text: publish it in parts`,
      )
  }
  const hold = (block: Block) => {
    if (blocks.length >= limits.maxBlocks)
      throw loadFailure(
        'too_large',
        `the document has more than ${limits.maxBlocks} paragraphs and list items: publish it in parts`,
      )
    blocks.push(block)
  }
  const put = (kind: BlockKind, text: string, indent: number) => {
    // Items of one list stand on lines of their own; everything else is set apart by a blank line.
    if (last) append(kind === 'list' && last.kind === 'list' ? '\n' : '\n\n')
    if (indent > 0) append('  '.repeat(Math.min(indent, 8)))
    const start = length
    append(text)
    hold({ kind, start, end: length, headings: path })
    last = { kind, text }
  }
  const enter = (level: number, text: string) => {
    const heading = { level, text: cutHeading(text) }
    open = [...open.filter((outer) => outer.level < level), heading]
    path = open.map((each) => each.text)
    return heading
  }

  return {
    heading(level, raw) {
      const text = normalizeText(raw).replace(/\s+/gu, ' ').trim()
      if (text === '') return
      const heading = enter(level, text)
      if (!firstTop || level < firstTop.level) firstTop = heading
      put('heading', text, 0)
    },
    section(level, raw) {
      const text = normalizeText(raw).replace(/\s+/gu, ' ').trim()
      if (text !== '') enter(level, text)
    },
    add(kind, raw, indent = 0) {
      const parts = typeof raw === 'string' ? [raw] : raw
      const text = trimBlock(normalizeText(parts.join('')))
      if (text !== '') put(kind, text, indent)
      for (let i = 1; i < parts.length; i++) {
        const rest = trimLines(normalizeText(parts.slice(i).join(''))).trimEnd()
        pageStarts.push(length - Math.min(rest.length, text.length))
      }
    },
    append(document) {
      if (document.blocks.length === 0) return
      if (last) append('\n\n')
      const by = length
      append(document.text)
      const paths = new Map<readonly string[], readonly string[]>()
      const under = (headings: readonly string[]) => {
        const joined = paths.get(headings) ?? [...path, ...headings]
        paths.set(headings, joined)
        return joined
      }
      for (const { kind, start, end, headings } of document.blocks)
        hold({ kind, start: start + by, end: end + by, headings: under(headings) })
      // Whatever follows stands apart from it.
      last = { kind: 'paragraph', text: '' }
    },
    continueBlock(raw) {
      const text = trimBlock(normalizeText(raw))
      const block = blocks.at(-1)
      if (!block || !last) return this.add('paragraph', raw)
      if (text === '') return
      append(' ')
      append(text)
      blocks[blocks.length - 1] = { ...block, end: length }
      last = { kind: last.kind, text }
    },
    startPage() {
      pageStarts.push(length)
    },
    get last() {
      return last
    },
    finish({ title, language, labels = false }) {
      const given = normalizeText(title ?? '')
        .replace(/\s+/gu, ' ')
        .trim()
      return {
        // A combining mark after a line break cannot compose with it: joined blocks stay in NFC.
        text: parts.join(''),
        title: given === '' ? (labels ? null : (firstTop?.text ?? null)) : cutHeading(given),
        blocks,
        pageStarts,
        language: language?.trim() || null,
      }
    },
  }
}

/** Without blank lines around and blanks at line ends; the first line's indentation goes too. */
function trimBlock(text: string): string {
  return trimLines(text).trim()
}

function trimLines(text: string): string {
  // Not one regular expression: it would look at a long run of blanks again from each of them.
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}

export function cutHeading(text: string): string {
  return text.length <= MAX_HEADING_LENGTH ? text : text.slice(0, MAX_HEADING_LENGTH).toWellFormed().trimEnd()
}
