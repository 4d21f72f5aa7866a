import { z } from '@hono/zod-openapi'
import { metadataFilter } from '@aquifer/contracts/filter'

/** A longer question is not one: the text belongs into a document. */
export const MAX_QUERY_CHARS = 8192

export const receipts = z.union([z.string(), z.array(z.string()).max(100)]).optional()
export const timeoutMs = z.number().int().min(0).max(30_000).default(5000)

export const searchRequest = z
  .object({
    query: z.string().min(1).max(MAX_QUERY_CHARS),
    limit: z.number().int().min(1).max(100).default(10),
    filter: metadataFilter.optional().openapi({ type: 'object' }),
    mode: z.enum(['hybrid', 'dense', 'lexical']).default('hybrid'),
    after: receipts,
    timeoutMs,
  })
  .openapi('SearchRequest', { example: { query: 'What is a floor?', limit: 3 } })

/** Of a chunk, wherever one is shown. */
export const passage = {
  documentId: z.string(),
  version: z.string(),
  chunkId: z.string(),
  title: z.string().nullable(),
  page: z.number().nullable(),
  start: z.number(),
  end: z.number(),
}

export const searchResponse = z
  .object({
    hits: z.array(
      z.object({
        ...passage,
        headings: z.array(z.string()),
        text: z.string(),
        score: z.number(),
        scores: z.object({ dense: z.number().nullable(), lexical: z.number().nullable() }),
      }),
    ),
    fresh: z.boolean(),
    reason: z.string().optional(),
    tookMs: z.number(),
  })
  .openapi('SearchResponse')

const textPart = z.object({ type: z.literal('text'), text: z.string() })
const message = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant']),
  content: z.union([z.string(), z.array(textPart).max(64)]),
})

/** Part of a topic key, like a document's id. */
const conversationId = z
  .string()
  .min(1)
  .refine((id) => Buffer.byteLength(id) <= 512 && id.isWellFormed(), {
    message: 'at most 512 bytes of UTF-8',
  })

export const chatRequest = z
  .looseObject({
    model: z.string().optional(),
    messages: z.array(message).min(1).max(256),
    stream: z.boolean().default(false),
    stream_options: z.object({ include_usage: z.boolean().optional() }).nullish(),
    temperature: z.number().min(0).max(2).nullish(),
    max_tokens: z.number().int().min(1).nullish(),
    max_completion_tokens: z.number().int().min(1).nullish(),
    aquifer: z
      .strictObject({
        conversationId: conversationId.optional(),
        filter: metadataFilter.optional().openapi({ type: 'object' }),
        limit: z.number().int().min(1).max(32).default(6),
        after: receipts,
        timeoutMs,
        require: z.literal('fresh').optional(),
        prompt: z.string().optional(),
        route: z.string().optional(),
      })
      .optional(),
  })
  .openapi('ChatRequest', { example: { messages: [{ role: 'user', content: 'What is a floor?' }] } })
export type ChatRequest = z.infer<typeof chatRequest>

const citation = z.object({ marker: z.string(), ...passage, quote: z.string() })
export const aquiferPart = z
  .object({
    answerId: z.string(),
    conversationId: z.string(),
    citations: z.array(citation),
    evidence: z.array(z.string()),
    fresh: z.boolean(),
    groundedness: z.number().nullable(),
    grounded: z.boolean(),
    abstained: z.boolean(),
    prompt: z.string(),
    model: z.string(),
    route: z.string(),
    cached: z.boolean(),
    cost: z.number().nullable(),
    guard: z.array(z.string()),
    traceId: z.string(),
  })
  .openapi('AquiferPart')
export type AquiferPart = z.infer<typeof aquiferPart>

export const embeddingsRequest = z
  .looseObject({
    input: z.union([z.string(), z.array(z.string()).min(1).max(256)]),
    model: z.string().optional(),
    encoding_format: z.enum(['float', 'base64']).default('float'),
  })
  .openapi('EmbeddingsRequest', { example: { input: ['What is a floor?'] } })

export const feedbackRequest = z
  .strictObject({
    answerId: z.string().min(1).max(64),
    rating: z.number().min(-1).max(1),
    rubric: z.record(z.string().max(64), z.number().int().min(1).max(5)).optional(),
    correction: z.string().max(8192).optional(),
    comment: z.string().max(8192).optional(),
  })
  .openapi('FeedbackRequest', {
    example: { answerId: '0198c9a2-6f0e-7b71-9a53-1f1f9a3e7c55', rating: 1, comment: 'Just what I needed' },
  })

export const inspectRequest = z
  .strictObject({ text: z.string().max(256 * 1024), as: z.enum(['input', 'document', 'output']) })
  .openapi('InspectRequest', { example: { text: 'Mail jane.doe@example.org', as: 'input' } })

/** Content of a response in OpenAPI. */
export function json<S extends z.ZodType>(schema: S, description: string) {
  return { content: { 'application/json': { schema } }, description }
}
export function body<S extends z.ZodType>(schema: S) {
  return { content: { 'application/json': { schema } }, required: true }
}
