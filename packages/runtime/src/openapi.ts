import { createHash } from 'node:crypto'
import { z } from '@hono/zod-openapi'
import type { Routes } from './http.ts'
import { REFERENCE_STYLE, referencePage } from './reference.ts'

const INFO = {
  title: 'Aquifer',
  version: '0.1.0',
  description:
    'Event-streaming RAG: documents in, cited and scored answers out. Where keys are set, every route under /v1 takes one as a bearer token. ' +
    'Writes take an Idempotency-Key: the same key gives the same answer, and counts once.',
}
/** What stands beside the routes of the services. */
const OPERATIONS = [
  ['/livez', 'The process lives'],
  ['/readyz', 'Each dependency by name, and what a person should know; 503 while one of them fails'],
  ['/metrics', 'For Prometheus'],
  ['/openapi.json', 'This document'],
] as const

const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.string(),
    traceId: z.string(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .openapi('Problem', {
    description:
      'RFC 9457. `code` is stable; `errors` says what is wrong where, of a request that is not valid.',
    example: {
      type: 'urn:aquifer:problem:unknown_document',
      title: 'unknown document',
      status: 404,
      detail: 'there is no document "notes"',
      code: 'unknown_document',
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    },
  })
const openAiError = z
  .object({
    error: z.object({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable(),
      code: z.string(),
    }),
  })
  .openapi('OpenAiError', {
    example: {
      error: {
        message: 'messages: the last user message is the question, and there is none',
        type: 'invalid_request_error',
        param: null,
        code: 'invalid_request',
      },
    },
  })

const ERRORS =
  'An error. 400: the request is not valid; 401: no valid key; 403: not for this key; 404: there is none, or none that the key may read; ' +
  '409: it contradicts what is there; 413: too large; 429: too many, with `Retry-After`; 503: a dependency fails, try again'

/**
 * Serves `/openapi.json` and, made from it, the page `/reference`, of all routes that `app` has by now. A route under /v1 that
 * nobody described is named in `x-undescribed`.
 */
export function describeApp(app: Routes, isOpenAiRoute: (path: string) => boolean): void {
  const registry = app.openAPIRegistry
  registry.registerComponent('securitySchemes', 'key', { type: 'http', scheme: 'bearer' })
  registry.register('Problem', problem)
  registry.register('OpenAiError', openAiError)
  for (const [path, summary] of OPERATIONS)
    registry.registerPath({ method: 'get', path, summary, responses: { 200: { description: 'OK' } } })
  const document = app.getOpenAPI31Document({ openapi: '3.1.0', info: INFO, servers: [{ url: '/' }] })
  for (const [path, operations] of Object.entries(document.paths ?? {})) {
    if (!path.startsWith('/v1/')) continue
    const [type, schema] = isOpenAiRoute(path)
      ? ['application/json', 'OpenAiError']
      : ['application/problem+json', 'Problem']
    const error = {
      description: ERRORS,
      content: { [type]: { schema: { $ref: `#/components/schemas/${schema}` } } },
    }
    for (const operation of Object.values(operations) as { responses: object; security?: object[] }[]) {
      operation.responses = { ...operation.responses, default: error }
      operation.security = [{ key: [] }, {}]
    }
  }
  const undescribed = undescribedRoutes(app, document.paths ?? {})
  const described = { ...document, ...(undescribed.length > 0 && { 'x-undescribed': undescribed }) }
  app.get('/openapi.json', (c) => c.json(described))
  const page = referencePage(described)
  app.get('/reference', async (c) => c.html(await page, 200, REFERENCE_HEADERS))
}

/** No script, nothing from elsewhere, in nobody's frame. */
const REFERENCE_HEADERS = {
  'Content-Security-Policy': [
    "default-src 'none'",
    `style-src 'sha256-${createHash('sha256').update(REFERENCE_STYLE).digest('base64')}'`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'Referrer-Policy': 'no-referrer',
}

function undescribedRoutes(app: Routes, paths: object): string[] {
  const described = new Set(
    Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations as object).map((method) => `${method.toUpperCase()} ${path}`),
    ),
  )
  const served = app.routes
    .filter(({ method, path }) => method !== 'ALL' && path.startsWith('/v1/'))
    .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
  return [...new Set(served)].filter((route) => !described.has(route))
}
