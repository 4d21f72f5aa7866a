import { once } from 'node:events'
import { createServer, request as send } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

/** A request of one of the processes: the first part of its path says whose. */
export interface Asked {
  readonly who: string
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** What becomes of a request: it is served, never answered, cut off, or answered with that status. */
export type Fate = 'serve' | 'hang' | 'cut' | number

/** A real HTTP server on loopback whose `fate` can be turned against those who ask. */
export interface Gate {
  readonly host: string
  fate: (asked: Asked) => Fate | Promise<Fate>
  /** Serves a request although nobody will hear its answer. */
  passOn(asked: Asked): void
  /** From now on connections are refused. */
  refuse(): Promise<void>
  /** Listens again, at the same port. */
  accept(): Promise<void>
  stop(): Promise<void>
}

export type Serve = (asked: Asked, response: Writable) => Promise<void> | void
type Writable = Pick<ServerResponse, 'writeHead' | 'end'>

const NOWHERE = { writeHead: () => NOWHERE, end: () => NOWHERE } as unknown as Writable

export async function startGate(serve: Serve): Promise<Gate> {
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request)
    const [, who, path] = /^\/([^/]*)(\/.*)$/.exec(request.url!)! as unknown as [string, string, string]
    const asked = { who, method: request.method!, path, headers: request.headers, body }
    const fate = await gate.fate(asked)
    if (fate === 'serve') return await serve(asked, response)
    if (fate === 'cut') response.destroy()
    if (typeof fate !== 'number') return
    response.writeHead(fate, {
      'content-type': 'application/json',
      ...(fate === 429 && { 'retry-after': '1' }),
    })
    response.end(JSON.stringify({ error: { message: 'made to fail' }, status: { error: 'made to fail' } }))
  }
  const listener: RequestListener = (request, response) => {
    handle(request, response).catch(() => response.destroy())
  }
  let server = await listen(listener, 0)
  const { port } = server.address() as AddressInfo
  const gate: Gate = {
    host: `127.0.0.1:${port}`,
    fate: () => 'serve',
    passOn: (asked) => void Promise.resolve(serve(asked, NOWHERE)).catch(() => undefined),
    refuse: async () => await close(server),
    async accept() {
      server = await listen(listener, port)
    },
    stop: async () => await close(server),
  }
  return gate
}

async function listen(listener: RequestListener, port: number): Promise<Server> {
  const server = createServer(listener)
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}

async function close(server: Server): Promise<void> {
  if (!server.listening) return
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}

/** Passes requests on to the server at `origin`. */
export function passTo(origin: string): Serve {
  const { hostname: host, port } = new URL(origin)
  return async ({ method, path, headers, body }, response) => {
    const passed = send({ host, port, method, path, headers })
    passed.end(body)
    const [answer] = (await once(passed, 'response')) as [IncomingMessage]
    const answered = await buffer(answer)
    response.writeHead(answer.statusCode!, answer.headers)
    response.end(answered)
  }
}
