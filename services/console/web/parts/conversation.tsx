import { useEffect, useRef } from 'react'
import type { Turn as TurnState } from '../hooks/use-chat.ts'
import type { Api } from '../lib/api.ts'
import { endedSentences } from '../lib/segments.ts'
import type { Place } from '../lib/types.ts'
import { texts } from '../texts.ts'
import { Turn } from './turn.tsx'

interface ConversationProps {
  readonly api: Api
  readonly turns: readonly TurnState[]
  readonly onRetry: (id: number) => void
  readonly onOpen: (place: Place, quote: string) => void
  readonly onKey: () => void
}

/** Whoever is so near to the end reads along; whoever scrolled up stays there. */
const NEAR_PX = 120

export function Conversation({ api, turns, onRetry, onOpen, onKey }: ConversationProps) {
  const scroller = useRef<HTMLDivElement>(null)
  const follows = useRef(true)
  const last = turns.at(-1)

  useEffect(() => {
    follows.current = true
  }, [turns.length])
  useEffect(() => {
    const element = scroller.current
    const turn = element?.lastElementChild
    // To the end, but not past the question: an answer is read from its beginning.
    if (follows.current && element && turn instanceof HTMLElement)
      element.scrollTop = Math.min(element.scrollHeight, turn.offsetTop)
  }, [turns])

  return (
    <>
      {/* What scrolls can be scrolled by keys. */}
      <div
        ref={scroller}
        className="conversation"
        role="region"
        aria-label={texts.conversation}
        tabIndex={0}
        onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
          follows.current = scrollHeight - scrollTop - clientHeight < NEAR_PX
        }}
      >
        {turns.map((turn) => (
          <Turn
            key={turn.id}
            api={api}
            turn={turn}
            onRetry={() => onRetry(turn.id)}
            onOpen={onOpen}
            onKey={onKey}
          />
        ))}
      </div>
      {last && <Spoken turn={last} />}
    </>
  )
}

/** For screen readers: the answer sentence by sentence as it is written, and that it is complete. */
function Spoken({ turn: { id, state, answer } }: { readonly turn: TurnState }) {
  const sentences = endedSentences(state === 'done' ? `${answer}\n` : answer)
  const note =
    state === 'waiting'
      ? texts.waiting
      : state === 'done'
        ? texts.answered
        : state === 'stopped'
          ? texts.stopped
          : ''
  return (
    <div className="unseen" aria-live="polite" aria-atomic="false">
      {sentences.map((sentence, place) => (
        // Sentences are added at the end alone.
        // oxlint-disable-next-line react/no-array-index-key
        <p key={`${id}.${place}`}>{sentence}</p>
      ))}
      <p>{note}</p>
    </div>
  )
}
