import type OpenAI from 'openai'
import { AquiferError, unavailable } from '@aquifer/runtime/errors'
import type { GenerateEvent, GenerateRequest, Generator } from './generator.ts'
import { openaiClient, openaiError, type OpenaiServer } from './openai-client.ts'

export interface OpenaiGeneratorOptions extends OpenaiServer {
  /** Of prompt and answer together; 8,192 unless told. */
  readonly contextTokens?: number
  readonly maxOutputTokens?: number
  /** Longest pause within an answer. */
  readonly stallTimeoutMs?: number
}

const CONTEXT_TOKENS = 8_192
const MAX_OUTPUT_TOKENS = 1_024
const STALL_TIMEOUT_MS = 30_000
const PING_TIMEOUT_MS = 10_000
const CHARS_PER_TOKEN = 4

type Done = Extract<GenerateEvent, { type: 'done' }>

interface AnswerSoFar {
  finishReason?: Done['finishReason']
  usage?: Done['usage']
}

/** Answers through a server that speaks OpenAI's chat API (vLLM, Ollama, a gateway, a hosted one). */
export function createOpenaiGenerator(options: OpenaiGeneratorOptions): Generator {
  const client = openaiClient(options)
  const stop = new AbortController()
  return {
    model: options.model,
    limits: {
      contextTokens: options.contextTokens ?? CONTEXT_TOKENS,
      maxOutputTokens: options.maxOutputTokens ?? MAX_OUTPUT_TOKENS,
    },
    generate: (request) => generate(client, options, request, stop.signal),
    async ping() {
      try {
        await client.models.list({ timeout: PING_TIMEOUT_MS, maxRetries: 0 })
      } catch (error) {
        throw openaiError(error, options)
      }
    },
    async close() {
      stop.abort(unavailable('generator_closed', 'the generator was closed'))
    },
  }
}

async function* generate(
  client: OpenAI,
  options: OpenaiGeneratorOptions,
  request: GenerateRequest,
  closed: AbortSignal,
): AsyncGenerator<GenerateEvent> {
  const stall = new AbortController()
  const callers = AbortSignal.any([request.signal, closed])
  const signal = AbortSignal.any([callers, stall.signal])
  let timer: NodeJS.Timeout | undefined
  const wait = () => {
    clearTimeout(timer)
    timer = setTimeout(() => stall.abort(), options.stallTimeoutMs ?? STALL_TIMEOUT_MS)
  }
  let said = ''
  const answer: AnswerSoFar = {}
  try {
    callers.throwIfAborted()
    const stream = await client.chat.completions.create(chatRequest(request, options), { signal })
    wait()
    for await (const chunk of stream) {
      wait()
      const text = readChunk(chunk, answer)
      if (text === '') continue
      said += text
      yield { type: 'text', text }
    }
    signal.throwIfAborted()
    const { finishReason, usage = estimate(request, said) } = answer
    if (finishReason === undefined) throw new Error('the stream ended before the answer did')
    yield { type: 'done', finishReason, usage, abstained: null }
  } catch (error) {
    callers.throwIfAborted()
    throw failure(error, options, { stalled: stall.signal.aborted, begun: said !== '' })
  } finally {
    clearTimeout(timer)
  }
}

function chatRequest(
  { messages, maxOutputTokens, temperature }: GenerateRequest,
  options: OpenaiGeneratorOptions,
) {
  const limit = Math.min(maxOutputTokens, options.maxOutputTokens ?? MAX_OUTPUT_TOKENS)
  return {
    model: options.model,
    messages: messages.map(({ role, content }) => ({ role, content })),
    temperature,
    // OpenAI itself has renamed it for its newer models; every other server knows the first name.
    ...(new URL(options.baseUrl).host === 'api.openai.com'
      ? { max_completion_tokens: limit }
      : { max_tokens: limit }),
    stream: true,
    stream_options: { include_usage: true },
  } as const
}

/** The text that a chunk brings; what it says of the whole answer goes into `answer`. */
function readChunk({ choices, usage }: OpenAI.ChatCompletionChunk, answer: AnswerSoFar): string {
  if (usage) answer.usage = { promptTokens: usage.prompt_tokens, completionTokens: usage.completion_tokens }
  const choice = choices?.[0]
  if (choice?.finish_reason) answer.finishReason = choice.finish_reason === 'length' ? 'length' : 'stop'
  return choice?.delta?.content ?? ''
}

/** For servers that do not count. */
function estimate({ messages }: GenerateRequest, said: string): Done['usage'] {
  const tokens = (chars: number) => Math.ceil(chars / CHARS_PER_TOKEN)
  return {
    promptTokens: tokens(messages.reduce((sum, { content }) => sum + content.length, 0)),
    completionTokens: tokens(said.length),
  }
}

function failure(
  error: unknown,
  options: OpenaiGeneratorOptions,
  { stalled, begun }: { stalled: boolean; begun: boolean },
): AquiferError {
  const cause = stalled
    ? unavailable('model_timeout', `${options.model} fell silent in the middle of an answer`)
    : openaiError(error, options)
  if (!begun) return cause
  return new AquiferError('answer_cut_off', `the answer broke off: ${cause.message}`, { status: 502 })
}
