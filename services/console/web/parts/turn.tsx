import type { Turn as TurnState } from '../hooks/use-chat.ts'
import { useKeptAnswer } from '../hooks/use-kept-answer.ts'
import type { Api } from '../lib/api.ts'
import { segmentsOf } from '../lib/segments.ts'
import type { AnswerFacts, Place } from '../lib/types.ts'
import { texts } from '../texts.ts'
import { Evidence } from './evidence.tsx'
import { Feedback } from './feedback.tsx'
import { Grounds } from './grounds.tsx'
import { Problem } from './problem.tsx'

interface TurnProps {
  readonly api: Api
  readonly turn: TurnState
  readonly onRetry: () => void
  readonly onOpen: (place: Place, quote: string) => void
  readonly onKey: () => void
}

/** A question and its answer, with what the answer rests on. */
export function Turn({ api, turn, onRetry, onOpen, onKey }: TurnProps) {
  const { id, question, answer, state, facts, failure } = turn
  const kept = useKeptAnswer(api, facts?.answerId ?? null)
  return (
    <article
      className="turn"
      aria-labelledby={`question-${id}`}
      aria-busy={state === 'waiting' || state === 'writing'}
    >
      <h2 id={`question-${id}`} className="question">
        <span className="unseen">{`${texts.youAsked}: `}</span>
        {question}
      </h2>
      {state === 'waiting' && (
        <p className="working">
          <span className="dots" aria-hidden="true" />
          {texts.waiting}
        </p>
      )}
      {answer !== '' && (
        <p className={state === 'writing' ? 'answer writing' : 'answer'}>
          {segmentsOf(answer, facts?.citations ?? []).map(({ at, text, citation }) =>
            citation ? (
              <button
                key={at}
                type="button"
                className="marker"
                aria-label={texts.citation(text, citation.title ?? citation.documentId)}
                title={citation.title ?? citation.documentId}
                onClick={() => onOpen(citation, citation.quote)}
              >
                {text.slice(1, -1)}
              </button>
            ) : (
              text
            ),
          )}
        </p>
      )}
      {state === 'stopped' && (
        <p className="aside">
          {texts.stopped}{' '}
          <button type="button" className="plain" onClick={onRetry}>
            {texts.tryAgain}
          </button>
        </p>
      )}
      {failure && <Problem failure={failure} onRetry={onRetry} onKey={onKey} />}
      {facts && (
        <footer>
          <Remarks facts={facts} />
          {!facts.abstained && <Grounds facts={facts} evaluation={kept?.evaluation ?? null} />}
          {kept && kept.evidence.length > 0 && (
            <Evidence passages={kept.evidence} citations={facts.citations} onOpen={onOpen} />
          )}
          <p className="made-by">
            {facts.model === 'extractive' ? texts.quoted : texts.writtenByAi(facts.model)}
          </p>
          <Feedback api={api} answerId={facts.answerId} />
        </footer>
      )}
    </article>
  )
}

function Remarks({ facts: { abstained, fresh, guard } }: { readonly facts: AnswerFacts }) {
  return (
    <>
      {abstained && <p className="aside">{texts.abstained}</p>}
      {!fresh && <p className="aside">{texts.notFresh}</p>}
      {Object.entries(texts.screened).map(
        ([kind, text]) =>
          guard.some((verdict) => verdict.startsWith(`document:${kind}:`)) && (
            <p key={kind} className="aside">
              {text}
            </p>
          ),
      )}
    </>
  )
}
