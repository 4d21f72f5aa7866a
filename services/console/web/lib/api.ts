import { readEvents } from './events.ts'
import { Failure, failureOf, isAbort, toFailure } from './failure.ts'
import type { AnswerFacts, KeptAnswer, Message, Passage, ShownDocument, Status } from './types.ts'

/** The HTTP interface of the server that the page came from. Each call throws a `Failure`, or an AbortError where it was stopped. */
export type Api = ReturnType<typeof createApi>

export interface ApiKeys {
  read(): string | null
  /** The server wants a key, or another one. */
  missing(): void
}

export interface AskOptions {
  readonly messages: readonly Message[]
  readonly conversationId: string | null
  /** Receipts of what was added and is not searchable yet. */
  readonly after: readonly string[]
  readonly signal: AbortSignal
}

export type AnswerEvent =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'facts'; readonly facts: AnswerFacts }

interface Chunk {
  readonly choices?: readonly { readonly delta?: { readonly content?: string } }[]
  readonly aquifer?: AnswerFacts
  readonly error?: { readonly code?: string; readonly message?: string }
}

export interface UploadOptions {
  readonly file: File
  readonly onProgress: (share: number) => void
  readonly signal: AbortSignal
}

const PAGE_SIZE = 100
/** As many receipts as one question takes. */
const MAX_RECEIPTS = 100

export function createApi(keys: ApiKeys) {
  const authorization = (): Record<string, string> => {
    const key = keys.read()
    return key === null ? {} : { Authorization: `Bearer ${key}` }
  }
  const fail = (failure: Failure): never => {
    if (failure.status === 401) keys.missing()
    throw failure
  }

  async function send(method: string, path: string, options: { body?: unknown; signal?: AbortSignal } = {}) {
    const { body, signal } = options
    let response: Response
    try {
      response = await fetch(path, {
        method,
        headers: {
          ...authorization(),
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal ? { signal } : {}),
        cache: 'no-store',
      })
    } catch (error) {
      throw isAbort(error) ? error : toFailure(error)
    }
    if (response.ok) return response
    return fail(failureOf(response.status, await response.text(), response.headers.get('retry-after')))
  }
  const get = async <T>(path: string, signal?: AbortSignal): Promise<T> =>
    (await (await send('GET', path, signal ? { signal } : {})).json()) as T
  const documentPath = (id: string) => `/v1/documents/${encodeURIComponent(id)}`
  const versionQuery = (version: string | null) =>
    version === null ? '' : `?version=${encodeURIComponent(version)}`

  return {
    /** The answer as it is written; its facts come last. */
    async *ask({ messages, conversationId, after, signal }: AskOptions): AsyncGenerator<AnswerEvent> {
      const aquifer = {
        ...(conversationId === null ? {} : { conversationId }),
        ...(after.length > 0 ? { after: after.slice(-MAX_RECEIPTS) } : {}),
      }
      const response = await send('POST', '/v1/chat/completions', {
        body: { messages, stream: true, aquifer },
        signal,
      })
      let complete = false
      for await (const { data } of readEvents(response.body!)) {
        if (data === '[DONE]') break
        const chunk = JSON.parse(data) as Chunk
        if (chunk.error) {
          const { code = 'unknown', message = '' } = chunk.error
          throw new Failure({ status: 500, code, message })
        }
        const text = chunk.choices?.[0]?.delta?.content
        if (text) yield { type: 'text', text }
        if (chunk.aquifer) {
          complete = true
          yield { type: 'facts', facts: chunk.aquifer }
        }
      }
      if (!complete) throw new Failure({ status: 0, code: 'broken_off', message: '' })
    },

    answer: async (id: string, signal: AbortSignal) =>
      await get<KeptAnswer>(`/v1/answers/${encodeURIComponent(id)}`, signal),

    async rate(answerId: string, rating: -1 | 1, correction: string): Promise<void> {
      await send('POST', '/v1/feedback', {
        body: { answerId, rating, ...(correction === '' ? {} : { correction }) },
      })
    },

    status: async (signal: AbortSignal) => await get<Status>('/v1/status', signal),

    documents: async (cursor: string | null, signal?: AbortSignal) =>
      await get<{ documents: readonly ShownDocument[]; cursor?: string }>(
        `/v1/documents?limit=${PAGE_SIZE}${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
        signal,
      ),

    document: async (id: string, signal?: AbortSignal) => await get<ShownDocument>(documentPath(id), signal),

    remove: async (id: string) => void (await send('DELETE', documentPath(id))),

    /** The text that ranges count in, of a version or of the newest. */
    async text(id: string, version: string | null, signal: AbortSignal) {
      const response = await send('GET', `${documentPath(id)}/text${versionQuery(version)}`, { signal })
      return { text: await response.text(), version: response.headers.get('aquifer-version') ?? '' }
    },

    async source(id: string, version: string | null, signal?: AbortSignal) {
      const path = `${documentPath(id)}/source${versionQuery(version)}`
      return await (await send('GET', path, signal ? { signal } : {})).blob()
    },

    async search(query: string, signal: AbortSignal) {
      const response = await send('POST', '/v1/search', { body: { query, limit: 20 }, signal })
      return ((await response.json()) as { hits: readonly Passage[] }).hits
    },

    /** What people should know although the server is ready. */
    async warnings(signal: AbortSignal): Promise<readonly string[]> {
      const response = await fetch('/readyz', { signal, cache: 'no-store' })
      return ((await response.json()) as { warnings?: readonly string[] }).warnings ?? []
    },

    /** The states of a document until it settles. */
    async *watch(id: string, signal: AbortSignal): AsyncGenerator<ShownDocument> {
      const response = await send('GET', `${documentPath(id)}/events`, { signal })
      for await (const { event, data } of readEvents(response.body!))
        if (event === 'state') yield JSON.parse(data) as ShownDocument
    },

    upload: async (options: UploadOptions) => await sendFile(options, authorization(), documentPath, fail),
  }
}

/** By XMLHttpRequest, because fetch does not tell how much was sent. */
async function sendFile(
  { file, onProgress, signal }: UploadOptions,
  authorization: Record<string, string>,
  pathOf: (id: string) => string,
  fail: (failure: Failure) => never,
): Promise<{ id: string; receipt: string }> {
  const request = new XMLHttpRequest()
  request.open('PUT', pathOf(file.name.normalize('NFC')))
  const headers = {
    ...authorization,
    'Content-Type': file.type || 'application/octet-stream',
    'X-Filename': `UTF-8''${encodeURIComponent(file.name)}`,
  }
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value)
  let sent = 0
  request.upload.addEventListener('progress', ({ loaded, total }) => {
    sent = loaded
    onProgress(total > 0 ? loaded / total : 0)
  })
  signal.addEventListener('abort', () => request.abort())
  const ended = new Promise<void>((resolve) => request.addEventListener('loadend', () => resolve()))
  request.send(file)
  await ended
  if (request.status === 202) return JSON.parse(request.responseText) as { id: string; receipt: string }
  if (signal.aborted) throw new DOMException('stopped', 'AbortError')
  if (request.status > 0)
    return fail(failureOf(request.status, request.responseText, request.getResponseHeader('retry-after')))
  // A server that refuses a large file closes the connection; the browser may not have read why.
  throw new Failure({ status: 0, code: sent > 0 ? 'upload_cut' : 'unreachable', message: '' })
}
