import { useCallback, useEffect, useRef, useState } from 'react'
import type { Api } from '../lib/api.ts'
import { isAbort, toFailure } from '../lib/failure.ts'
import type { Failure } from '../lib/failure.ts'
import type { DocumentState, ShownDocument } from '../lib/types.ts'

/** A file on its way to being searchable. */
export interface Upload {
  readonly key: number
  readonly name: string
  readonly step: 'waiting' | 'sending' | 'reading' | 'settled' | 'failed'
  /** Of the file, sent. */
  readonly share: number
  readonly id: string | null
  readonly receipt: string | null
  readonly state: DocumentState | null
  /** Why the server could not read it. */
  readonly why: string | null
  /** Names of documents that say nearly the same. */
  readonly alike: readonly string[]
  readonly failure: Failure | null
}

/** A browser opens six connections to a server; two are left for questions. */
const AT_ONCE = 4
const POLL_MS = 1000
/** Somebody who looks on that long can reload the page. */
const MAX_POLLS = 600

/** Files being added. `onSettled` is told of each that the server is through with. */
export function useUploads(api: Api, onSettled: () => void) {
  const [uploads, setUploads] = useState<readonly Upload[]>([])
  const waiting = useRef<(() => Promise<void>)[]>([])
  const running = useRef(0)
  const nextKey = useRef(1)
  const controllers = useRef(new Map<number, AbortController>())
  const latest = useRef(uploads)
  useEffect(() => {
    latest.current = uploads
  }, [uploads])

  const change = (key: number, changes: Partial<Upload>) =>
    setUploads((all) => all.map((upload) => (upload.key === key ? { ...upload, ...changes } : upload)))

  async function bring(key: number, file: File): Promise<void> {
    const { signal } = controllers.current.get(key)!
    if (signal.aborted) return
    try {
      change(key, { step: 'sending' })
      const onProgress = (share: number) => change(key, { share })
      const { id, receipt } = await api.upload({ file, onProgress, signal })
      change(key, { step: 'reading', id, receipt })
      for await (const { state, latest: attempt, similar = [] } of statesOf(api, id, signal)) {
        change(key, {
          state,
          why: attempt.error?.message ?? null,
          alike: similar.map((other) => other.title ?? other.id),
          step: state === 'queued' ? 'reading' : 'settled',
        })
      }
      onSettled()
    } catch (error) {
      if (!isAbort(error)) change(key, { step: 'failed', failure: toFailure(error) })
    }
  }

  function next(): void {
    while (running.current < AT_ONCE) {
      const task = waiting.current.shift()
      if (!task) return
      running.current++
      void task().finally(() => {
        running.current--
        next()
      })
    }
  }

  return {
    uploads,
    add: (files: readonly File[]) => {
      const added = files.map((file) => ({ file, upload: newUpload(nextKey.current++, file.name) }))
      setUploads((all) => [...all, ...added.map(({ upload }) => upload)])
      for (const { file, upload } of added) {
        controllers.current.set(upload.key, new AbortController())
        waiting.current.push(async () => await bring(upload.key, file))
      }
      next()
    },
    /** Takes it off the list, and stops what is not sent yet. */
    dismiss: (key: number) => {
      controllers.current.get(key)?.abort()
      controllers.current.delete(key)
      setUploads((all) => all.filter((upload) => upload.key !== key))
    },
    /** Takes off the list what is searchable. */
    clear: () => setUploads((all) => all.filter(({ state }) => state !== 'indexed')),
    /** Of what is not searchable yet. */
    receipts: useCallback(
      () =>
        latest.current.flatMap(({ step, receipt }) =>
          step === 'reading' && receipt !== null ? [receipt] : [],
        ),
      [],
    ),
  }
}

function newUpload(key: number, name: string): Upload {
  return {
    key,
    name,
    step: 'waiting',
    share: 0,
    id: null,
    receipt: null,
    state: null,
    why: null,
    alike: [],
    failure: null,
  }
}

/** By events; where they cannot be had or end early, by asking now and then. */
async function* statesOf(api: Api, id: string, signal: AbortSignal): AsyncGenerator<ShownDocument> {
  try {
    for await (const document of api.watch(id, signal)) {
      yield document
      if (document.state !== 'queued') return
    }
  } catch (error) {
    if (isAbort(error)) throw error
  }
  for (let poll = 0; poll < MAX_POLLS && !signal.aborted; poll++) {
    const document = await api.document(id, signal)
    yield document
    if (document.state !== 'queued') return
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}
