import { useState } from 'react'
import type { KeyboardEvent, RefObject } from 'react'
import { texts } from '../texts.ts'
import { FileButton } from './file-button.tsx'
import { AddFileIcon, SendIcon, StopIcon } from './icons.tsx'

interface ComposerProps {
  readonly ref: RefObject<HTMLTextAreaElement | null>
  readonly busy: boolean
  readonly onAsk: (question: string) => void
  readonly onStop: () => void
  readonly onFiles: (files: readonly File[]) => void
}

/** As many characters as one question has. */
const MAX_CHARS = 8192

export function Composer({ ref, busy, onAsk, onStop, onFiles }: ComposerProps) {
  const [text, setText] = useState('')

  function ask(): void {
    const question = text.trim()
    if (question === '' || busy) return
    setText('')
    onAsk(question)
  }
  function onKeyDown(event: KeyboardEvent): void {
    // While a word is being composed, Enter ends that word.
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return
    event.preventDefault()
    ask()
  }

  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault()
        ask()
      }}
    >
      <FileButton className="quiet square" label={texts.addFiles} onFiles={onFiles}>
        <AddFileIcon />
      </FileButton>
      <textarea
        id="ask"
        ref={ref}
        rows={1}
        maxLength={MAX_CHARS}
        value={text}
        placeholder={texts.askPlaceholder}
        aria-label={texts.ask}
        aria-describedby="ask-hint"
        autoFocus
        onChange={(event) => setText(event.target.value)}
        onKeyDown={onKeyDown}
      />
      {busy ? (
        <button
          type="button"
          className="primary square"
          aria-label={texts.stop}
          title={texts.stop}
          onClick={onStop}
        >
          <StopIcon />
        </button>
      ) : (
        <button
          type="submit"
          className="primary square"
          aria-label={texts.send}
          title={texts.send}
          aria-disabled={text.trim() === ''}
        >
          <SendIcon />
        </button>
      )}
      <p id="ask-hint" className="hint">
        {texts.askHint}
      </p>
    </form>
  )
}
