import { byteOrderMark, decodeText, utf16Pattern } from './charset.ts'
import { codeTypeOf, codeTypeOfFirstLine, isCodeType } from './code-languages.ts'
import { loadFailure } from './failures.ts'
import { sniffDelimiter } from './sniff-delimiter.ts'

/** Declared where a client does not know: what the name and the bytes say goes before it. */
const GENERIC = new Set([
  '',
  'application/octet-stream',
  'binary/octet-stream',
  'application/unknown',
  'application/x-www-form-urlencoded', // what curl sends unless told otherwise
  'text/plain',
])

const OFFICE = 'application/vnd.openxmlformats-officedocument.'
export const DOCX = `${OFFICE}wordprocessingml.document`
export const PPTX = `${OFFICE}presentationml.presentation`
export const XLSX = `${OFFICE}spreadsheetml.sheet`
const OPEN_DOCUMENT = 'application/vnd.oasis.opendocument.'
export const ODT = `${OPEN_DOCUMENT}text`
export const ODS = `${OPEN_DOCUMENT}spreadsheet`
export const ODP = `${OPEN_DOCUMENT}presentation`
export const ZIP = 'application/zip'
/** An Office file under a password: the ZIP is in it. */
export const ENCRYPTED_OFFICE = 'application/encrypted'

const BY_EXTENSION: ReadonlyMap<string, string> = new Map(
  (
    [
      ['text/markdown', 'md mdx markdown'],
      ['text/html', 'html htm xhtml'],
      ['application/pdf', 'pdf'],
      ['text/plain', 'txt text log adoc asciidoc rst'],
      ['text/csv', 'csv tsv tab psv'],
      ['application/json', 'json geojson webmanifest ipynb'],
      ['application/x-ndjson', 'jsonl ndjson'],
      ['message/rfc822', 'eml'],
      ['application/rtf', 'rtf'],
      [DOCX, 'docx docm dotx dotm'],
      [PPTX, 'pptx pptm ppsx ppsm potx'],
      [XLSX, 'xlsx xlsm xltx'],
      [ODT, 'odt ott'],
      [ODS, 'ods ots'],
      [ODP, 'odp otp'],
    ] as const
  ).flatMap(([type, extensions]) => extensions.split(' ').map((extension) => [extension, type] as const)),
)

const ALIASES: ReadonlyMap<string, string> = new Map([
  ['text/x-markdown', 'text/markdown'],
  ['text/mdx', 'text/markdown'],
  ['text/x-mdx', 'text/markdown'],
  ['text/x-web-markdown', 'text/markdown'],
  ['application/xhtml+xml', 'text/html'],
  ['application/x-pdf', 'application/pdf'],
  ['text/tab-separated-values', 'text/csv'],
  ['application/csv', 'text/csv'],
  ['text/x-csv', 'text/csv'],
  ['text/json', 'application/json'],
  ['application/jsonl', 'application/x-ndjson'],
  ['application/jsonlines', 'application/x-ndjson'],
  ['application/x-jsonlines', 'application/x-ndjson'],
  ['application/ndjson', 'application/x-ndjson'],
  ['application/json-seq', 'application/x-ndjson'],
  ['text/rtf', 'application/rtf'],
  ['text/richtext', 'application/rtf'],
  ['application/eml', 'message/rfc822'],
  ['application/x-zip-compressed', ZIP],
])

/** Of these a text can be none. */
const BINARY_TYPES = new Set(['application/pdf', 'application/rtf', ZIP, DOCX, PPTX, XLSX, ODT, ODS, ODP])

const MAGIC: readonly (readonly [name: string, bytes: string])[] = [
  ['a gzip file', '\u001f\u008b'],
  ['a 7z archive', "7z\u00bc\u00af'\u001c"],
  ['a RAR archive', 'Rar!\u001a\u0007'],
  ['a PNG image', '\u0089PNG'],
  ['a JPEG image', '\u00ff\u00d8\u00ff'],
  ['a GIF image', 'GIF8'],
  ['a program', '\u007fELF'],
]
const OLE_MAGIC = '\u00d0\u00cf\u0011\u00e0'
/** Names in a compound file's directory are UTF-16. */
const ENCRYPTED_PACKAGE = Buffer.from('EncryptedPackage', 'utf16le')
const SNIFFED_BYTES = 4096
const SNIFFED_TEXT_BYTES = 64 * 1024

export interface MediaType {
  readonly type: string
  readonly charset: string | null
}

/**
 * The type to load as. The bytes win where they are unmistakable, then a declared type that they can be, then the file's
 * name, then how the text looks. A ZIP's own parts say what it is: it comes back as `ZIP`, or `ENCRYPTED_OFFICE`. Fails `mistyped` where the bytes
 * contradict all that is said of them, `unsupported_type` where they are nothing that is text.
 */
