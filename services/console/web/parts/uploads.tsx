import type { Upload } from '../hooks/use-uploads.ts'
import { failureText, stateText, texts } from '../texts.ts'
import { CheckIcon, CloseIcon, WarnIcon } from './icons.tsx'

interface UploadsProps {
  readonly uploads: readonly Upload[]
  readonly onDismiss: (key: number) => void
  readonly onClear: () => void
  readonly onOpen: (document: { id: string; title: null }) => void
}

/** Files on their way, until somebody takes them off the list. */
export function Uploads({ uploads, onDismiss, onClear, onOpen }: UploadsProps) {
  if (uploads.length === 0) return null
  return (
    <section className="uploads" aria-label={texts.uploads}>
      <ul aria-live="polite">
        {uploads.map((upload) => (
          <li key={upload.key} className={isBad(upload) ? 'bad' : undefined}>
            <span className="upload-mark">
              {isBad(upload) ? (
                <WarnIcon />
              ) : upload.state === 'indexed' ? (
                <CheckIcon />
              ) : (
                <span className="spinner" />
              )}
            </span>
            <div className="upload-text">
              {upload.state === 'indexed' && upload.id !== null ? (
                <button
                  type="button"
                  className="link"
                  onClick={() => onOpen({ id: upload.id!, title: null })}
                >
                  {upload.name}
                </button>
              ) : (
                <span>{upload.name}</span>
              )}
              <span className="muted">{stepText(upload)}</span>
            </div>
            <button
              type="button"
              className="quiet square small"
              aria-label={`${texts.dismiss} ${upload.name}`}
              onClick={() => onDismiss(upload.key)}
            >
              <CloseIcon />
            </button>
          </li>
        ))}
      </ul>
      {uploads.length > 2 && uploads.some(({ state }) => state === 'indexed') && (
        <button type="button" className="link" onClick={onClear}>
          {texts.clear}
        </button>
      )}
    </section>
  )
}

function isBad({ step, state }: Upload): boolean {
  return step === 'failed' || (step === 'settled' && state !== 'indexed')
}

function stepText({ step, share, state, why, alike, failure }: Upload): string {
  if (failure) return failureText(failure)
  if (step === 'settled' && state === 'indexed' && alike.length > 0) return texts.searchableAlike(alike)
  if (step === 'settled' && state) return why === null ? stateText(state) : `${stateText(state)}: ${why}`
  return step === 'reading' ? texts.reading : texts.sending(share)
}
