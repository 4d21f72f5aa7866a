import { useState } from 'react'
import type { Api } from '../lib/api.ts'
import { toFailure } from '../lib/failure.ts'
import type { Failure } from '../lib/failure.ts'
import { texts } from '../texts.ts'
import { ThumbIcon } from './icons.tsx'
import { Problem } from './problem.tsx'

const MAX_CHARS = 8192

/** Thumbs; the one down asks what would have been right before anything is sent. */
export function Feedback({ api, answerId }: { readonly api: Api; readonly answerId: string }) {
  const [sent, setSent] = useState<-1 | 1 | null>(null)
  const [correcting, setCorrecting] = useState(false)
  const [correction, setCorrection] = useState('')
  const [failure, setFailure] = useState<Failure | null>(null)

  async function send(rating: -1 | 1): Promise<void> {
    setFailure(null)
    try {
      await api.rate(answerId, rating, rating === -1 ? correction.trim() : '')
      setSent(rating)
      setCorrecting(false)
    } catch (error) {
      setFailure(toFailure(error))
    }
  }

  return (
    <div className="feedback">
      <div className="row">
        <button
          type="button"
          className="quiet square small"
          aria-label={texts.helpful}
          title={texts.helpful}
          aria-pressed={sent === 1}
          onClick={() => void send(1)}
        >
          <ThumbIcon />
        </button>
        <button
          type="button"
          className="quiet square small"
          aria-label={texts.notHelpful}
          title={texts.notHelpful}
          aria-pressed={sent === -1}
          aria-expanded={correcting}
          onClick={() => setCorrecting(!correcting)}
        >
          <ThumbIcon down />
        </button>
        <span role="status" className="muted">
          {sent !== null && !correcting && texts.thanks}
        </span>
      </div>
      {correcting && (
        <form
          onSubmit={(event) => {
            event.preventDefault()
            void send(-1)
          }}
        >
          <label htmlFor={`correction-${answerId}`}>{texts.correction}</label>
          <textarea
            id={`correction-${answerId}`}
            rows={3}
            maxLength={MAX_CHARS}
            value={correction}
            autoFocus
            onChange={({ target }) => setCorrection(target.value)}
          />
          <div className="row">
            <button type="submit" className="primary">
              {texts.sendFeedback}
            </button>
            <button type="button" className="quiet" onClick={() => setCorrecting(false)}>
              {texts.cancel}
            </button>
          </div>
        </form>
      )}
      {failure && <Problem failure={failure} />}
    </div>
  )
}
