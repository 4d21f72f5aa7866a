import { useEffect, useState } from 'react'
import type { Api } from '../lib/api.ts'
import { toUnits } from '../lib/code-points.ts'
import { isAbort, toFailure } from '../lib/failure.ts'
import type { Failure } from '../lib/failure.ts'
import type { ShownDocument } from '../lib/types.ts'
import type { SourceTarget } from './use-panel.ts'

/** A document's text with the place to mark, in UTF-16 units; null: nothing is marked. */
export interface OpenSource {
  readonly text: string
  readonly version: string
  readonly title: string | null
  readonly contentType: string | null
  readonly language: string | null
  /** Documents that say nearly the same. */
  readonly similar: readonly Pick<ShownDocument, 'id' | 'title'>[]
  readonly marked: readonly [number, number] | null
}

export type SourceState =
  | { readonly step: 'loading' }
  | { readonly step: 'open'; readonly source: OpenSource; readonly isNewer: boolean }
  /** The version that was cited is no more; `newest` says whether there is another. */
  | { readonly step: 'gone'; readonly newest: boolean }
  | { readonly step: 'failed'; readonly failure: Failure }

const GONE = 410
const NOT_FOUND = 404

/** Opens what a citation names; `openNewest` the version that took its place. */
export function useSource(api: Api, target: SourceTarget) {
  const [state, setState] = useState<SourceState>({ step: 'loading' })
  const [round, setRound] = useState({ newest: false, attempt: 0 })

  useEffect(() => {
    const controller = new AbortController()
    load(api, target, round.newest, controller.signal).then(setState, (error: unknown) => {
      if (!isAbort(error)) setState({ step: 'failed', failure: toFailure(error) })
    })
    return () => controller.abort()
  }, [api, target, round])

  function again(next: typeof round): void {
    setState({ step: 'loading' })
    setRound(next)
  }

  return {
    state,
    openNewest: () => again({ newest: true, attempt: 0 }),
    retry: () => again({ ...round, attempt: round.attempt + 1 }),
  }
}

async function load(
  api: Api,
  target: SourceTarget,
  newest: boolean,
  signal: AbortSignal,
): Promise<SourceState> {
  const { documentId, passage } = target
  const version = newest ? null : target.version
  try {
    const [document, { text, version: found }] = await Promise.all([
      api.document(documentId, signal),
      api.text(documentId, version, signal),
    ])
    const { title, contentType, language, similar = [] } = document
    const marked = passage && placeOf(text, passage, newest)
    const source = { text, version: found, title, contentType, language, similar, marked }
    return { step: 'open', source, isNewer: newest }
  } catch (error) {
    const failure = toFailure(error)
    if (isAbort(error) || (failure.status !== GONE && failure.status !== NOT_FOUND)) throw error
    const document = newest ? null : await api.document(documentId, signal).catch(() => null)
    return { step: 'gone', newest: (document?.visibleVersion ?? null) !== null }
  }
}

/** Where the passage stands: at its range in the version that it is of, wherever its words stand in another. */
function placeOf(text: string, passage: NonNullable<SourceTarget['passage']>, newest: boolean) {
  if (!newest) return toUnits(text, passage.start, passage.end)
  const at = text.indexOf(passage.quote)
  return at < 0 ? null : ([at, at + passage.quote.length] as const)
}
