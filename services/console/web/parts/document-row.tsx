import { useState } from 'react'
import type { KeyboardEvent } from 'react'
import { toFailure } from '../lib/failure.ts'
import type { Failure } from '../lib/failure.ts'
import type { ShownDocument } from '../lib/types.ts'
import { stateText, texts } from '../texts.ts'
import { TrashIcon } from './icons.tsx'
import { Problem } from './problem.tsx'

interface DocumentRowProps {
  readonly document: ShownDocument
  readonly onOpen: () => void
  readonly onRemove: () => Promise<void>
}

/** A document with its state. Deleting asks first, and the answer that does nothing has the focus. */
export function DocumentRow({ document, onOpen, onRemove }: DocumentRowProps) {
  const [asking, setAsking] = useState(false)
  const [failure, setFailure] = useState<Failure | null>(null)
  const { id, title, state, latest, chunks, visibleVersion, language } = document
  const name = title ?? id

  /** The panel stays open. */
  function keepOnEscape(event: KeyboardEvent): void {
    if (event.key !== 'Escape') return
    event.preventDefault()
    setAsking(false)
  }

  return (
    <li className="document">
      <div className="document-head">
        {visibleVersion === null ? (
          <span className="name">{name}</span>
        ) : (
          <button type="button" className="link name" aria-label={texts.open(name)} onClick={onOpen}>
            {name}
          </button>
        )}
        <button
          type="button"
          className="quiet square small"
          aria-label={texts.remove(name)}
          title={texts.remove(name)}
          onClick={() => setAsking(!asking)}
        >
          <TrashIcon />
        </button>
      </div>
      {title !== null && title !== id && <p className="id">{id}</p>}
      <p className="facts">
        <span className={`state ${state}`}>{stateText(state)}</span>
        {visibleVersion !== null && <span className="muted">{texts.passages(chunks)}</span>}
        {language !== null && <span className="muted">{texts.language(language)}</span>}
      </p>
      {latest.error && (
        <p className="why">
          {latest.error.message}
          {visibleVersion !== null && ` (${texts.olderVisible})`}
        </p>
      )}
      {asking && (
        <div className="sure" role="group" aria-label={texts.remove(name)}>
          <p>{texts.removeAsk}</p>
          <div className="row">
            <button
              type="button"
              className="plain"
              autoFocus
              onKeyDown={keepOnEscape}
              onClick={() => setAsking(false)}
            >
              {texts.removeNo}
            </button>
            <button
              type="button"
              className="danger"
              onKeyDown={keepOnEscape}
              onClick={() => {
                onRemove().catch((error: unknown) => setFailure(toFailure(error)))
              }}
            >
              {texts.removeYes}
            </button>
          </div>
          {failure && <Problem failure={failure} />}
        </div>
      )}
    </li>
  )
}
