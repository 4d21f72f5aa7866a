import type { Citation, Passage, Place } from '../lib/types.ts'
import { texts } from '../texts.ts'

interface EvidenceProps {
  readonly passages: readonly Passage[]
  readonly citations: readonly Citation[]
  readonly onOpen: (place: Place, quote: string) => void
}

/** The passages that the answer was made from, the best first, cited or not. */
export function Evidence({ passages, citations, onOpen }: EvidenceProps) {
  const cited = new Set(citations.map(({ chunkId }) => chunkId))
  const best = Math.max(...passages.map(({ score }) => score), Number.EPSILON)
  return (
    <details className="evidence">
      <summary>{texts.restsOn(passages.length)}</summary>
      <ol>
        {passages.map((passage) => (
          <li key={passage.chunkId}>
            <button type="button" className="passage" onClick={() => onOpen(passage, passage.text)}>
              <span className="passage-head">
                <strong>{passage.title ?? passage.documentId}</strong>
                {passage.page !== null && <span className="muted">{texts.page(passage.page)}</span>}
                {cited.has(passage.chunkId) && <span className="tag">{texts.cited}</span>}
                <span className="score">
                  <span className="bar" aria-hidden="true">
                    <span style={{ inlineSize: `${Math.max(4, (passage.score / best) * 100)}%` }} />
                  </span>
                  {texts.score(passage.score)}
                </span>
              </span>
              {passage.headings.length > 0 && <span className="path">{passage.headings.join(' › ')}</span>}
              <span className="excerpt">{passage.text}</span>
            </button>
          </li>
        ))}
      </ol>
    </details>
  )
}
