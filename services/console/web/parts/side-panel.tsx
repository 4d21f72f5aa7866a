import { useEffect, useRef } from 'react'
import type { ReactNode } from 'react'
import { texts } from '../texts.ts'
import { BackIcon, CloseIcon } from './icons.tsx'

interface SidePanelProps {
  readonly title: string
  /** It lies over the conversation, which cannot be used meanwhile. */
  readonly covers: boolean
  readonly takesFocus: boolean
  readonly onClose: () => void
  /** Null where there is nothing to go back to. */
  readonly onBack: (() => void) | null
  readonly children: ReactNode
}

export function SidePanel({ title, covers, takesFocus, onClose, onBack, children }: SidePanelProps) {
  const heading = useRef<HTMLHeadingElement>(null)

  useEffect(() => {
    if (takesFocus) heading.current?.focus()
  }, [takesFocus])
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent): void => {
      // A dialog on top closes first.
      if (event.key === 'Escape' && !event.defaultPrevented && !document.querySelector('dialog[open]'))
        onClose()
    }
    document.addEventListener('keydown', onKeyDown)
    return () => document.removeEventListener('keydown', onKeyDown)
  }, [onClose])

  return (
    <aside
      className="panel"
      aria-labelledby="panel-title"
      {...(covers ? { role: 'dialog', 'aria-modal': true } : {})}
    >
      <div className="panel-head">
        {onBack && (
          <button
            type="button"
            className="quiet square"
            aria-label={texts.backToList}
            title={texts.backToList}
            onClick={onBack}
          >
            <BackIcon />
          </button>
        )}
        <h2 id="panel-title" ref={heading} tabIndex={-1}>
          {title}
        </h2>
        <button
          type="button"
          className="quiet square"
          aria-label={texts.close}
          title={texts.close}
          onClick={onClose}
        >
          <CloseIcon />
        </button>
      </div>
      {children}
    </aside>
  )
}
