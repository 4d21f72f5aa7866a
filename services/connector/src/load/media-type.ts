import { byteOrderMark, utf16Pattern } from './charset.ts'
import { loadFailure } from './failures.ts'

/** Declared where a client does not know: what the name and the bytes say goes before it. */
const GENERIC = new Set([
  '',
  'application/octet-stream',
  'binary/octet-stream',
  'application/unknown',
  'application/x-www-form-urlencoded', // what curl sends unless told otherwise
  'text/plain',
])

const BY_EXTENSION: ReadonlyMap<string, string> = new Map([
  ['md', 'text/markdown'],
  ['mdx', 'text/markdown'],
  ['markdown', 'text/markdown'],
  ['html', 'text/html'],
  ['htm', 'text/html'],
  ['xhtml', 'text/html'],
  ['pdf', 'application/pdf'],
  ['txt', 'text/plain'],
  ['text', 'text/plain'],
  ['log', 'text/plain'],
  ['adoc', 'text/plain'],
  ['asciidoc', 'text/plain'],
  ['rst', 'text/plain'],
])

const ALIASES: ReadonlyMap<string, string> = new Map([
  ['text/x-markdown', 'text/markdown'],
  ['text/mdx', 'text/markdown'],
  ['text/x-mdx', 'text/markdown'],
  ['application/xhtml+xml', 'text/html'],
  ['application/x-pdf', 'application/pdf'],
  ['text/x-web-markdown', 'text/markdown'],
  ['text/asciidoc', 'text/plain'],
  ['text/x-asciidoc', 'text/plain'],
  ['text/x-rst', 'text/plain'],
  ['text/x-log', 'text/plain'],
])

const MAGIC: readonly (readonly [name: string, bytes: string])[] = [
  ['a ZIP archive', 'PK\u0003\u0004'],
  ['an empty ZIP archive', 'PK\u0005\u0006'],
  ['a gzip file', '\u001f\u008b'],
  ['a PNG image', '\u0089PNG'],
  ['a JPEG image', '\u00ff\u00d8\u00ff'],
  ['a GIF image', 'GIF8'],
  ['an old Office file', '\u00d0\u00cf\u0011\u00e0'],
  ['a program', '\u007fELF'],
]
const SNIFFED_BYTES = 4096

export interface MediaType {
  readonly type: string
  readonly charset: string | null
}

/**
 * The type to load as. The bytes win where they are unmistakable, the file name where the declared type is generic.
 * Fails `mistyped` where the bytes contradict a declared type, `unsupported_type` where they are nothing that is text.
 */
export function resolveMediaType(declared: string, filename: string | null, bytes: Uint8Array): MediaType {
  const [essence = '', ...parameters] = declared.split(';')
  const named = essence.trim().toLowerCase()
  const charset =
    parameters
      .map((parameter) => /^\s*charset\s*=\s*"?([^"\s]+)"?\s*$/iu.exec(parameter)?.[1])
      .find((value) => value !== undefined) ?? null
  const generic = GENERIC.has(named)
  const extension = /\.([a-z0-9]+)$/iu.exec(filename ?? '')?.[1]?.toLowerCase() ?? ''
  const claimed = generic ? (BY_EXTENSION.get(extension) ?? named) : (ALIASES.get(named) ?? named)

  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, SNIFFED_BYTES))
  const start = head.toString('latin1')
  if (start.slice(0, 1024).includes('%PDF-')) return { type: 'application/pdf', charset }
  const found = MAGIC.find(([, magic]) => start.startsWith(magic))?.[0] ?? (isBinary(head) ? 'binary' : null)
  const readable = claimed.startsWith('text/') || claimed === 'application/pdf'
  if (found && readable && !generic)
    throw loadFailure(
      'mistyped',
      `the content is ${found}, not ${named}: publish it with its true content type`,
    )
  if (found && (GENERIC.has(claimed) || readable))
    throw loadFailure('unsupported_type', `the content is ${found}, which is not readable as text`)
  if (claimed === 'application/pdf')
    throw loadFailure(
      'mistyped',
      `the content is no PDF, though ${generic ? filename : named} says so: publish it with its true content type`,
    )
  if (GENERIC.has(claimed))
    return { type: /^\s*(?:<!doctype html|<html[\s>])/iu.test(start) ? 'text/html' : 'text/plain', charset }
  return { type: claimed, charset }
}

function isBinary(head: Buffer): boolean {
  return head.includes(0) && !byteOrderMark(head) && !utf16Pattern(head)
}
