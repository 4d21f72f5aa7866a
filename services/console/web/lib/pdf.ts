import { getDocument, GlobalWorkerOptions, Util } from 'pdfjs-dist'
import type { PDFDocumentProxy, PDFPageProxy } from 'pdfjs-dist'
// The bundler makes an address of it.
// oxlint-disable-next-line import/default
import workerAddress from 'pdfjs-dist/build/pdf.worker.min.mjs?url'

/** A place on a page, in shares of its width and height. */
export interface Box {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

interface TextItem {
  readonly str: string
  readonly transform: number[]
  readonly width: number
  readonly height: number
}

/** Drawn finer than most screens show, so that small print stays sharp. */
const MIN_PIXELS = 2
/** Of words that run on over a page's end, so many letters and digits at either end of them are looked for. */
const MIN_KEY_CHARS = 24

export async function openPdf(bytes: Uint8Array): Promise<PDFDocumentProxy> {
  GlobalWorkerOptions.workerPort ??= createWorker()
  // What a file brings along is drawn, never run.
  return await getDocument({ data: bytes, isEvalSupported: false, enableXfa: false, useWasm: false }).promise
}

/** The one script whose address is made into a trusted one. */
function createWorker(): Worker {
  const policy = globalThis.trustedTypes?.createPolicy('aquifer', {
    createScriptURL(address) {
      const url = new URL(address, location.origin)
      if (url.origin !== location.origin) throw new TypeError('a script from elsewhere')
      return url.href
    },
  })
  const address = policy?.createScriptURL(workerAddress) ?? workerAddress
  return new Worker(address as string, { type: 'module' })
}

export async function drawPage(
  page: PDFPageProxy,
  canvas: HTMLCanvasElement,
  widthPx: number,
): Promise<void> {
  const { width } = page.getViewport({ scale: 1 })
  const viewport = page.getViewport({ scale: (widthPx / width) * Math.max(devicePixelRatio, MIN_PIXELS) })
  canvas.width = Math.floor(viewport.width)
  canvas.height = Math.floor(viewport.height)
  await page.render({ canvas, viewport }).promise
}

/**
 * Where on the page the words of `quote` stand, line by line; empty where they are not found. The text that is quoted was put
 * together from the same pieces, but joined at line ends and normalised: so letters and digits alone are compared.
 */
export async function findOnPage(page: PDFPageProxy, quote: string): Promise<Box[]> {
  const viewport = page.getViewport({ scale: 1 })
  const { items } = await page.getTextContent()
  const pieces = items.filter((item): item is typeof item & TextItem => 'str' in item && item.str !== '')
  const keys = pieces.map(({ str }) => keyOf(str))
  const place = findKey(keys.join(''), keyOf(quote))
  if (!place) return []
  const boxes: Box[] = []
  let at = 0
  for (const [i, { transform, width, height }] of pieces.entries()) {
    const length = keys[i]!.length
    const from = Math.max(place[0] - at, 0)
    const to = Math.min(place[1] - at, length)
    at += length
    if (length === 0 || from >= to) continue
    const [, , c, d, left, baseline] = Util.transform(viewport.transform, transform) as number[]
    const size = Math.hypot(c!, d!) || height
    boxes.push({
      left: (left! + (width * from) / length) / viewport.width,
      top: (baseline! - size * 0.9) / viewport.height,
      width: (width * (to - from)) / length / viewport.width,
      height: (size * 1.15) / viewport.height,
    })
  }
  return boxes
}

function keyOf(text: string): string {
  return text.normalize('NFKC').replace(/[^\p{L}\p{N}]/gu, '')
}

/** The whole, or its beginning up to the page's end, or its end from the page's beginning. */
function findKey(page: string, quote: string): readonly [number, number] | null {
  if (quote === '') return null
  const at = page.indexOf(quote)
  if (at >= 0) return [at, at + quote.length]
  if (quote.length < MIN_KEY_CHARS) return null
  const beginning = page.lastIndexOf(quote.slice(0, MIN_KEY_CHARS))
  const end = page.indexOf(quote.slice(-MIN_KEY_CHARS))
  if (beginning >= 0) return [beginning, end > beginning ? end + MIN_KEY_CHARS : page.length]
  return end >= 0 ? [0, end + MIN_KEY_CHARS] : null
}
