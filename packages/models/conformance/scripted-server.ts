import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Embedder } from '../src/embedder.ts'

/** Answers one request; `body` is its parsed JSON. */
export type Step = (response: ServerResponse, body: RequestBody, request: IncomingMessage) => unknown

export interface RequestBody {
  readonly model?: string
  readonly input?: string[]
  readonly stream_options?: { include_usage?: boolean }
}

export interface ScriptedServer {
  readonly baseUrl: string
  readonly requests: { path: string; body: RequestBody; headers: IncomingMessage['headers'] }[]
  /** What the next requests get, one each; after them comes the step given at the start. */
  script(...steps: Step[]): void
  /** Resolves when the client has gone away from a request that is not answered yet. */
  clientGone(): Promise<void>
  close(): Promise<void>
}

/** A real HTTP server on loopback that speaks as much of OpenAI's API as it is told. */
export async function scriptedServer(otherwise: Step): Promise<ScriptedServer> {
  const steps: Step[] = []
  const requests: ScriptedServer['requests'] = []
  const gone = Promise.withResolvers<void>()
  const server = createServer((request, response) => {
    response.on('close', () => {
      if (!response.writableEnded) gone.resolve()
    })
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const text = Buffer.concat(parts).toString()
      const body = (text === '' ? {} : JSON.parse(text)) as RequestBody
      requests.push({ path: request.url ?? '', body, headers: request.headers })
      void (steps.shift() ?? otherwise)(response, body, request)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    requests,
    script: (...more) => void steps.push(...more),
    clientGone: () => gone.promise,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

export function failWith(status: number, headers: Record<string, string> = {}, message = 'no'): Step {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify({ error: { message, type: 'error', code: 'scripted' } }))
  }
}

export const neverAnswer: Step = () => {}

/** Embeddings as a server gives them, made by another embedder. */
export function embedWith(embedder: Embedder): Step {
  return async (response, { input = [] }) => {
    const found = await embedder.embed(
      input.map((text) => ({ text })),
      { lane: 'bulk' },
    )
    const data = found.map(({ vector }, index) => ({ object: 'embedding', index, embedding: [...vector] }))
    response.writeHead(200, { 'content-type': 'application/json' })
    // In reverse, for the index counts and not the place.
    response.end(JSON.stringify({ object: 'list', data: data.toReversed(), model: 'm', usage: {} }))
  }
}

export function startStream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
}

export function chunk(response: ServerResponse, delta: object, finishReason: string | null = null): void {
  const choices = [{ index: 0, delta, finish_reason: finishReason }]
  response.write(`data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', choices })}\n\n`)
}

/** A whole streamed answer, with its usage where it is asked for. */
export function streamAnswer(words: readonly string[], finishReason = 'stop'): Step {
  return (response, { stream_options }, request) => {
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'application/json' })
      return response.end(JSON.stringify({ object: 'list', data: [] }))
    }
    startStream(response)
    chunk(response, { role: 'assistant', content: '' })
    for (const word of words) chunk(response, { content: word })
    chunk(response, {}, finishReason)
    if (stream_options?.include_usage)
      response.write(
        `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 21, completion_tokens: 3 } })}\n\n`,
      )
    return response.end('data: [DONE]\n\n')
  }
}
