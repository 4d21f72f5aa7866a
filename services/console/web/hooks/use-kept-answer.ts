import { useEffect, useState } from 'react'
import type { Api } from '../lib/api.ts'
import type { KeptAnswer } from '../lib/types.ts'

/** Looks for the evaluation come so much later each time; an answer that was not sampled never gets one. */
const WAITS_MS = [0, 500, 1000, 2000, 4000, 8000, 15_000, 30_000]

/** The answer as it is kept: soon with the passages it rests on, later with its evaluation. */
export function useKeptAnswer(api: Api, answerId: string | null): KeptAnswer | null {
  const [kept, setKept] = useState<KeptAnswer | null>(null)

  useEffect(() => {
    if (answerId === null) return
    const controller = new AbortController()
    const { signal } = controller
    void (async () => {
      for (const waitMs of WAITS_MS) {
        await pause(waitMs, signal)
        if (signal.aborted) return
        // What fails is looked for again; the answer itself is there already.
        const found = await api.answer(answerId, signal).catch(() => null)
        if (found) setKept(found)
        if (found?.evaluation) return
      }
    })()
    return () => controller.abort()
  }, [api, answerId])

  return kept
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
