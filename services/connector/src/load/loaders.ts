import { openArchive } from './archive.ts'
import { isCodeType } from './code-languages.ts'
import type { LoadedDocument, Loader, LoadInput, LoadLimits } from './document.ts'
import { loadFailure } from './failures.ts'
import { DOCX, ENCRYPTED_OFFICE, ODP, ODS, ODT, PPTX, resolveMediaType, XLSX, ZIP } from './media-type.ts'
import { officeType } from './office.ts'

/**
 * One line for each format; its file is loaded with the first document that needs it, so that a worker that never sees a
 * PDF never carries the library.
 */
const LOADERS: Readonly<Record<string, () => Promise<Loader>>> = {
  'text/markdown': async () => (await import('./markdown.ts')).loadMarkdown,
  'text/html': async () => (await import('./html.ts')).loadHtml,
  'text/plain': async () => (await import('./plain-text.ts')).loadPlainText,
  'application/pdf': async () => (await import('./pdf.ts')).loadPdf,
  [DOCX]: async () => (await import('./docx.ts')).loadDocx,
  [PPTX]: async () => (await import('./pptx.ts')).loadPptx,
  [XLSX]: async () => (await import('./xlsx.ts')).loadXlsx,
  [ODT]: async () => (await import('./open-document.ts')).loadOpenDocument,
  [ODS]: async () => (await import('./open-document.ts')).loadOpenDocument,
  [ODP]: async () => (await import('./open-document.ts')).loadOpenDocument,
  'application/rtf': async () => (await import('./rtf.ts')).loadRtf,
  'message/rfc822': async () => (await import('./mail.ts')).loadMail,
  'text/csv': async () => (await import('./csv.ts')).loadCsv,
  'application/json': async () => (await import('./json.ts')).loadJson,
  'application/x-ndjson': async () => (await import('./json.ts')).loadJsonLines,
}

/** Goes into the build: raise it where a loader gives another text for the same bytes. */
export const LOADER_VERSION = 2

export interface SourceFile {
  readonly bytes: Uint8Array
  /** As declared, with parameters. */
  readonly contentType: string
  readonly filename: string | null
}

export interface LoadResult extends LoadedDocument {
  /** What it was read as. */
  readonly mediaType: string
}

/**
 * Bytes → text with structure, by the type that they turn out to have; protected ones are tried with each of the passwords. Fails
 * with a `LoadFailure`.
 */
export async function loadDocument(
  file: SourceFile,
  limits: LoadLimits,
  passwords: readonly string[] = [],
): Promise<LoadResult> {
  return await loadFile(file, { limits, passwords, budget: { unpackedBytes: limits.maxUnpackedBytes } }, 0)
}

/** What a document and the files in it share. */
type Shared = Pick<LoadInput, 'limits' | 'passwords' | 'budget'>

async function loadFile(file: SourceFile, shared: Shared, nesting: number): Promise<LoadResult> {
  const { bytes, filename } = file
  const { limits, passwords, budget } = shared
  if (bytes.length === 0) throw loadFailure('empty', 'the content has no bytes: publish it again')
  if (bytes.length > limits.maxBytes)
    throw loadFailure(
      'too_large',
      `the content has ${bytes.length} bytes, more than ${limits.maxBytes}: publish it in parts`,
    )
  if (nesting > limits.maxNesting)
    throw loadFailure('too_large', `it holds files in files more than ${limits.maxNesting} deep`)
  const found = resolveMediaType(file.contentType, filename, bytes)
  if (found.type === ENCRYPTED_OFFICE) {
    const { decryptOffice } = await import('./office-encryption.ts')
    const opened = { bytes: await decryptOffice(bytes, passwords), contentType: ZIP, filename }
    return await loadFile(opened, shared, nesting + 1)
  }
  const type = found.type === ZIP ? await officeType(await openArchive(bytes, budget)) : found.type
  const load = await loaderOf(type)
  const document = await load({
    bytes,
    charset: found.charset,
    type,
    filename,
    ...shared,
    loadNested: async (inner) => await loadFile(inner, shared, nesting + 1),
  })
  if (document.blocks.length === 0) throw withoutText(type)
  return { ...document, mediaType: type }
}

async function loaderOf(type: string): Promise<Loader> {
  if (isCodeType(type)) return (await import('./code.ts')).loadCode
  const loader = Object.hasOwn(LOADERS, type) ? LOADERS[type] : undefined
  if (!loader)
    throw loadFailure(
      'unsupported_type',
      `no loader reads ${JSON.stringify(type)}: publish it as ${Object.keys(LOADERS).join(', ')} or source code`,
    )
  return await loader()
}

function withoutText(type: string) {
  if (type === 'text/plain' || isCodeType(type))
    return loadFailure('empty', 'the content is blank: publish a text')
  const remedy =
    type === 'application/pdf'
      ? 'a scanned one needs its text recognised first'
      : 'publish one that has text in it'
  return loadFailure('no_text', `nothing in this ${type} is text: ${remedy}`)
}
