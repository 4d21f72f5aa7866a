import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLexicalEmbedder } from '../src/lexical-embedder.ts'
import { createOpenaiEmbedder } from '../src/openai-embedder.ts'
import { embedderConformance } from './embedder.ts'
import { embedWith, failWith, neverAnswer, type ScriptedServer, scriptedServer } from './scripted-server.ts'

const KEY = 'sk-a-secret-key'
let server: ScriptedServer
beforeAll(async () => {
  server = await scriptedServer(embedWith(createLexicalEmbedder()))
})
afterAll(async () => {
  await server.close()
})

async function open(settings: { timeoutMs?: number; maxRetries?: number; maxBatchItems?: number } = {}) {
  return await createOpenaiEmbedder({ baseUrl: server.baseUrl, model: 'm', apiKey: KEY, ...settings })
}

embedderConformance({
  name: 'openai',
  open,
  noise: 1e-6,
  skip: { 'M2: the caller’s thread does not compute': 'the scripted server lives in the same thread' },
})

describe('openai embedder', () => {
  it('splits a call by the limit of a request', async () => {
    const embedder = await open({ maxBatchItems: 3 })
    const before = server.requests.length
    const texts = Array.from({ length: 10 }, (_, index) => ({ text: `text ${index}` }))
    expect(await embedder.embed(texts, { lane: 'bulk' })).toHaveLength(10)
    const sizes = server.requests.slice(before).map(({ body }) => body.input!.length)
    expect(sizes.toSorted((a, b) => a - b)).toEqual([1, 3, 3, 3])
  })

  it('waits as long as Retry-After says', async () => {
    const embedder = await open()
    server.script(failWith(429, { 'retry-after': '1' }))
    const start = performance.now()
    await embedder.embed([{ text: 'hello' }], { lane: 'query' })
    expect(performance.now() - start).toBeGreaterThanOrEqual(950)
  })

  it('gives up after bounded retries, and works again when the server does', async () => {
    const embedder = await open({ maxRetries: 1 })
    const fail = failWith(500, { 'retry-after-ms': '1' })
    server.script(fail, fail)
    await expect(embedder.embed([{ text: 'hello' }], { lane: 'query' })).rejects.toMatchObject({
      code: 'model_server_failed',
      retryable: true,
    })
    expect(await embedder.embed([{ text: 'hello' }], { lane: 'query' })).toHaveLength(1)
  })

  it('a refused text fails its own call alone, and is not quoted', async () => {
    const picky = await scriptedServer((response, body, request) =>
      body.input!.includes('bad text')
        ? failWith(400, {}, `bad text refused for ${KEY}`)(response, body, request)
        : embedWith(createLexicalEmbedder())(response, body, request),
    )
    const embedder = await createOpenaiEmbedder({ baseUrl: picky.baseUrl, model: 'm', apiKey: KEY })
    // The first ones fill the places, so that the others wait and share a request.
    const first = ['a', 'b', 'c'].map((text) => embedder.embed([{ text }], { lane: 'bulk' }))
    const good = embedder.embed([{ text: 'good text' }], { lane: 'bulk' })
    const bad = embedder.embed([{ text: 'bad text' }], { lane: 'bulk' }).catch((error: unknown) => error)
    const error = (await bad) as Error
    expect(error).toMatchObject({ code: 'model_refused_input', retryable: false })
    expect(`${error.stack} ${String(error.cause)}`).not.toMatch(/bad text|sk-/)
    expect(await good).toHaveLength(1)
    await Promise.all(first)
    await picky.close()
  })

  it('a server that refuses every text is at fault itself, and no text is', async () => {
    const embedder = await open()
    server.script(failWith(400), failWith(400))
    await expect(embedder.embed([{ text: 'hello' }], { lane: 'query' })).rejects.toMatchObject({
      code: 'model_server_failed',
      retryable: true,
    })
    expect(await embedder.embed([{ text: 'hello' }], { lane: 'query' })).toHaveLength(1)
  })

  it('a wrong key is the configuration’s fault, so nothing is dead-lettered for it', async () => {
    const embedder = await open()
    server.script(failWith(401))
    await expect(embedder.embed([{ text: 'hello' }], { lane: 'query' })).rejects.toMatchObject({
      code: 'model_key_refused',
      retryable: true,
    })
  })

  it('does not trust an answer that lacks a vector, has another size, or is no JSON', async () => {
    const embedder = await open()
    const answers = ['{"data":[]}', '{"data":[{"index":0,"embedding":[1,2]}]}', '<html>']
    for (const answer of answers) {
      server.script((response) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        response.end(answer)
      })
      await expect(embedder.embed([{ text: 'hello' }], { lane: 'query' })).rejects.toMatchObject({
        code: 'model_bad_answer',
        retryable: true,
      })
    }
  })

  it('gives up on a server that does not answer', async () => {
    const embedder = await open({ timeoutMs: 100, maxRetries: 0 })
    server.script(neverAnswer)
    await expect(embedder.embed([{ text: 'hello' }], { lane: 'query' })).rejects.toMatchObject({
      code: 'model_timeout',
      retryable: true,
    })
  })

  it('an abort reaches the server', async () => {
    const embedder = await open()
    const controller = new AbortController()
    const reason = new Error('the caller went away')
    server.script(() => controller.abort(reason))
    await expect(
      embedder.embed([{ text: 'hello' }], { lane: 'query', signal: controller.signal }),
    ).rejects.toBe(reason)
    await server.clientGone()
  })
})