export function resolveMediaType(declared: string, filename: string | null, bytes: Uint8Array): MediaType {
  const [essence = '', ...parameters] = declared.split(';')
  const named = essence.trim().toLowerCase()
  const charset =
    parameters
      .map((parameter) => /^\s*charset\s*=\s*"?([^"\s]+)"?\s*$/iu.exec(parameter)?.[1])
      .find((value) => value !== undefined) ?? null
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, SNIFFED_BYTES))
  const start = head.toString('latin1')
  const byName = typeOfName(filename)
  const claimed = GENERIC.has(named) ? (byName ?? named) : canonical(named)

  const pdf = start.slice(0, 1024).indexOf('%PDF-')
  if (
    pdf === 0 ||
    (pdf > 0 && (claimed === 'application/pdf' || isBinary(head) || start.trimStart()[0] === '%'))
  )
    return { type: 'application/pdf', charset }
  if (start.startsWith('PK\u0003\u0004') || start.startsWith('PK\u0005\u0006')) return { type: ZIP, charset }
  if (start.trimStart().startsWith('{\\rtf')) return { type: 'application/rtf', charset }
  const binary = binaryType(start, head, bytes, claimed, named)
  return { type: binary ?? textType(claimed, byName, named, filename, { bytes, charset }), charset }
}

/** Null of what is no binary. */
function binaryType(
  start: string,
  head: Buffer,
  bytes: Uint8Array,
  claimed: string,
  named: string,
): string | null {
  if (start.startsWith(OLE_MAGIC)) {
    if (Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(ENCRYPTED_PACKAGE))
      return ENCRYPTED_OFFICE
    throw loadFailure(
      'unsupported_type',
      'the content is an Office file of before 2007: save it as .docx, .xlsx or .pptx and publish that',
    )
  }
  const found = MAGIC.find(([, magic]) => start.startsWith(magic))?.[0] ?? (isBinary(head) ? 'binary' : null)
  if (!found) return null
  if (!GENERIC.has(named) && isLoadable(claimed))
    throw loadFailure(
      'mistyped',
      `the content is ${found}, not ${named}: publish it with its true content type`,
    )
  throw loadFailure('unsupported_type', `the content is ${found}, which is not readable as text`)
}

interface Text {
  readonly bytes: Uint8Array
  readonly charset: string | null
}

/** Of bytes that are text. */
function textType(
  claimed: string,
  byName: string | null,
  named: string,
  filename: string | null,
  { bytes, charset }: Text,
): string {
  const whole = () => decodeText(bytes, charset)
  const head = decodeText(bytes.subarray(0, SNIFFED_TEXT_BYTES), charset).replace(/^\ufeff/u, '')
  const page = /^\s*(?:<\?xml[^>]*>\s*)?(?:<!--[^]{0,2000}?-->\s*)*(?:<!doctype html|<html[\s>])/iu.test(head)
  if (page && !isCodeType(claimed)) return 'text/html'
  if (isLoadable(claimed) && !BINARY_TYPES.has(claimed) && claimed !== 'text/plain') return claimed
  // What was declared is no type that this text can be: its name may know better.
  const other = byName !== null && byName !== claimed && !BINARY_TYPES.has(byName) ? byName : null
  const generic = GENERIC.has(claimed)
  if (!generic && other) return other
  const looks = looksLike(head, bytes.length > SNIFFED_TEXT_BYTES, whole)
  if (looks) return looks
  if (generic || claimed.startsWith('text/')) return 'text/plain'
  if (BINARY_TYPES.has(claimed))
    throw loadFailure(
      'mistyped',
      `the content is text, though ${GENERIC.has(named) ? filename : named} says otherwise: publish it with its true content type`,
    )
  return claimed
}

/** What unnamed text is where its form leaves no doubt. */
function looksLike(head: string, cut: boolean, whole: () => string): string | null {
  const code = codeTypeOfFirstLine(head)
  if (code) return code
  if (isMail(head)) return 'message/rfc822'
  const first = head.trimStart()[0]
  if (first === '{' || first === '[') {
    const lines = head
      .trim()
      .split('\n', 4)
      .filter((line) => line.trim() !== '')
    const complete = cut && lines.length < 4 ? lines.slice(0, -1) : lines
    if (complete.length > 1 && complete.every(isJson)) return 'application/x-ndjson'
    if (isJson(whole())) return 'application/json'
  }
  return sniffDelimiter(head, { strict: true }) === null ? null : 'text/csv'
}

function isJson(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null
  } catch {
    return false
  }
}

const MAIL_HEADERS =
  /^(?:received|return-path|delivered-to|message-id|mime-version|from|to|date|subject|content-type):/iu

/** Lines of header fields from the first on, three of which every message has, up to the blank line. */
function isMail(head: string): boolean {
  const [fields = ''] = head.split(/\r?\n\r?\n/u, 1)
  const lines = fields.split(/\r?\n/u)
  if (!lines.every((line, i) => /^[!-9;-~]{1,76}:/u.test(line) || (i > 0 && /^[ \t]/u.test(line))))
    return false
  return lines.filter((line) => MAIL_HEADERS.test(line)).length >= 3
}

function typeOfName(filename: string | null): string | null {
  const extension = /\.([a-z0-9_+-]+)$/iu.exec(filename ?? '')?.[1]?.toLowerCase() ?? ''
  return BY_EXTENSION.get(extension) ?? codeTypeOf(filename ?? '') ?? null
}

function canonical(named: string): string {
  const alias = ALIASES.get(named)
  if (alias) return alias
  if (named.endsWith('+json')) return 'application/json'
  return named.endsWith('+xml') ? 'application/xml' : named
}

const LOADABLE = new Set(BY_EXTENSION.values())

function isLoadable(type: string): boolean {
  return LOADABLE.has(type) || isCodeType(type)
}

function isBinary(head: Buffer): boolean {
  return head.includes(0) && !byteOrderMark(head) && !utf16Pattern(head)
}
