import { useState } from 'react'
import type { useDocuments } from '../hooks/use-documents.ts'
import type { Api } from '../lib/api.ts'
import { isAbort, toFailure } from '../lib/failure.ts'
import type { Failure } from '../lib/failure.ts'
import type { DocumentState, Passage, Place, ShownDocument } from '../lib/types.ts'
import { stateText, texts } from '../texts.ts'
import { DocumentRow } from './document-row.tsx'
import { Problem } from './problem.tsx'

interface DocumentsPanelProps {
  readonly api: Api
  readonly documents: ReturnType<typeof useDocuments>
  readonly onKey: () => void
  readonly onOpen: (document: ShownDocument) => void
  readonly onPassage: (place: Place, quote: string) => void
}

const STATES: readonly DocumentState[] = ['indexed', 'queued', 'failed', 'quarantined']

/** All documents with their states; by name as one types, by what stands in them on Enter. */
export function DocumentsPanel({ api, documents, onKey, onOpen, onPassage }: DocumentsPanelProps) {
  const [wanted, setWanted] = useState('')
  const [state, setState] = useState<DocumentState | ''>('')
  const [found, setFound] = useState<{ query: string; hits: readonly Passage[] } | null>(null)
  const [failure, setFailure] = useState<Failure | null>(null)
  const [said, setSaid] = useState('')

  async function search(): Promise<void> {
    const query = wanted.trim()
    if (query === '') return
    try {
      setFound({ query, hits: await api.search(query, AbortSignal.timeout(30_000)) })
      setFailure(null)
    } catch (error) {
      if (!isAbort(error)) setFailure(toFailure(error))
    }
  }

  const shown = (documents.documents ?? []).filter(
    (document) => (state === '' || document.state === state) && isNamed(document, wanted),
  )
  const problem = failure ?? documents.failure
  return (
    <>
      <form
        className="find"
        role="search"
        onSubmit={(event) => {
          event.preventDefault()
          void search()
        }}
      >
        <input
          type="search"
          value={wanted}
          maxLength={8192}
          placeholder={texts.find}
          aria-label={texts.findLabel}
          onChange={({ target }) => {
            setWanted(target.value)
            setFound(null)
          }}
        />
        <select
          value={state}
          aria-label={texts.stateLabel}
          onChange={({ target }) => setState(target.value as DocumentState | '')}
        >
          <option value="">{texts.anyState}</option>
          {STATES.map((each) => (
            <option key={each} value={each}>
              {stateText(each)}
            </option>
          ))}
        </select>
      </form>
      {problem && (
        <Problem failure={problem} onRetry={failure ? undefined : documents.reload} onKey={onKey} />
      )}
      <p role="status" className="unseen">
        {said}
      </p>
      <div className="panel-body">
        {found ? (
          <Found found={found} onBack={() => setFound(null)} onPassage={onPassage} />
        ) : (
          <>
            {documents.status && (
              <p className="muted">
                {texts.counts(documents.status.documents.indexed, documents.status.chunks)}
              </p>
            )}
            {documents.documents && shown.length === 0 && (
              <p className="muted">
                {documents.documents.length === 0 ? texts.noDocuments : texts.noneMatch}
              </p>
            )}
            <ul className="documents">
              {shown.map((document) => (
                <DocumentRow
                  key={document.id}
                  document={document}
                  onOpen={() => onOpen(document)}
                  onRemove={async () => {
                    await documents.remove(document.id)
                    setSaid(texts.removed(document.title ?? document.id))
                  }}
                />
              ))}
            </ul>
            {documents.hasMore && (
              <button type="button" className="plain" onClick={() => void documents.more()}>
                {texts.more}
              </button>
            )}
          </>
        )}
      </div>
    </>
  )
}

interface FoundProps {
  readonly found: { readonly query: string; readonly hits: readonly Passage[] }
  readonly onBack: () => void
  readonly onPassage: (place: Place, quote: string) => void
}

function Found({ found: { query, hits }, onBack, onPassage }: FoundProps) {
  return (
    <>
      <p className="muted" role="status">
        {texts.hits(query, hits.length)}
      </p>
      <button type="button" className="link" onClick={onBack}>
        {texts.backToList}
      </button>
      <ul className="documents">
        {hits.map((hit) => (
          <li key={hit.chunkId}>
            <button type="button" className="passage" onClick={() => onPassage(hit, hit.text)}>
              <span className="passage-head">
                <strong>{hit.title ?? hit.documentId}</strong>
                {hit.page !== null && <span className="muted">{texts.page(hit.page)}</span>}
                <span className="score">{texts.score(hit.score)}</span>
              </span>
              <span className="excerpt">{hit.text}</span>
            </button>
          </li>
        ))}
      </ul>
    </>
  )
}

function isNamed({ id, title }: ShownDocument, wanted: string): boolean {
  const words = wanted.trim().toLowerCase()
  return `${title ?? ''}\n${id}`.toLowerCase().includes(words)
}
