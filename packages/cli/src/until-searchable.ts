import { callJson } from './client.ts'
import type { ClientOptions } from './client.ts'

/** The longest that a search waits for a receipt. */
const MAX_WAIT_MS = 30_000

interface Stand {
  readonly state: string
  readonly latest: { readonly error?: { readonly code: string; readonly message: string } }
}

/** Null as soon as queries find the publication (or a newer one, or its deletion binds); else why they do not. */
export async function untilSearchable(
  client: ClientOptions,
  id: string,
  receipt: string,
  deadlineMs: number,
): Promise<string | null> {
  for (;;) {
    const timeoutMs = Math.max(0, Math.min(MAX_WAIT_MS, deadlineMs - Date.now()))
    const { fresh, reason = 'not visible' } = await callJson<{ fresh: boolean; reason?: string }>(
      client,
      '/v1/search',
      { method: 'POST', body: { query: id, mode: 'lexical', limit: 1, after: receipt, timeoutMs } },
    )
    if (fresh) return null
    const { state, latest } = await callJson<Stand>(client, `/v1/documents/${encodeURIComponent(id)}`)
    if (state === 'failed' || state === 'quarantined')
      return latest.error ? `${latest.error.message} (${state}, ${latest.error.code})` : reason
    if (Date.now() >= deadlineMs) return `${reason}; it is still on its way: aquifer status ${id}`
  }
}
