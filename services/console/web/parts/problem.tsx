import type { Failure } from '../lib/failure.ts'
import { failureText, texts } from '../texts.ts'
import { WarnIcon } from './icons.tsx'

interface ProblemProps {
  readonly failure: Failure
  readonly onRetry?: (() => void) | undefined
  readonly onKey?: (() => void) | undefined
}

/** What went wrong, what to do, and the button that does it. */
export function Problem({ failure, onRetry, onKey }: ProblemProps) {
  const wantsKey = failure.status === 401 && onKey
  return (
    <div className="problem" role="alert">
      <WarnIcon />
      <div>
        <p>{failureText(failure)}</p>
        <div className="row">
          {wantsKey && (
            <button type="button" className="plain" onClick={onKey}>
              {texts.keyEnter}
            </button>
          )}
          {onRetry && (
            <button type="button" className="plain" onClick={onRetry}>
              {texts.tryAgain}
            </button>
          )}
        </div>
      </div>
    </div>
  )
}
