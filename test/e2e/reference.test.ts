import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newDataDir, removeDataDir, request, startServer } from './harness/server.ts'
import type { Server } from './harness/server.ts'

interface Content {
  readonly schema?: { readonly $ref?: string; readonly example?: unknown }
  readonly example?: unknown
}
interface Operation {
  readonly summary?: string
  readonly requestBody?: { readonly content: Readonly<Record<string, Content>> }
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, Content>> }>>
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, { readonly example?: unknown }>> }
}

/** The outer contract: shapes may grow, and routes come, but these stay. */
const CONTRACT = `
post /v1/documents              put /v1/documents/{id}            post /v1/documents/bulk         delete /v1/documents/{id}
get /v1/documents/{id}          get /v1/documents                 get /v1/documents/{id}/text     get /v1/documents/{id}/source
get /v1/documents/{id}/events   get /v1/status                    post /v1/search                 post /v1/chat/completions
post /v1/embeddings             get /v1/models                    post /v1/feedback               get /v1/answers/{id}
post /v1/evaluate               post /v1/inspect                  get /v1/evaluations             get /v1/evaluations/summary
get /livez                      get /readyz                       get /metrics`

let dataDir: string
let server: Server
let document: Document
beforeAll(async () => {
  dataDir = await newDataDir()
  server = await startServer(dataDir, { AQUIFER_EMBEDDER: 'lexical:' })
  document = (await request<Document>(server, 'GET', '/openapi.json')).body
})
afterAll(async () => {
  await server.kill('SIGTERM')
  await removeDataDir(dataDir)
})
const operations = (): [string, Operation][] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [
      `${method} ${path}`,
      operation,
    ]),
  )

test('the OpenAPI document: every route of the contract is there, and none is served that it does not describe', () => {
  const described = operations().map(([route]) => route)
  expect(described).toEqual(expect.arrayContaining(CONTRACT.trim().split(/\s{2,}|\n/)))
  // Compared with the routes of the running app as it starts.
  expect(document).not.toHaveProperty('x-undescribed')
})

test('the OpenAPI document: each route under /v1 has what comes out, its errors, and an example of JSON that goes in', () => {
  const hasExample = ({ schema, example }: Content): boolean =>
    (example ??
      schema?.example ??
      document.components.schemas[schema?.$ref?.split('/').at(-1) ?? '']?.example) !== undefined
  const wanting = operations()
    .filter(([route]) => route.includes('/v1/'))
    .flatMap(([route, { summary, requestBody, responses }]) => {
      const success = Object.entries(responses).find(([status]) => status.startsWith('2'))?.[1]
      const errors = Object.keys(responses['default']?.content ?? {})
      const json = requestBody?.content['application/json']
      return [
        ...(summary ? [] : [`${route}: no summary`]),
        ...(Object.values(success?.content ?? {}).some(({ schema }) => schema) ? [] : [`${route}: no shape`]),
        ...(errors.some((type) => type.endsWith('json')) ? [] : [`${route}: no errors`]),
        ...(json === undefined || hasExample(json) ? [] : [`${route}: no example`]),
      ]
    })
  expect(wanting).toEqual([])
})

test('the reference page: made from the document, without a script or anything from elsewhere', async () => {
  const { status, headers, body } = await request<string>(server, 'GET', '/reference')
  expect([status, headers.get('content-type')]).toEqual([200, expect.stringContaining('text/html')])
  const style = /<style>([^]*)<\/style>/.exec(body)![1]!
  const hash = createHash('sha256').update(style).digest('base64')
  expect(headers.get('content-security-policy')).toContain(`default-src 'none'; style-src 'sha256-${hash}';`)
  for (const [route] of operations()) {
    const [method, path] = route.split(' ')
    expect(body).toContain(`<code>${method!.toUpperCase()} ${path}</code>`)
  }
  expect(body).not.toMatch(/<script|\son\w+=|https?:\/\//i)
})
