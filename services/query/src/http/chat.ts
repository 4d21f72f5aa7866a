import { createRoute, z } from '@hono/zod-openapi'
import { streamSSE } from 'hono/streaming'
import type { SSEStreamingApi } from 'hono/streaming'
import type { AnswerRecord } from '@aquifer/contracts/types'
import type { ChatMessage } from '@aquifer/models/generator'
import type { Identity } from '@aquifer/runtime/auth'
import type { Clock } from '@aquifer/runtime/clock'
import { AquiferError, errorMessage, invalid } from '@aquifer/runtime/errors'
import { createRoutes } from '@aquifer/runtime/http'
import type { Routes } from '@aquifer/runtime/http'
import type { Trace } from '@aquifer/runtime/tracing'
import { createAnswerer } from '../answer.ts'
import type { AnswerEvent, Question } from '../answer.ts'
import type { QueryDeps } from '../deps.ts'
import { readReceipts } from '../retrieve/wait.ts'
import type { Sampler } from '../sample.ts'
import { aquiferPart, body, chatRequest, MAX_QUERY_CHARS } from './schemas.ts'
import type { AquiferPart, ChatRequest } from './schemas.ts'

const KEEP_ALIVE_MS = 15_000
const DEFAULT_OUTPUT_TOKENS = 1024
/** A source may be deleted while an answer is written; nothing was sent yet, so it is written again. */
const MAX_ATTEMPTS = 3
const HISTORY_MESSAGES = 20

const completion = z
  .looseObject({
    id: z.string(),
    object: z.literal('chat.completion'),
    created: z.number(),
    model: z.string(),
    choices: z.array(
      z.looseObject({
        index: z.number(),
        message: z.looseObject({ role: z.literal('assistant'), content: z.string() }),
        finish_reason: z.string(),
      }),
    ),
    usage: z.object({
      prompt_tokens: z.number(),
      completion_tokens: z.number(),
      total_tokens: z.number(),
    }),
    aquifer: aquiferPart,
  })
  .openapi('ChatCompletion')

const route = createRoute({
  method: 'post',
  path: '/v1/chat/completions',
  summary: 'Answer a question from the indexed documents, with citations',
  description:
    "OpenAI's shape, streaming (SSE) or not; the member `aquifer` carries what the answer rests on.",
  request: { body: body(chatRequest) },
  responses: {
    200: {
      description: 'The answer, or its stream of chunks',
      content: { 'application/json': { schema: completion }, 'text/event-stream': { schema: z.string() } },
    },
  },
})

export function chatRoutes(deps: QueryDeps, sampler: Sampler): Routes {
  const answer = createAnswerer(deps, sampler)

  return createRoutes().openapi(route, async (c) => {
    const request = c.req.valid('json')
    const gone = new AbortController()
    const signal = AbortSignal.any([c.req.raw.signal, gone.signal])
    const question = toQuestion(deps, request, c.get('identity'), c.get('trace'), signal)
    const id = `chatcmpl-${deps.uuid()}`
    if (!request.stream) return c.json(await completeOnce(deps, answer, question, id), 200) as never

    c.header('X-Accel-Buffering', 'no')
    c.header('Cache-Control', 'no-cache, no-transform')
    const events = answer(question)
    const first = events.next()
    // What fails soon answers with its own status; later than that, the connection needs a sign of life.
    const begun = new AbortController()
    await Promise.race([first, deps.clock.sleep(KEEP_ALIVE_MS, AbortSignal.any([signal, begun.signal]))])
    begun.abort()
    return streamSSE(c, async (stream) => {
      stream.onAbort(() => gone.abort(new Error('the client went away')))
      const ended = new AbortController()
      const keptAlive = keepAlive(deps.clock, stream, AbortSignal.any([signal, ended.signal]))
      try {
        await writeChunks(deps, stream, request, { id, first, events })
      } catch (error) {
        if (!signal.aborted) {
          deps.logger.warn({ err: error, traceId: question.trace.traceId }, 'a stream ended with an error')
          await stream.writeSSE({ data: JSON.stringify({ error: streamError(error) }) })
          await stream.writeSSE({ data: '[DONE]' })
        }
      } finally {
        ended.abort()
        await keptAlive
        await events.return(undefined)
      }
    })
  })
}

async function keepAlive(clock: Clock, stream: SSEStreamingApi, ended: AbortSignal): Promise<void> {
  try {
    for (;;) {
      await clock.sleep(KEEP_ALIVE_MS, ended)
      await stream.write(': keep-alive\n\n')
    }
  } catch (error) {
    if (!ended.aborted) throw error
  }
}

