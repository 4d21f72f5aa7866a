import type { PDFDocumentProxy } from 'pdfjs-dist'
import { useEffect, useEffectEvent, useRef, useState } from 'react'
import type { Api } from '../lib/api.ts'
import { drawPage, findOnPage, openPdf } from '../lib/pdf.ts'
import type { Box } from '../lib/pdf.ts'
import { centre } from '../lib/scroll.ts'
import { BackIcon, ForwardIcon } from './icons.tsx'
import { texts } from '../texts.ts'

interface PdfPageProps {
  readonly api: Api
  readonly documentId: string
  readonly version: string
  readonly page: number
  /** To be marked, on the page it is opened with. */
  readonly quote: string | null
  /** It cannot be drawn; its text can still be read. */
  readonly onFailure: () => void
}

/** A page of a PDF as it looks, with the passage marked; the pages before and after it can be turned to. */
export default function PdfPage({ api, documentId, version, page, quote, onFailure }: PdfPageProps) {
  const [pdf, setPdf] = useState<PDFDocumentProxy | null>(null)
  const [shown, setShown] = useState(page)
  const [drawn, setDrawn] = useState<{ page: number; boxes: readonly Box[] } | null>(null)
  /** Null until the page is drawn. */
  const boxes = drawn?.page === shown ? drawn.boxes : null
  const canvas = useRef<HTMLCanvasElement>(null)
  const firstBox = useRef<HTMLSpanElement>(null)
  const fail = useEffectEvent(onFailure)

  useEffect(() => {
    const controller = new AbortController()
    let opened: PDFDocumentProxy | null = null
    void (async () => {
      try {
        const blob = await api.source(documentId, version, controller.signal)
        opened = await openPdf(new Uint8Array(await blob.arrayBuffer()))
        if (!controller.signal.aborted) setPdf(opened)
      } catch {
        if (!controller.signal.aborted) fail()
      }
    })()
    return () => {
      controller.abort()
      void opened?.loadingTask.destroy()
    }
  }, [api, documentId, version])

  useEffect(() => {
    if (!pdf) return
    let left = false
    void (async () => {
      try {
        const proxy = await pdf.getPage(Math.min(shown, pdf.numPages))
        const found = quote !== null && shown === page ? await findOnPage(proxy, quote) : []
        if (left || !canvas.current) return
        // A canvas takes one drawing at a time; the one that was under way is let end on a canvas that nobody sees.
        const own = document.createElement('canvas')
        await drawPage(proxy, own, canvas.current.clientWidth || own.width)
        if (left || !canvas.current) return
        canvas.current.width = own.width
        canvas.current.height = own.height
        canvas.current.getContext('2d')?.drawImage(own, 0, 0)
        setDrawn({ page: shown, boxes: found })
      } catch {
        if (!left) fail()
      }
    })()
    return () => {
      left = true
    }
  }, [pdf, shown, page, quote])

  useEffect(() => centre(firstBox.current), [boxes])

  return (
    <>
      <div className="row pages">
        <button
          type="button"
          className="plain square"
          aria-label={texts.previousPage}
          title={texts.previousPage}
          disabled={shown <= 1}
          onClick={() => setShown(shown - 1)}
        >
          <BackIcon />
        </button>
        <span role="status">{pdf ? texts.pageOf(shown, pdf.numPages) : texts.loading}</span>
        <button
          type="button"
          className="plain square"
          aria-label={texts.nextPage}
          title={texts.nextPage}
          disabled={!pdf || shown >= pdf.numPages}
          onClick={() => setShown(shown + 1)}
        >
          <ForwardIcon />
        </button>
      </div>
      {boxes?.length === 0 && quote !== null && shown === page && (
        <p className="aside">{texts.passageHere}</p>
      )}
      {/* What scrolls can be scrolled by keys. */}
      <div className="panel-body pdf" role="region" aria-label={texts.asPage} tabIndex={0}>
        <div className="sheet" data-drawn={boxes !== null}>
          <canvas ref={canvas} role="img" aria-label={texts.pageImage(shown)} />
          {boxes?.map(({ left, top, width, height }, place) => (
            <span
              key={`${left}:${top}`}
              ref={place === 0 ? firstBox : undefined}
              className="box"
              style={{ left: share(left), top: share(top), width: share(width), height: share(height) }}
            />
          ))}
        </div>
      </div>
    </>
  )
}

function share(part: number): string {
  return `${part * 100}%`
}
