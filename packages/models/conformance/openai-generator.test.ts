import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { GenerateEvent } from '../src/generator.ts'
import { createOpenaiGenerator } from '../src/openai-generator.ts'
import { collect, generateRequest, generatorConformance, said } from './generator.ts'
import {
  chunk,
  failWith,
  neverAnswer,
  type ScriptedServer,
  scriptedServer,
  startStream,
  type Step,
  streamAnswer,
} from './scripted-server.ts'

const KEY = 'sk-a-secret-key'
const WORDS = ['To', ' the', ' broker.']
let server: ScriptedServer
beforeAll(async () => {
  server = await scriptedServer(streamAnswer(WORDS))
})
afterAll(async () => {
  await server.close()
})

function open(settings: { timeoutMs?: number; stallTimeoutMs?: number; maxRetries?: number } = {}) {
  return createOpenaiGenerator({ baseUrl: server.baseUrl, model: 'm', apiKey: KEY, ...settings })
}

generatorConformance({ name: 'openai', open: async () => open() })

/** What came before the end, and how it ended. */
async function outcome(
  settings: Parameters<typeof open>[0],
  ...steps: Step[]
): Promise<{ text: string; error: unknown; events: GenerateEvent[] }> {
  server.script(...steps)
  const events: GenerateEvent[] = []
  try {
    for await (const event of open(settings).generate(generateRequest())) events.push(event)
    return { text: said(events), error: null, events }
  } catch (error) {
    return { text: said(events), error, events }
  }
}

describe('openai generator', () => {
  it('streams as it comes, with the server’s usage', async () => {
    const { events } = await outcome({})
    expect(events.slice(0, -1)).toEqual(WORDS.map((text) => ({ type: 'text', text })))
    expect(events.at(-1)).toEqual({
      type: 'done',
      finishReason: 'stop',
      usage: { promptTokens: 21, completionTokens: 3 },
      abstained: null,
    })
    expect(server.requests.at(-1)!.headers.authorization).toBe(`Bearer ${KEY}`)
  })

  it('says when the limit cut the answer, and estimates usage where the server is silent', async () => {
    const { events } = await outcome({}, (response) => {
      startStream(response)
      chunk(response, { content: 'To the' }, 'length')
      response.end('data: [DONE]\n\n')
    })
    expect(events.at(-1)).toMatchObject({ finishReason: 'length', usage: { completionTokens: 2 } })
  })

  it('waits as long as Retry-After says after 429, then answers', async () => {
    const start = performance.now()
    const { text } = await outcome({}, failWith(429, { 'retry-after': '1' }))
    expect(text).toBe(WORDS.join(''))
    expect(performance.now() - start).toBeGreaterThanOrEqual(950)
  })

  it('tries again after 500, a bounded number of times', async () => {
    const soon = { 'retry-after-ms': '1' }
    expect((await outcome({}, failWith(500, soon), failWith(503, soon))).text).toBe(WORDS.join(''))
    const before = server.requests.length
    const { error } = await outcome({}, failWith(500, soon), failWith(500, soon), failWith(500, soon))
    expect(error).toMatchObject({ code: 'model_server_failed', retryable: true })
    expect(server.requests.length - before).toBe(3)
  })

  it('tells the fault of the message from that of the configuration, and quotes neither key nor prompt', async () => {
    const echo = `Incorrect key ${KEY}; you said ${generateRequest().messages[1]!.content}`
    for (const [status, expected] of [
      [400, { code: 'model_refused_input', retryable: false }],
      [401, { code: 'model_key_refused', retryable: true }],
      [404, { code: 'model_not_found', retryable: true }],
    ] as const) {
      const { error } = await outcome({ maxRetries: 0 }, failWith(status, {}, echo))
      expect(error).toMatchObject(expected)
      const all = `${(error as Error).stack} ${JSON.stringify(error)} ${String((error as Error).cause)}`
      expect(all).not.toContain(KEY)
      expect(all).not.toContain('consumer group')
    }
  })

  it('gives up on headers that do not come', async () => {
    const { error } = await outcome({ timeoutMs: 100, maxRetries: 0 }, neverAnswer)
    expect(error).toMatchObject({ code: 'model_timeout', retryable: true })
  })

  it('gives up on a stream that stalls: retryable before the first text, cut off after it', async () => {
    const before = await outcome({ stallTimeoutMs: 100 }, (response) => {
      startStream(response)
      response.flushHeaders()
    })
    expect(before.error).toMatchObject({ code: 'model_timeout', retryable: true })
    const after = await outcome({ stallTimeoutMs: 100 }, (response) => {
      startStream(response)
      chunk(response, { content: 'To the' })
    })
    expect(after.error).toMatchObject({ code: 'answer_cut_off', retryable: false })
    expect(after.text).toBe('To the')
  })

  it('leaves standing what was said when the stream is cut off, ends early or is no JSON', async () => {
    const endings: Step[] = [
      (response) => setImmediate(() => response.destroy()),
      (response) => response.end(),
      (response) => response.end('data: {"choices": [{"del\n\n'),
    ]
    for (const end of endings) {
      const { text, error } = await outcome({}, (response, body, request) => {
        startStream(response)
        response.write('', () => {})
        chunk(response, { content: 'To the' })
        return end(response, body, request)
      })
      expect(error).toMatchObject({ code: 'answer_cut_off', retryable: false })
      expect(text === '' || text === 'To the').toBe(true)
    }
  })

  it('says that a server is not there', async () => {
    const generator = createOpenaiGenerator({ baseUrl: 'http://127.0.0.1:1/v1', model: 'm', maxRetries: 0 })
    await expect(collect(generator.generate(generateRequest()))).rejects.toMatchObject({
      code: 'model_unreachable',
      retryable: true,
    })
    await expect(generator.ping()).rejects.toMatchObject({ code: 'model_unreachable' })
  })

  it('an abort reaches the server within a second', async () => {
    server.script((response) => {
      startStream(response)
      chunk(response, { content: 'To' })
    })
    const controller = new AbortController()
    const reason = new Error('the caller went away')
    const request = generateRequest({ signal: controller.signal })
    const start = performance.now()
    const run = (async () => {
      for await (const event of open().generate(request)) if (event.type === 'text') controller.abort(reason)
    })()
    await expect(run).rejects.toBe(reason)
    await server.clientGone()
    expect(performance.now() - start).toBeLessThan(1_000)
  })
})
