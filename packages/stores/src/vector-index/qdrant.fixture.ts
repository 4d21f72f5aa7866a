import { once } from 'node:events'
import { createServer, request as send } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { QdrantClient } from '@qdrant/js-client-rest'

export interface Seen {
  readonly method: string
  readonly path: string
  readonly sizeBytes: number
}

/** What becomes of a request: passed on, answered with a status, never answered, or cut off. */
export type Fate = 'pass' | 'hang' | 'cut' | number

/** A real HTTP proxy before a server, that `fate` turns against the client. */
export async function startProxy(targetUrl: string): Promise<{
  /** `qdrant://…` of the proxy. */
  readonly url: string
  readonly seen: Seen[]
  fate: (seen: Seen) => Fate
  stop(): Promise<void>
}> {
  const target = new URL(targetUrl)
  const seen: Seen[] = []
  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch(() => outgoing.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await buffer(incoming)
    const each = { method: incoming.method!, path: incoming.url!.split('?')[0]!, sizeBytes: body.length }
    seen.push(each)
    const fate = proxy.fate(each)
    if (fate === 'hang') return
    if (fate === 'cut') return void outgoing.destroy()
    if (typeof fate === 'number') {
      outgoing.writeHead(fate, { 'content-type': 'application/json' })
      return void outgoing.end(JSON.stringify({ status: { error: `made to fail with ${fate}` } }))
    }
    const { method, url: path, headers } = incoming
    const passed = send({ host: target.hostname, port: target.port, method, path, headers })
    passed.end(body)
    const [answer] = (await once(passed, 'response')) as [IncomingMessage]
    outgoing.writeHead(answer.statusCode!, answer.headers)
    answer.pipe(outgoing)
  }

  const proxy = {
    url: `qdrant://127.0.0.1:${port}`,
    seen,
    fate: (_seen: Seen): Fate => 'pass',
    async stop() {
      if (!server.listening) return
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return proxy
}

/** Drops what tests left on a server: the collections whose names begin so. */
export async function dropCollections(url: string, begins: string): Promise<void> {
  const { hostname, port, protocol, password, username } = new URL(url)
  const client = new QdrantClient({
    host: hostname,
    port: Number(port || 6333),
    https: protocol === 'qdrant+https:',
    headers: { 'api-key': decodeURIComponent(password || username) },
    checkCompatibility: false,
  })
  const { collections } = await client.getCollections()
  for (const { name } of collections) if (name.startsWith(begins)) await client.deleteCollection(name)
}
