import { createHash } from 'node:crypto'
import { type AquiferError, isMessageFault, unavailable } from '@aquifer/runtime/errors'
import type { Embedder, Embedding, Lane } from './embedder.ts'
import { laneQueue } from './lanes.ts'
import { openaiClient, openaiError, type OpenaiServer } from './openai-client.ts'

export interface OpenaiEmbedderOptions extends OpenaiServer {
  /** A text is cut at four times as many characters; 512 unless told, as most open models read. */
  readonly maxTokens?: number
  readonly maxBatchItems?: number
  readonly maxBatchTokens?: number
  readonly maxConcurrent?: number
}

const MAX_TOKENS = 512
const MAX_BATCH_ITEMS = 32
const MAX_BATCH_TOKENS = 8_192
const MAX_CONCURRENT = 4
const MAX_QUEUED = 100_000
const CHARS_PER_TOKEN = 4
const PING_TIMEOUT_MS = 10_000
/** Taken at the start by every server that serves. */
const PLAIN_TEXT = 'dimensions'

interface Item {
  readonly lane: Lane
  readonly tokens: number
  attempts: number
  readonly text: string
  readonly call: Call
  readonly done: (vector: Float32Array) => void
}

interface Call {
  missing: number
  settled: boolean
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
  /** Told when the call is over, so that a request that nobody waits for ends. */
  readonly onSettled: Set<() => void>
}

/**
 * Embeds through a server that speaks OpenAI's API (TEI, vLLM, a hosted one). Tokens are estimated: its tokenizer is not
 * here. Throws what `openaiError` gives when the server does not answer at the start, for it alone knows the dimensions.
 */
export async function createOpenaiEmbedder(options: OpenaiEmbedderOptions): Promise<Embedder> {
  const maxTokens = options.maxTokens ?? MAX_TOKENS
  const client = openaiClient(options)
  const embedTexts = async (input: string[], signal?: AbortSignal): Promise<Float32Array[]> => {
    // Not base64, which the library would ask for: not every server knows it.
    const request = { model: options.model, input, encoding_format: 'float' } as const
    try {
      const { data } = await client.embeddings.create(request, signal ? { signal } : {})
      return readVectors(data, input.length)
    } catch (error) {
      throw openaiError(error, options)
    }
  }
  const [probe] = await embedTexts([PLAIN_TEXT])
  const dimensions = probe!.length
  const queue = createQueue(options, embedTexts, dimensions)
  const identity = ['openai', options.model, dimensions].join('\n')
  return {
    fingerprint: createHash('sha256').update(identity).digest('hex').slice(0, 32),
    name: `${options.model} (${new URL(options.baseUrl).host})`,
    dimensions,
    maxTokens,
    tokenizerPath: null,
    warning: null,
    async embed(passages, { lane, signal }) {
      const texts = passages.map(({ text }) => text.slice(0, maxTokens * CHARS_PER_TOKEN))
      const vectors = await queue.submit(texts, lane, signal)
      return texts.map((text, index): Embedding => ({
        vector: vectors[index]!,
        words: null,
        tokens: countTokens(text),
      }))
    },
    countTokens: async (texts) => texts.map(countTokens),
    async ping() {
      await queue.submit(['ping'], 'query', AbortSignal.timeout(PING_TIMEOUT_MS))
    },
    close: async () => queue.close(),
  }
}

function countTokens(text: string): number {
  return Math.ceil(text.length / CHARS_PER_TOKEN)
}

