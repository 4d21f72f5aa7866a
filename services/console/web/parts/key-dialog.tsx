import { useEffect, useRef, useState } from 'react'
import { texts } from '../texts.ts'

interface KeyDialogProps {
  /** There was a key, and the server did not take it. */
  readonly refused: boolean
  readonly onKey: (key: string) => void
  readonly onCancel: () => void
}

export function KeyDialog({ refused, onKey, onCancel }: KeyDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [key, setKey] = useState('')

  useEffect(() => {
    const element = dialog.current
    element?.showModal()
    return () => element?.close()
  }, [])

  return (
    <dialog ref={dialog} aria-labelledby="key-title" onCancel={onCancel}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (key.trim() !== '') onKey(key.trim())
        }}
      >
        <h2 id="key-title">{texts.keyTitle}</h2>
        {refused && <p role="alert">{texts.keyWrong}</p>}
        <label htmlFor="key">{texts.keyLabel}</label>
        <input
          id="key"
          type="password"
          autoComplete="off"
          spellCheck={false}
          value={key}
          aria-describedby="key-hint"
          onChange={({ target }) => setKey(target.value)}
        />
        <p id="key-hint" className="hint">
          {texts.keyHint}
        </p>
        <div className="row end">
          <button type="button" className="quiet" onClick={onCancel}>
            {texts.cancel}
          </button>
          <button type="submit" className="primary">
            {texts.keySave}
          </button>
        </div>
      </form>
    </dialog>
  )
}
