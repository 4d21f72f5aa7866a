import { decodeText } from './charset.ts'
import { codeLanguage } from './code-languages.ts'
import type { CodeLanguage } from './code-languages.ts'
import type { Block, LoadedDocument, LoadInput } from './document.ts'
import { loadFailure } from './failures.ts'
import { normalizeText } from './normalize.ts'

/** What holds declarations of its own; a function's inner ones are its own affair. */
const CONTAINER =
  /^(?:class|interface|enum|record|struct|trait|object|namespace|module|protocol|extension|union|impl|mod|actor|message|service)\b/u
/** Ends what stands above it, and belongs to it. */
const CLOSING = /^(?:\{|[)\]}]+[;,)]*|end\b.*|fi|done|esac|#endif\b.*)$/u
/** A declaration's line is no longer; what is, was made by a machine. */
const MAX_LINE_LENGTH = 300
const TAB_WIDTH = 4

interface Scope {
  readonly name: string
  readonly indent: number
}

/**
 * Source code: its lines stay exactly as they are, and functions, types and the like are its sections. They are found by how
 * a line begins and how far it is indented, which holds in every language that people format.
 */
export async function loadCode({ bytes, charset, type, limits }: LoadInput): Promise<LoadedDocument> {
  return codeDocument(decodeText(bytes, charset), codeLanguage(type), limits)
}

export function codeDocument(
  raw: string,
  language: CodeLanguage | null,
  limits: LoadInput['limits'],
): LoadedDocument {
  const text = normalizeText(raw).trimEnd()
  if (text.length > limits.maxCharacters)
    throw loadFailure(
      'too_large',
      `the document has more than ${limits.maxCharacters} characters of text: publish it in parts`,
    )
  const blocks = codeBlocks(text, language)
  if (blocks.length > limits.maxBlocks)
    throw loadFailure('too_large', `the code has more than ${limits.maxBlocks} sections: publish it in parts`)
  return { text, title: null, blocks, pageStarts: [], language: null }
}

function codeBlocks(text: string, language: CodeLanguage | null): Block[] {
  const blocks: Block[] = []
  let scopes: Scope[] = []
  let path: readonly string[] = []
  let start = -1
  let end = 0
  /** Where comments and decorators begin that stand right above the next line. */
  let leading = -1
  const close = (at: number) => {
    // What stands above a declaration without a blank line goes with it.
    const stop = at > start && start !== -1 ? text.slice(start, at).trimEnd().length + start : start
    if (stop > start) blocks.push({ kind: 'code', start, end: stop, headings: path })
    start = -1
  }
  for (let from = 0; from < text.length;) {
    const found = text.indexOf('\n', from)
    const to = found === -1 ? text.length : found
    const line = text.slice(from, to)
    const code = line.trim()
    if (code === '') {
      leading = -1
    } else {
      const indent = indentOf(line)
      const left = scopes.filter(
        (scope) => indent > scope.indent || (indent === scope.indent && CLOSING.test(code)),
      )
      const name = language && declaration(code, language, left)
      const comment = language?.leading.test(code) ?? false
      if (comment && leading === -1) leading = from + (line.length - line.trimStart().length)
      const begin = leading !== -1 && name ? leading : from + (line.length - line.trimStart().length)
      // A comment says by its indentation alone nothing of what it belongs to; the next line does.
      if (name || (left.length < scopes.length && !comment)) {
        const cut = leading !== -1 ? leading : begin
        close(cut)
        start = cut
        scopes = name ? [...left.filter((scope) => indent > scope.indent), { name, indent }] : left
        path = scopes.map((scope) => scope.name)
      }
      if (start === -1) start = begin
      if (!comment) leading = -1
      end = from + line.trimEnd().length
    }
    from = to + 1
  }
  close(end)
  return blocks
}

/** The name of what a line declares; null where it declares nothing or where that is too deep to be a section. */
function declaration(code: string, language: CodeLanguage, scopes: readonly Scope[]): string | null {
  const yaml = language.type === 'application/yaml'
  if (code.length > MAX_LINE_LENGTH || scopes.length >= (yaml ? 2 : 3)) return null
  const parent = scopes.at(-1)
  if (parent && !yaml && !CONTAINER.test(parent.name)) return null
  for (const [i, pattern] of language.declarations.entries()) {
    // JavaScript's methods look like calls: only a class has them.
    if (!parent && language.methods === i) continue
    const found = pattern.exec(code)
    const name = found
      ?.slice(1)
      .filter((group) => group)
      .join('.')
    if (name) return name.trim().replace(/[\s{(:]+$/u, '')
  }
  return null
}

function indentOf(line: string): number {
  let width = 0
  for (const character of line) {
    if (character === ' ') width++
    else if (character === '\t') width += TAB_WIDTH - (width % TAB_WIDTH)
    else break
  }
  return width
}