/** Requests by right of way, each filled to the limits, at most so many at once, one of them kept for queries. */
function createQueue(
  options: OpenaiEmbedderOptions,
  embedTexts: (texts: string[], signal: AbortSignal) => Promise<Float32Array[]>,
  dimensions: number,
) {
  const waiting = laneQueue<Item>()
  const running = new Set<Promise<void>>()
  const stop = new AbortController()
  const maxBatchTokens = options.maxBatchTokens ?? MAX_BATCH_TOKENS
  const leastTokens = Math.floor(maxBatchTokens / (options.maxBatchItems ?? MAX_BATCH_ITEMS))
  const maxConcurrent = Math.max(2, options.maxConcurrent ?? MAX_CONCURRENT)

  function pump(): void {
    while (running.size < maxConcurrent) {
      const batch = waiting.take(maxBatchTokens, running.size < maxConcurrent - 1 ? undefined : ['query'])
      if (batch.length === 0) return
      const run = send(batch).finally(() => {
        running.delete(run)
        pump()
      })
      running.add(run)
    }
  }

  async function send(batch: readonly Item[]): Promise<void> {
    const unwanted = new AbortController()
    const check = () => {
      if (batch.every(({ call }) => call.settled)) unwanted.abort()
    }
    for (const { call } of batch) call.onSettled.add(check)
    try {
      const signal = AbortSignal.any([unwanted.signal, stop.signal])
      // An empty input is refused by most servers.
      const vectors = await embedTexts(
        batch.map(({ text }) => text.trim() || '.'),
        signal,
      )
      vectors.forEach((vector, index) => deliver(batch[index]!, vector))
    } catch (error) {
      fail(batch, await judge(batch, error as AquiferError))
    } finally {
      for (const { call } of batch) call.onSettled.delete(check)
    }
  }

  /** A server that refuses plain text too is at fault itself, whatever its status says: no text is to be blamed for that. */
  async function judge(batch: readonly Item[], error: AquiferError): Promise<AquiferError> {
    if (!isMessageFault(error) || batch.length > 1) return error
    try {
      await embedTexts([PLAIN_TEXT], stop.signal)
      return error
    } catch (cause) {
      return unavailable('model_server_failed', `${error.message}, and so it does to any text`, cause)
    }
  }

  function deliver(item: Item, vector: Float32Array): void {
    if (vector.length !== dimensions)
      return settle(
        item.call,
        unavailable(
          'model_bad_answer',
          `${options.model} gave ${vector.length} dimensions, not ${dimensions}`,
        ),
      )
    item.done(vector)
    if (--item.call.missing === 0) settle(item.call, null)
  }

  /** A refused batch is sent again text by text, so that only the culprit's caller hears of it. */
  function fail(batch: readonly Item[], error: AquiferError): void {
    for (const item of batch.toReversed()) {
      if (item.call.settled) continue
      if (isMessageFault(error) && batch.length > 1) {
        item.attempts++
        waiting.putBack(item)
      } else settle(item.call, error)
    }
  }

  function settle(call: Call, error: unknown): void {
    if (call.settled) return
    call.settled = true
    if (error === null) call.resolve()
    else {
      waiting.remove((item) => item.call === call)
      call.reject(error)
    }
    for (const check of call.onSettled) check()
  }

  return {
    async submit(texts: readonly string[], lane: Lane, signal?: AbortSignal): Promise<Float32Array[]> {
      signal?.throwIfAborted()
      if (stop.signal.aborted) throw unavailable('embedder_closed', 'the embedder is closed')
      if (texts.length === 0) return []
      if (waiting.size > 0 && waiting.size + texts.length > MAX_QUEUED)
        throw unavailable('embedder_busy', `${waiting.size} texts wait for the embedder: try later`)
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const call: Call = { missing: texts.length, settled: false, resolve, reject, onSettled: new Set() }
      const vectors: Float32Array[] = []
      texts.forEach((text, index) =>
        waiting.push({
          lane,
          tokens: Math.max(countTokens(text), leastTokens),
          attempts: 0,
          text,
          call,
          done: (vector) => (vectors[index] = vector),
        }),
      )
      const onAbort = () => settle(call, signal?.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      pump()
      try {
        await promise
      } finally {
        signal?.removeEventListener('abort', onAbort)
      }
      return vectors
    },
    async close(): Promise<void> {
      const closed = unavailable('embedder_closed', 'the embedder was closed')
      for (const item of waiting.remove(() => true)) settle(item.call, closed)
      stop.abort(closed)
      await Promise.all(running)
    },
  }
}

function readVectors(
  data: readonly { index: number; embedding: readonly number[] }[],
  count: number,
): Float32Array[] {
  const vectors: Float32Array[] = []
  for (const { index, embedding } of data) vectors[index] = unit(Float32Array.from(embedding))
  for (let index = 0; index < count; index++)
    if (!vectors[index]?.every(Number.isFinite)) throw new Error(`no vector for input ${index}`)
  return vectors
}

function unit(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector)
  return vector.map((value) => value / length)
}
