import { useRef, useState } from 'react'
import type { Place, ShownDocument } from '../lib/types.ts'

/** What the source panel opens: a document, and the passage in it that is marked. */
export interface SourceTarget {
  readonly documentId: string
  /** Null: the newest. */
  readonly version: string | null
  readonly title: string | null
  readonly page: number | null
  readonly passage: { readonly start: number; readonly end: number; readonly quote: string } | null
}

export type Panel =
  | { readonly kind: 'documents' }
  /** `back`: it was opened from the documents, and gives way to them again. */
  | { readonly kind: 'source'; readonly key: number; readonly target: SourceTarget; readonly back: boolean }

/** The panel at the side. Whoever opened it gets the focus back when it closes. */
export function usePanel(startsOpen: boolean) {
  const [shown, setShown] = useState<Panel | null>(startsOpen ? { kind: 'documents' } : null)
  const [takesFocus, setTakesFocus] = useState(false)
  const opener = useRef<Element | null>(null)
  const nextKey = useRef(1)

  function show(panel: Panel): void {
    // What is opened from within the panel keeps the first opener.
    if (!document.activeElement?.closest('aside')) opener.current = document.activeElement
    setTakesFocus(true)
    setShown(panel)
  }
  function close(): void {
    setShown(null)
    // After the page is no longer inert.
    requestAnimationFrame(() => {
      if (opener.current instanceof HTMLElement && opener.current.isConnected) opener.current.focus()
    })
  }
  function openTarget(target: SourceTarget): void {
    const within = Boolean(document.activeElement?.closest('aside'))
    const back = within && (shown?.kind === 'documents' || (shown?.kind === 'source' && shown.back))
    show({ kind: 'source', key: nextKey.current++, target, back })
  }

  return {
    shown,
    /** False for the panel that the page opens with. */
    takesFocus,
    close,
    showDocuments: () => show({ kind: 'documents' }),
    toggleDocuments: () => (shown?.kind === 'documents' ? close() : show({ kind: 'documents' })),
    openSource: ({ documentId, version, title, page, start, end }: Place, quote: string) => {
      openTarget({ documentId, version, title, page, passage: { start, end, quote } })
    },
    openDocument: ({ id, title }: Pick<ShownDocument, 'id' | 'title'>) => {
      openTarget({ documentId: id, version: null, title, page: null, passage: null })
    },
  }
}
