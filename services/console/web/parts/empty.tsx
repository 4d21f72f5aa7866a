import type { useDocuments } from '../hooks/use-documents.ts'
import { texts } from '../texts.ts'
import { FileButton } from './file-button.tsx'
import { DropIcon } from './icons.tsx'
import { Problem } from './problem.tsx'

interface EmptyProps {
  readonly documents: ReturnType<typeof useDocuments>
  readonly onAsk: (question: string) => void
  readonly onFiles: (files: readonly File[]) => void
  readonly onKey: (() => void) | null
}

/** Before the first question: what to do first. */
export function Empty({
  documents: { documents, status, failure, reload },
  onAsk,
  onFiles,
  onKey,
}: EmptyProps) {
  const searchable = status?.documents.indexed ?? 0
  const hasSamples =
    documents?.some(({ id, state }) => id.startsWith('samples/') && state === 'indexed') ?? false
  return (
    <div className="empty">
      <div className="empty-mark">
        <DropIcon />
      </div>
      <h2>{texts.emptyTitle}</h2>
      {failure ? (
        <Problem failure={failure} onRetry={reload} onKey={onKey ?? undefined} />
      ) : (
        <>
          {/* Until it is known what is there, nothing is said of it. */}
          <p className="lead">
            {status && (searchable === 0 ? texts.emptyNone : texts.emptySome(searchable, status.chunks))}
          </p>
          {hasSamples && (
            <section aria-labelledby="examples">
              <h3 id="examples">{texts.tryOne}</h3>
              <ul className="examples">
                {texts.examples.map((question) => (
                  <li key={question}>
                    <button type="button" className="plain" onClick={() => onAsk(question)}>
                      {question}
                    </button>
                  </li>
                ))}
              </ul>
            </section>
          )}
          <p className="drop-hint">
            <FileButton className="plain" label={texts.chooseFiles} onFiles={onFiles}>
              {texts.chooseFiles}
            </FileButton>{' '}
            {texts.dropHint}
          </p>
        </>
      )}
    </div>
  )
}
