import { lazy, Suspense, useState } from 'react'
import type { SourceTarget } from '../hooks/use-panel.ts'
import { useSource } from '../hooks/use-source.ts'
import type { OpenSource } from '../hooks/use-source.ts'
import type { Api } from '../lib/api.ts'
import { toFailure } from '../lib/failure.ts'
import type { Failure } from '../lib/failure.ts'
import type { ShownDocument } from '../lib/types.ts'
import { texts } from '../texts.ts'
import { ErrorBoundary } from './error-boundary.tsx'
import { DownloadIcon } from './icons.tsx'
import { Problem } from './problem.tsx'
import { SourceText } from './source-text.tsx'

/** The PDF reader is large, and few need it at once. */
const PdfPage = lazy(async () => await import('./pdf-page.tsx'))

interface SourcePanelProps {
  readonly api: Api
  readonly target: SourceTarget
  readonly onOpen: (document: Pick<ShownDocument, 'id' | 'title'>) => void
}

/** A source at its place, with the passage marked. */
export function SourcePanel({ api, target, onOpen }: SourcePanelProps) {
  const { state, openNewest, retry } = useSource(api, target)
  const title = (state.step === 'open' ? state.source.title : null) ?? target.title ?? target.documentId
  return (
    <>
      <div className="source-head">
        <h3>{title}</h3>
        {title !== target.documentId && <p className="id">{target.documentId}</p>}
        {state.step === 'open' && <About source={state.source} onOpen={onOpen} />}
      </div>
      {state.step === 'loading' && (
        <p className="working" role="status">
          <span className="dots" aria-hidden="true" />
          {texts.loading}
        </p>
      )}
      {state.step === 'failed' && <Problem failure={state.failure} onRetry={retry} />}
      {state.step === 'gone' && <Gone target={target} newest={state.newest} onNewest={openNewest} />}
      {state.step === 'open' && (
        <Opened api={api} target={target} source={state.source} isNewer={state.isNewer} />
      )}
    </>
  )
}

function About({
  source: { language, similar },
  onOpen,
}: Pick<SourcePanelProps, 'onOpen'> & { source: OpenSource }) {
  return (
    <>
      {language !== null && <p className="id">{texts.language(language)}</p>}
      {similar.length > 0 && (
        <p className="alike">
          {texts.nearlyAs}{' '}
          {similar.map((document) => (
            <button key={document.id} type="button" className="link" onClick={() => onOpen(document)}>
              {document.title ?? document.id}
            </button>
          ))}
        </p>
      )}
    </>
  )
}

interface GoneProps {
  readonly target: SourceTarget
  readonly newest: boolean
  readonly onNewest: () => void
}

function Gone({ target: { passage }, newest, onNewest }: GoneProps) {
  return (
    <div className="panel-body" role="status">
      <p>{newest ? texts.replaced : texts.deleted}</p>
      {newest && passage && <blockquote>{passage.quote}</blockquote>}
      {newest && (
        <button type="button" className="primary" onClick={onNewest}>
          {texts.openNewest}
        </button>
      )}
    </div>
  )
}

interface OpenedProps extends Pick<SourcePanelProps, 'api' | 'target'> {
  readonly source: OpenSource
  readonly isNewer: boolean
}

function Opened({ api, target, source, isNewer }: OpenedProps) {
  const page = isNewer ? null : target.page
  const isPdf = looksLikePdf(source.contentType, target.documentId)
  const [view, setView] = useState<'page' | 'text'>(isPdf && page !== null ? 'page' : 'text')
  const [failure, setFailure] = useState<Failure | null>(null)

  async function download(): Promise<void> {
    try {
      const address = URL.createObjectURL(await api.source(target.documentId, source.version))
      const link = document.createElement('a')
      link.href = address
      link.download = target.documentId.split('/').at(-1) || target.documentId
      link.click()
      URL.revokeObjectURL(address)
    } catch (error) {
      setFailure(toFailure(error))
    }
  }

  return (
    <>
      <div className="row source-tools">
        {isPdf && (
          <div className="views" role="group" aria-label={texts.source}>
            <button type="button" aria-pressed={view === 'page'} onClick={() => setView('page')}>
              {texts.asPage}
            </button>
            <button type="button" aria-pressed={view === 'text'} onClick={() => setView('text')}>
              {texts.asText}
            </button>
          </div>
        )}
        {page !== null && view === 'text' && <span className="muted">{texts.page(page)}</span>}
        <button type="button" className="link push" onClick={() => void download()}>
          <DownloadIcon />
          {texts.original}
        </button>
      </div>
      {failure && <Problem failure={failure} />}
      {isNewer && (
        <p className="aside">
          {texts.newest} {source.marked === null && target.passage && texts.notInNewest}
        </p>
      )}
      {view === 'page' ? (
        <ErrorBoundary fallback={<SourceText text={source.text} marked={source.marked} />}>
          <Suspense fallback={<p className="working">{texts.loading}</p>}>
            <PdfPage
              api={api}
              documentId={target.documentId}
              version={source.version}
              page={page ?? 1}
              quote={source.marked === null ? null : source.text.slice(...source.marked)}
              onFailure={() => setView('text')}
            />
          </Suspense>
        </ErrorBoundary>
      ) : (
        <SourceText text={source.text} marked={source.marked} />
      )}
    </>
  )
}

/** A type that says nothing leaves it to the name. What is none after all shows its text. */
function looksLikePdf(contentType: string | null, id: string): boolean {
  return contentType?.startsWith('application/octet-stream')
    ? /\.pdf$/i.test(id)
    : (contentType?.startsWith('application/pdf') ?? false)
}
