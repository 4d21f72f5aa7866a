import { useEffect, useRef, useState } from 'react'
import { centre } from '../lib/scroll.ts'
import { texts } from '../texts.ts'

interface SourceTextProps {
  readonly text: string
  /** In UTF-16 units. */
  readonly marked: readonly [number, number] | null
}

/** Of a long text so much is shown around the passage, and as much more on demand. */
const AROUND = 6000

/** A document's text, as text alone, with the passage marked and in sight. */
export function SourceText({ text, marked }: SourceTextProps) {
  const [start, end] = marked ?? [0, 0]
  const [from, setFrom] = useState(() => lineBefore(text, start - AROUND))
  const [to, setTo] = useState(() => lineAfter(text, end + AROUND))
  const mark = useRef<HTMLElement>(null)

  useEffect(() => centre(mark.current), [])

  return (
    // What scrolls can be scrolled by keys.
    <div className="panel-body source-text" role="region" aria-label={texts.source} tabIndex={0}>
      {from > 0 && (
        <button type="button" className="plain" onClick={() => setFrom(lineBefore(text, from - AROUND))}>
          {texts.showBefore}
        </button>
      )}
      <p>
        {text.slice(from, start)}
        {marked && <mark ref={mark}>{text.slice(start, end)}</mark>}
        {text.slice(end, to)}
      </p>
      {to < text.length && (
        <button type="button" className="plain" onClick={() => setTo(lineAfter(text, to + AROUND))}>
          {texts.showAfter}
        </button>
      )}
    </div>
  )
}

/** Cuts at a line's beginning, so that no word and no character is cut; a line without end is cut at `AROUND` all the same. */
function lineBefore(text: string, at: number): number {
  if (at <= 0) return 0
  const line = text.lastIndexOf('\n', at) + 1
  return at - line > AROUND ? whole(text, at) : line
}

function lineAfter(text: string, at: number): number {
  if (at >= text.length) return text.length
  const line = text.indexOf('\n', at)
  return line < 0 || line - at > AROUND ? whole(text, at) : line + 1
}

/** Not between the halves of a surrogate pair. */
function whole(text: string, at: number): number {
  return text.codePointAt(at - 1)! > 0xffff ? at + 1 : at
}
