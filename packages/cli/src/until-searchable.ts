import { AquiferError } from '@aquifer/runtime/errors'
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
    const stand = await standOf(client, id)
    if (stand?.state === 'failed' || stand?.state === 'quarantined') {
      const { error } = stand.latest
      return error ? `${error.message} (${stand.state}, ${error.code})` : reason
    }
    if (Date.now() >= deadlineMs) return `${reason}; it is still on its way: aquifer status ${id}`
  }
}

/** Null where the document is not known yet, or not to this key. */
async function standOf(client: ClientOptions, id: string): Promise<Stand | null> {
  try {
    return await callJson<Stand>(client, `/v1/documents/${encodeURIComponent(id)}`)
  } catch (error) {
    if (error instanceof AquiferError && error.status === 404) return null
    throw error
  }
}
