import type { LoadedDocument, Loader, LoadLimits } from './document.ts'
import { loadFailure } from './failures.ts'
import { resolveMediaType } from './media-type.ts'

/**
 * One line for each format; its file is loaded with the first document that needs it, so that a worker that never sees a
 * PDF never carries the library.
 */
const LOADERS: Readonly<Record<string, () => Promise<Loader>>> = {
  'text/markdown': async () => (await import('./markdown.ts')).loadMarkdown,
  'text/html': async () => (await import('./html.ts')).loadHtml,
  'text/plain': async () => (await import('./plain-text.ts')).loadPlainText,
  'application/pdf': async () => (await import('./pdf.ts')).loadPdf,
}

/** Goes into the build: raise it where a loader gives another text for the same bytes. */
export const LOADER_VERSION = 1

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

/** Bytes → text with structure, by the type that they turn out to have. Fails with a `LoadFailure`. */
export async function loadDocument(file: SourceFile, limits: LoadLimits): Promise<LoadResult> {
  if (file.bytes.length === 0) throw loadFailure('empty', 'the content has no bytes: publish it again')
  if (file.bytes.length > limits.maxBytes)
    throw loadFailure(
      'too_large',
      `the content has ${file.bytes.length} bytes, more than ${limits.maxBytes}: publish it in parts`,
    )
  const { type, charset } = resolveMediaType(file.contentType, file.filename, file.bytes)
  const loader = Object.hasOwn(LOADERS, type) ? LOADERS[type] : undefined
  if (!loader)
    throw loadFailure(
      'unsupported_type',
      `no loader reads ${JSON.stringify(type)}: publish it as ${Object.keys(LOADERS).join(', ')}`,
    )
  const load = await loader()
  const document = await load({ bytes: file.bytes, charset, limits })
  if (document.blocks.length === 0) throw withoutText(type)
  return { ...document, mediaType: type }
}

function withoutText(type: string) {
  if (type === 'text/plain') return loadFailure('empty', 'the content is blank: publish a text')
  const remedy =
    type === 'application/pdf' ? 'a scanned one needs its text recognised first' : 'publish a page with text'
  return loadFailure('no_text', `nothing in this ${type} is text: ${remedy}`)
}
