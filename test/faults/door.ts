import type { Position } from '../oracle/facts.ts'
import { keyFor } from './world.ts'
import type { World } from './world.ts'

export interface Doc {
  readonly tenant: string
  readonly id: string
}

/** Where a publication lies, and what a query presents to see it. When it was appended is not known yet (NaN): the log tells. */
export interface Place extends Position {
  readonly receipt: string
}

const REQUEST_TIMEOUT_MS = 30_000

/** One request with that key. Status 0: no answer came. */
export async function ask(
  world: Pick<World, 'door'>,
  method: string,
  path: string,
  key: string,
  body?: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: unknown }> {
  try {
    const response = await fetch(`${world.door()}${path}`, {
      method,
      headers: { Authorization: `Bearer ${key}`, ...headers },
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      ...(body !== undefined && { body }),
    })
    const text = await response.text()
    const isJson = /json/.test(response.headers.get('content-type') ?? '')
    return { status: response.status, body: isJson ? JSON.parse(text) : text }
  } catch {
    return { status: 0, body: null }
  }
}

/** A receipt of the door is base64url of [tenant, id, version], and a version names the place. */
export function placeOf(receipt: string): Place {
  const [, , version] = JSON.parse(Buffer.from(receipt, 'base64url').toString()) as [string, string, string]
  const [, topic, partition, offset] = /^[0-9a-f]{12}-(.+)-(\d{5})-(\d{16})$/.exec(version)!
  const place = { topic: topic!, partition: Number(partition), offset: Number(offset) }
  return { appendTimeMs: Number.NaN, ...place, receipt }
}

/** The texts of a document that the groups may read; a string says why there are none. */
export async function wholeDocument(
  world: Pick<World, 'door'>,
  { tenant, id }: Doc,
  groups: readonly string[] | null,
  wait?: { readonly place: Place; readonly timeoutMs: number },
): Promise<{ texts: string[]; fresh: boolean } | string> {
  const filter = { field: 'document', op: 'eq', value: id }
  const after = wait && { after: wait.place.receipt, timeoutMs: wait.timeoutMs }
  const question = JSON.stringify({ query: 'valve', mode: 'dense', limit: 100, filter, ...after })
  const headers = { 'Content-Type': 'application/json' }
  const { status, body } = await ask(world, 'POST', '/v1/search', keyFor(tenant, groups), question, headers)
  if (status !== 200) return String(status)
  const { hits, fresh } = body as {
    hits: { text: string; title: string | null; headings: string[] }[]
    fresh: boolean
  }
  return { texts: hits.flatMap(({ text, title, headings }) => [text, title ?? '', ...headings]), fresh }
}
