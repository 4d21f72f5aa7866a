import './pdf-globals.ts'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'

import { AquiferError, errorMessage } from '@aquifer/runtime/errors'
import { getDocument } from 'pdfjs-dist/legacy/build/pdf.mjs'
import type { PDFDocumentProxy } from 'pdfjs-dist/legacy/build/pdf.mjs'

import { createDocumentBuilder } from './document.ts'
import type { DocumentBuilder, LoadedDocument, LoadInput } from './document.ts'
import { loadFailure, passwordNeeded } from './failures.ts'
import { givenTitle } from './office.ts'
import { paragraphs } from './pdf-layout.ts'
import { pageLines } from './pdf-line.ts'
import type { Line } from './pdf-line.ts'
import { pdfWorker } from './pdf-port.ts'

/** Where pdf.js keeps the character maps of CJK fonts. Its standard fonts are for drawing: texts are the same without. */
const pdfjsFolder = dirname(createRequire(import.meta.url).resolve('pdfjs-dist/package.json'))

/** PDF → text by pages, paragraphs and headings put together from where the lines stand. */
export async function loadPdf({ bytes, limits, passwords }: LoadInput): Promise<LoadedDocument> {
  const { document, close } = await openPdf(bytes, passwords)
  try {
    if (document.numPages > limits.maxPages)
      throw loadFailure(
        'too_large',
        `the PDF has ${document.numPages} pages, more than ${limits.maxPages}: publish it in parts`,
      )
    const builder = createDocumentBuilder(limits)
    const opening = await readPages(builder, document)
    const { info } = await document.getMetadata()
    const { Title: title, Language: language } = info as Record<string, unknown>
    return builder.finish({
      title: (typeof title === 'string' ? givenTitle(title) : null) ?? opening,
      language: typeof language === 'string' ? language : null,
    })
  } catch (error) {
    throw pdfFailure(error)
  } finally {
    await close()
  }
}

/** By the first password that opens it, none at first: many are protected against changes alone. */
async function openPdf(
  bytes: Uint8Array,
  passwords: readonly string[],
): Promise<{ document: PDFDocumentProxy; close: () => Promise<void> }> {
  let cause: unknown
  for (const password of ['', ...passwords]) {
    const worker = pdfWorker()
    const loading = getDocument({
      // pdf.js takes no `Buffer`.
      data: new Uint8Array(bytes),
      worker,
      password,
      verbosity: 0,
      isEvalSupported: false,
      disableFontFace: true,
      useSystemFonts: false,
      cMapUrl: `${pdfjsFolder}/cmaps/`,
      cMapPacked: true,
    })
    const close = async () => {
      await loading.destroy()
      worker.destroy()
    }
    try {
      return { document: await loading.promise, close }
    } catch (error) {
      await close()
      if (!(error instanceof Error) || error.name !== 'PasswordException') throw pdfFailure(error)
      cause = error
    }
  }
  throw passwordNeeded('PDF', cause)
}

/** Gives the heading that the document begins with, if it begins with one. */
async function readPages(builder: DocumentBuilder, document: PDFDocumentProxy): Promise<string | null> {
  const pages: Line[][] = []
  for (let number = 1; number <= document.numPages; number++) {
    const page = await document.getPage(number)
    // A ligature is one of its text's letters until these are in their order: the normal form is ours to make.
    const { items } = await page.getTextContent({ disableNormalization: true })
    pages.push(pageLines(items.filter((item) => 'str' in item)))
    page.cleanup()
  }
  const read = paragraphs(pages)
  for (const page of read) {
    builder.startPage()
    for (const [i, { level, text, kind }] of page.entries()) {
      if (level > 0) builder.heading(level, text)
      else if (i === 0 && kind === 'paragraph' && continues(builder.last, text)) builder.continueBlock(text)
      else builder.add(kind, text)
    }
  }
  const first = read.find((page) => page.length > 0)?.[0]
  return first && first.level > 0 ? first.text : null
}

/** A paragraph goes on over the page where it has not ended and the next page begins in the middle of a sentence. */
function continues(last: DocumentBuilder['last'], text: string): boolean {
  if (!last || (last.kind !== 'paragraph' && last.kind !== 'list')) return false
  return /^\p{Ll}/u.test(text) && !/[.!?:]["'”’)\]]?$/u.test(last.text)
}

function pdfFailure(error: unknown): AquiferError {
  if (error instanceof AquiferError) return error
  // A damaged file makes pdf.js fail in many ways, not all of them with a type of their own.
  return loadFailure(
    'broken',
    `the PDF cannot be read (${errorMessage(error)}): publish a repaired copy`,
    error,
  )
}