async function writeChunks(
  deps: QueryDeps,
  stream: SSEStreamingApi,
  request: ChatRequest,
  {
    id,
    first,
    events,
  }: { id: string; first: Promise<IteratorResult<AnswerEvent>>; events: AsyncGenerator<AnswerEvent> },
): Promise<void> {
  const chunk = chunkMaker(deps, id)
  await stream.writeSSE({ data: chunk({ role: 'assistant', content: '' }, null) })
  for (let next = await first; !next.done; next = await events.next()) {
    const event = next.value
    if (event.type === 'text') {
      await stream.writeSSE({ data: chunk({ content: event.text }, null) })
      continue
    }
    await stream.writeSSE({
      data: chunk({}, event.finishReason, { aquifer: toAquiferPart(event.answer, event.grounded) }),
    })
    if (request.stream_options?.include_usage)
      await stream.writeSSE({ data: chunk(null, null, { usage: usageOf(event.answer) }) })
  }
  await stream.writeSSE({ data: '[DONE]' })
}

function toQuestion(
  deps: QueryDeps,
  request: ChatRequest,
  identity: Identity,
  trace: Trace,
  signal: AbortSignal,
): Question {
  const messages = request.messages.map(({ role, content }) => ({
    role,
    content: typeof content === 'string' ? content : content.map(({ text }) => text).join('\n'),
  }))
  const last = messages.findLastIndex(({ role }) => role === 'user')
  const question = messages[last]?.content.trim()
  if (!question)
    throw invalid('invalid_request', 'messages: the last user message is the question, and there is none')
  if (question.length > MAX_QUERY_CHARS) {
    throw invalid(
      'query_too_long',
      `a question has at most ${MAX_QUERY_CHARS} characters; publish a longer text as a document`,
    )
  }
  const {
    conversationId,
    filter,
    limit = 6,
    after,
    timeoutMs = 5000,
    require,
    prompt,
    route: way,
  } = request.aquifer ?? {}
  if (prompt !== undefined && prompt !== deps.prompt.id)
    throw invalid('unknown_prompt', `there is no prompt ${prompt}; there is ${deps.prompt.id}`)
  if (way !== undefined && way !== deps.route)
    throw invalid('unknown_route', `there is no route ${way}; there is ${deps.route}`)
  return {
    identity,
    question,
    history: messages.slice(0, last).filter(isTurn).slice(-HISTORY_MESSAGES),
    conversationId: conversationId ?? deps.uuid(),
    receipts: readReceipts(after, identity.tenant),
    timeoutMs,
    requireFresh: require === 'fresh',
    filter,
    limit,
    temperature: request.temperature ?? 0,
    maxOutputTokens: request.max_completion_tokens ?? request.max_tokens ?? DEFAULT_OUTPUT_TOKENS,
    trace,
    signal,
  }
}

/** A client's own system text is not taken: the prompt is versioned here. */
function isTurn(message: { role: string; content: string }): message is ChatMessage {
  return message.role === 'user' || message.role === 'assistant'
}

async function completeOnce(
  deps: QueryDeps,
  answer: (question: Question) => AsyncGenerator<AnswerEvent>,
  question: Question,
  id: string,
): Promise<object> {
  for (let attempt = 1; ; attempt++) {
    try {
      for await (const event of answer(question)) {
        if (event.type !== 'done') continue
        const { answer: record, grounded, finishReason } = event
        return {
          id,
          object: 'chat.completion',
          created: Math.floor(record.createdAt / 1000),
          model: record.model,
          choices: [
            {
              index: 0,
              message: { role: 'assistant', content: record.answer, refusal: null },
              finish_reason: finishReason,
              logprobs: null,
            },
          ],
          usage: usageOf(record),
          aquifer: toAquiferPart(record, grounded),
        }
      }
    } catch (error) {
      const again =
        error instanceof AquiferError && error.code === 'evidence_deleted' && attempt < MAX_ATTEMPTS
      if (!again) throw error
      deps.logger.info(
        { traceId: question.trace.traceId, attempt },
        'a source was deleted meanwhile; answering again',
      )
    }
  }
}

function chunkMaker(deps: QueryDeps, id: string) {
  const created = Math.floor(deps.clock.now() / 1000)
  return (delta: object | null, finishReason: string | null, more: object = {}): string =>
    JSON.stringify({
      id,
      object: 'chat.completion.chunk',
      created,
      model: deps.generator.model,
      choices: delta === null ? [] : [{ index: 0, delta, finish_reason: finishReason, logprobs: null }],
      ...more,
    })
}

function usageOf({ promptTokens, completionTokens }: AnswerRecord) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  }
}

function toAquiferPart(answer: AnswerRecord, grounded: boolean): AquiferPart {
  const {
    answerId,
    conversationId,
    fresh,
    groundedness,
    abstained,
    prompt,
    model,
    route: way,
    cached,
    costUsd,
    traceId,
  } = answer
  return {
    answerId,
    conversationId,
    citations: answer.citations.map((citation) => ({ ...citation })),
    evidence: answer.evidence.map(({ chunkId }) => chunkId),
    fresh,
    groundedness,
    grounded,
    abstained,
    prompt,
    model,
    route: way,
    cached,
    cost: costUsd,
    guard: [...answer.guard],
    traceId,
  }
}

function streamError(error: unknown): object {
  const known = error instanceof AquiferError
  return {
    message: known ? errorMessage(error) : 'something failed here; the log has it under the trace id',
    type: 'server_error',
    param: null,
    code: known ? error.code : 'internal',
  }
}
