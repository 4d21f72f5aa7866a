import { once } from 'node:events'
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A server that speaks OpenAI's chat API and says what a test tells it to say, when it tells it. */
export interface ModelServer {
  /** For AQUIFER_GENERATOR. */
  readonly url: string
  /** The next request, as soon as it is there. */
  nextAnswer(): Promise<Answering>
  close(): Promise<void>
}

export interface Answering {
  say(text: string): void
  end(): void
  /** Settles when the asker went away before the end. */
  readonly left: Promise<void>
}

export async function startModelServer(): Promise<ModelServer> {
  const ready: Answering[] = []
  const waiting: ((answering: Answering) => void)[] = []
  const server = createServer((request, response) => {
    request.resume()
    if (request.method === 'GET') {
      response.end('{"object":"list","data":[]}')
      return
    }
    const answering = answerOn(response)
    const waiter = waiting.shift()
    if (waiter) waiter(answering)
    else ready.push(answering)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `openai:http://127.0.0.1:${(server.address() as AddressInfo).port}/v1#small-model`,
    nextAnswer: async () => ready.shift() ?? (await new Promise((resolve) => waiting.push(resolve))),
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function answerOn(response: ServerResponse): Answering {
  response.writeHead(200, { 'Content-Type': 'text/event-stream' })
  response.flushHeaders()
  const write = (choice: object) =>
    response.write(
      `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 0, model: 'small-model', choices: [{ index: 0, ...choice }] })}\n\n`,
    )
  return {
    say: (text) => void write({ delta: { content: text }, finish_reason: null }),
    end() {
      write({ delta: {}, finish_reason: 'stop' })
      response.end('data: [DONE]\n\n')
    },
    left: new Promise((resolve) => {
      response.on('close', () => {
        if (!response.writableEnded) resolve()
      })
    }),
  }
}
