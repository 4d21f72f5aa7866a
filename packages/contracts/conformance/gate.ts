import { once } from 'node:events'
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** Stands before a registry: sees what is asked, asks for a password, and fails as told. */
export interface Gate {
  readonly url: string
  /** `METHOD /path` of each request, in their order. */
  readonly asked: string[]
  /** Answers in the registry's place as long as it is set. */
  instead: ((response: ServerResponse) => unknown) | null
  /** Let through are only requests with this header. */
  authorization: string | null
  close(): Promise<void>
}

export async function openGate(registryUrl: string): Promise<Gate> {
  const forward = async (method: string, path: string, type: string | undefined, body: string) => {
    const response = await fetch(`${registryUrl}${path}`, {
      method,
      headers: { accept: 'application/json', ...(type !== undefined && { 'content-type': type }) },
      ...(body !== '' && { body }),
    })
    return { status: response.status, body: await response.text() }
  }
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request
    gate.asked.push(`${method} ${url}`)
    if (gate.authorization !== null && headers.authorization !== gate.authorization) {
      request.resume()
      response.writeHead(401).end('{"error_code":401,"message":"Unauthorized"}')
    } else if (gate.instead) {
      request.resume()
      gate.instead(response)
    } else {
      text(request)
        .then(async (body) => await forward(method, url, headers['content-type'], body))
        .then(({ status, body }) => response.writeHead(status).end(body))
        .catch(() => response.destroy())
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const gate: Gate = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: [],
    instead: null,
    authorization: null,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return gate
}
