import { createRoute, z } from '@hono/zod-openapi'
import { createRoutes } from '@aquifer/runtime/http'
import type { Routes } from '@aquifer/runtime/http'
import type { QueryDeps } from '../deps.ts'
import { body, embeddingsRequest, inspectRequest, json } from './schemas.ts'

const vectors = z.object({
  object: z.literal('list'),
  data: z.array(
    z.object({
      object: z.string(),
      index: z.number(),
      /** Base64 of little-endian 32-bit floats where the request says so. */
      embedding: z.union([z.array(z.number()), z.string()]),
    }),
  ),
  model: z.string(),
  usage: z.object({ prompt_tokens: z.number(), total_tokens: z.number() }),
})
const models = z.object({
  object: z.literal('list'),
  data: z.array(z.object({ id: z.string(), object: z.string(), created: z.number(), owned_by: z.string() })),
})
const range = { start: z.number(), end: z.number() }
const findings = z.object({
  injection: z.object({ score: z.number(), flagged: z.boolean(), kind: z.string().nullable() }),
  personalData: z.array(z.object({ type: z.string(), ...range, score: z.number() })),
  unsafe: z.array(z.object({ kind: z.string(), ...range })),
  clean: z.string(),
})

const embeddingsRoute = createRoute({
  method: 'post',
  path: '/v1/embeddings',
  summary: 'Vectors of texts, by the embedder of the index',
  request: { body: body(embeddingsRequest) },
  responses: { 200: json(vectors, 'The vectors') },
})
const modelsRoute = createRoute({
  method: 'get',
  path: '/v1/models',
  summary: 'The generator and the embedder in use',
  responses: { 200: json(models, 'The models') },
})
const inspectRoute = createRoute({
  method: 'post',
  path: '/v1/inspect',
  summary: 'What the first screen finds in a text',
  request: { body: body(inspectRequest) },
  responses: { 200: json(findings, 'The findings; ranges are code points') },
})

export function openaiRoutes({ embedder, generator, guard }: QueryDeps): Routes {
  return createRoutes()
    .openapi(embeddingsRoute, async (c) => {
      const { input, encoding_format } = c.req.valid('json')
      const texts = typeof input === 'string' ? [input] : input
      const embeddings = await embedder.embed(
        texts.map((text) => ({ text })),
        { lane: 'interactive', signal: c.req.raw.signal },
      )
      const data = embeddings.map(({ vector }, index) => ({
        object: 'embedding',
        index,
        embedding:
          encoding_format === 'base64'
            ? Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')
            : [...vector],
      }))
      const tokens = embeddings.reduce((sum, embedding) => sum + embedding.tokens, 0)
      return c.json(
        {
          object: 'list' as const,
          data,
          model: embedder.name,
          usage: { prompt_tokens: tokens, total_tokens: tokens },
        },
        200,
      )
    })
    .openapi(modelsRoute, (c) =>
      c.json(
        {
          object: 'list' as const,
          data: [generator.model, embedder.name].map((id) => ({
            id,
            object: 'model',
            created: 0,
            owned_by: 'aquifer',
          })),
        },
        200,
      ),
    )
    .openapi(inspectRoute, async (c) => {
      const { text, as } = c.req.valid('json')
      return c.json({ ...(await guard.inspect(text, as, c.req.raw.signal)) } as z.infer<typeof findings>, 200)
    })
}
