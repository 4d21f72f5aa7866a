import { createRoute } from '@hono/zod-openapi'
import { createRoutes } from '@aquifer/runtime/http'
import type { Routes } from '@aquifer/runtime/http'
import type { QueryDeps } from '../deps.ts'
import { createRetriever } from '../retrieve/retrieve.ts'
import { createReceiptWaiter, readReceipts } from '../retrieve/wait.ts'
import { body, json, searchRequest, searchResponse } from './schemas.ts'

const route = createRoute({
  method: 'post',
  path: '/v1/search',
  summary: 'Passages for a question, best first',
  request: { body: body(searchRequest) },
  responses: { 200: json(searchResponse, 'Passages that the caller may read') },
})

export function searchRoutes(deps: QueryDeps): Routes {
  const retrieve = createRetriever(deps)
  const waitFor = createReceiptWaiter(deps)

  return createRoutes().openapi(route, async (c) => {
    const { query, limit, filter, mode, after, timeoutMs } = c.req.valid('json')
    const identity = c.get('identity')
    const started = performance.now()
    const { signal } = c.req.raw
    const freshness = await waitFor(readReceipts(after, identity.tenant), timeoutMs, signal)
    const hits = await retrieve({ identity, query, limit, mode, filter, signal })
    const tookMs = performance.now() - started
    deps.metrics.searchSeconds.observe({ mode }, tookMs / 1000)
    return c.json(
      {
        hits: hits.map(({ hit, score, dense, lexical }) => ({
          documentId: hit.documentId,
          version: hit.version,
          chunkId: hit.id,
          title: hit.title,
          headings: [...hit.headings],
          page: hit.page,
          start: hit.start,
          end: hit.end,
          text: hit.text,
          score,
          scores: { dense, lexical },
        })),
        ...freshness,
        tookMs,
      },
      200,
    )
  })
}
