import { useCallback, useEffect, useState } from 'react'
import type { Api } from '../lib/api.ts'
import { isAbort, toFailure } from '../lib/failure.ts'
import type { Failure } from '../lib/failure.ts'
import type { ShownDocument, Status } from '../lib/types.ts'

interface Loaded {
  readonly documents: readonly ShownDocument[]
  readonly cursor: string | null
}

/** The documents that are there, page by page, and their counts. `key` changes where another key is in use. */
export function useDocuments(api: Api, key: number) {
  const [loaded, setLoaded] = useState<Loaded | null>(null)
  const [status, setStatus] = useState<Status | null>(null)
  const [failure, setFailure] = useState<Failure | null>(null)
  const [round, setRound] = useState(0)

  useEffect(() => {
    const controller = new AbortController()
    Promise.all([api.documents(null, controller.signal), api.status(controller.signal)]).then(
      ([{ documents, cursor = null }, counts]) => {
        setLoaded({ documents: present(documents), cursor })
        setStatus(counts)
        setFailure(null)
      },
      (error: unknown) => {
        if (!isAbort(error)) setFailure(toFailure(error))
      },
    )
    return () => controller.abort()
  }, [api, key, round])

  const reload = useCallback(() => setRound((last) => last + 1), [])

  return {
    documents: loaded?.documents ?? null,
    hasMore: loaded?.cursor !== null && loaded !== null,
    status,
    failure,
    reload,
    more: async () => {
      if (loaded?.cursor == null) return
      try {
        const { documents, cursor = null } = await api.documents(loaded.cursor)
        setLoaded({ documents: [...loaded.documents, ...present(documents)], cursor })
      } catch (error) {
        setFailure(toFailure(error))
      }
    },
    /** Throws a `Failure`. */
    remove: async (id: string) => {
      await api.remove(id)
      setLoaded(
        (last) => last && { ...last, documents: last.documents.filter((document) => document.id !== id) },
      )
      reload()
    },
  }
}

function present(documents: readonly ShownDocument[]): ShownDocument[] {
  return documents.filter(({ state }) => state !== 'deleted')
}
