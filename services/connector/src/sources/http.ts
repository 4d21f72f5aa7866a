import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { streamText } from 'hono/streaming'
import type { Context } from 'hono'
import { z } from '@hono/zod-openapi'
import {
  checkBlobOwner,
  documentFields,
  documentInput,
  inlineContent,
  parseDocumentInput,
} from '@aquifer/contracts/document-input'
import type { DocumentInput } from '@aquifer/contracts/document-input'
import type { Document } from '@aquifer/contracts/types'
import { requireWrite } from '@aquifer/runtime/auth'
import { AquiferError, invalid } from '@aquifer/runtime/errors'
import { createRoutes } from '@aquifer/runtime/http'
import type { Env, Routes } from '@aquifer/runtime/http'
import { idempotent } from '@aquifer/runtime/idempotency'
import type { DoorDeps } from '../deps.ts'
import { checkUri } from './fetch-uri.ts'
import { checkLength, takeContent } from './content.ts'
import { deadLetterRoutes } from './dead-letter-routes.ts'
import { createPublisher } from './publish.ts'
import type { Published, Publisher, PublishLane } from './publish.ts'
import { readRoutes } from './read-routes.ts'
import { fieldsOfRequest, readBody, readForm, readLines, readText, readUtf8 } from './upload.ts'

/** Lines of a bulk upload under way at once, and their bytes; their answers keep the order of the lines. */
const BULK_WINDOW = 32
const BULK_WINDOW_BYTES = 16 * 1024 * 1024

const accepted = z
  .object({ id: z.string(), receipt: z.string(), state: z.enum(['queued', 'deleted']) })
  .openapi('Accepted')
const acceptedResponse = {
  202: { description: 'Durably accepted', content: { 'application/json': { schema: accepted } } },
}
/** What the reference shows; its commands can be tried as they stand. */
const EXAMPLE = {
  id: 'notes',
  content: '# Notes\n\nA floor is never lowered.\n',
  contentType: 'text/markdown',
}
const idParam = z.object({ id: z.string() })

/** The routes by which documents come in and go out, those that read them back, and those for what was at fault. */
export function documentRoutes(deps: DoorDeps): Routes {
  const publisher = createPublisher(deps)
  const routes = createRoutes()
  describe(routes)
  routes.use('/v1/documents/*', idempotent(deps.cache, deps.clock))
  const fromJson = createJsonPublisher(deps, publisher)

  routes.post('/v1/documents/bulk', (c) => {
    requireWrite(c.get('identity'))
    c.header('Content-Type', 'application/x-ndjson')
    return streamText(c, async (stream) => {
      for await (const line of publishLines(c, fromJson)) await stream.write(`${JSON.stringify(line)}\n`)
    })
  })
  routes.post('/v1/documents', async (c) => {
    requireWrite(c.get('identity'))
    const type = c.req.header('content-type') ?? ''
    if (type.startsWith('multipart/form-data'))
      return c.json(await publishForm(c, deps, publisher, type), 202)
    const input = parseDocumentInput(parseBody(await readText(bodyOf(c))))
    return c.json(toAccepted(await fromJson(c, input)), 202)
  })
  routes.put('/v1/documents/:id', async (c) => {
    requireWrite(c.get('identity'))
    const { tenant } = c.get('identity')
    const fields = fieldsOfRequest((name) => c.req.header(name))
    checkLength(c.req.header('content-length'), deps.limits)
    const body = Readable.from(bodyOf(c), { objectMode: false })
    const taken = await takeContent(deps, tenant, body, deps.uuid())
    const document = { ...fields, ...taken, id: documentId(c), publishedAt: deps.clock.now() }
    return c.json(toAccepted(await publishDocument(publisher, c, document)), 202)
  })
  routes.delete('/v1/documents/:id', async (c) => {
    requireWrite(c.get('identity'))
    const removed = await publisher.remove(
      c.get('identity').tenant,
      documentId(c),
      c.get('trace').traceparent,
    )
    return c.json({ id: removed.id, receipt: removed.receipt, state: 'deleted' }, 202)
  })
  routes.route('/', readRoutes(deps))
  routes.route('/', deadLetterRoutes(deps))
  return routes
}

/** An id may hold anything, slashes too, percent-encoded in the path. */
export function documentId(c: Context<Env>): string {
  return c.req.param('id') ?? ''
}

function bodyOf(c: Context<Env>): AsyncIterable<Uint8Array> {
  return readBody(c.req.raw.body as ReadableStream<Uint8Array> | null)
}

function toAccepted({ id, receipt }: Published): z.infer<typeof accepted> {
  return { id, receipt, state: 'queued' }
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw invalid('invalid_json', `the body is not valid JSON: ${String(cause)}`, 400, cause)
  }
}

async function publishDocument(
  publisher: Publisher,
  c: Context<Env>,
  document: Document,
  lane?: PublishLane,
): Promise<Published> {
  return await publisher.publish(c.get('identity').tenant, document, c.get('trace').traceparent, lane)
}

function createJsonPublisher(deps: DoorDeps, publisher: Publisher) {
  return async (c: Context<Env>, input: DocumentInput, lane?: PublishLane): Promise<Published> => {
    const { tenant } = c.get('identity')
    const fields = documentFields(input, input.id ?? deps.uuid(), deps.clock.now())
    if (input.uri !== undefined) {
      return await publisher.publishUri(
        tenant,
        { ...input, id: fields.id, uri: checkedUri(deps, tenant, input.uri) },
        fields,
        c.get('trace').traceparent,
      )
    }
    const content = inlineContent(input)
    const source = Readable.from(content && content.length > 0 ? [content] : [])
    const taken = await takeContent(deps, tenant, source, deps.uuid())
    return await publishDocument(publisher, c, { ...fields, ...taken }, lane)
  }
}

function checkedUri(deps: DoorDeps, tenant: string, uri: string): string {
  if (uri.startsWith('blob:')) checkBlobOwner(uri.slice('blob:'.length), tenant)
  else checkUri(uri, deps.limits.uriHosts)
  return uri
}

type BulkResult = { line: number } & (
  | { id: string; receipt: string }
  | { error: { code: string; message: string } }
)

async function* publishLines(
  c: Context<Env>,
  publish: (c: Context<Env>, input: DocumentInput, lane: PublishLane) => Promise<Published>,
): AsyncGenerator<BulkResult> {
  const window: { result: Promise<BulkResult>; sizeBytes: number }[] = []
  let windowBytes = 0
  let number = 0
  const oldest = async (): Promise<BulkResult> => {
    const { result, sizeBytes } = window.shift()!
    windowBytes -= sizeBytes
    return await result
  }
  const isFull = (nextBytes: number): boolean =>
    window.length >= BULK_WINDOW || (window.length > 0 && windowBytes + nextBytes > BULK_WINDOW_BYTES)
  for await (const line of readLines(bodyOf(c))) {
    number++
    if (line?.every((byte) => byte === 32 || byte === 9 || byte === 13)) continue
    const sizeBytes = line?.length ?? 0
    while (isFull(sizeBytes)) yield await oldest()
    window.push({ result: publishLine(number, line), sizeBytes })
    windowBytes += sizeBytes
  }
  while (window.length > 0) yield await oldest()

  async function publishLine(at: number, line: Buffer | null): Promise<BulkResult> {
    try {
      if (line === null)
        throw invalid(
          'body_too_large',
          'the line is longer than a JSON document may be: send it by PUT /v1/documents/{id}',
          413,
        )
      const { id, receipt } = await publish(c, parseDocumentInput(parseBody(readUtf8(line))), 'bulk')
      return { line: at, id, receipt }
    } catch (error) {
      return { line: at, error: toldError(c, error) }
    }
  }
}

async function publishForm(c: Context<Env>, deps: DoorDeps, publisher: Publisher, contentType: string) {
  const { tenant } = c.get('identity')
  const discard = async ({ blob }: { blob: string | null }) => {
    if (blob !== null) await deps.blobs.delete(blob)
  }
  const files = await readForm(
    { 'content-type': contentType },
    bodyOf(c),
    (content) => takeContent(deps, tenant, content, deps.uuid()),
    discard,
  )
  const documents: (z.infer<typeof accepted> | Refused)[] = []
  const failures: unknown[] = []
  for (const { id, fields, taken } of files) {
    const document = { ...fields, ...taken, id: id ?? deps.uuid(), publishedAt: deps.clock.now() }
    try {
      documents.push(toAccepted(await publishDocument(publisher, c, document)))
    } catch (error) {
      failures.push(error)
      documents.push({ filename: document.filename, error: toldError(c, error) })
    }
  }
  // Nothing was done: one failure says it, and where it was a dependency's the whole may be sent again.
  if (failures.length === files.length) throw failures[0]
  return documents.length === 1 ? documents[0]! : { documents }
}

interface Refused {
  readonly filename: string | null
  readonly error: { readonly code: string; readonly message: string }
}

/** What of several things in one request failed; nothing internal gets out. */
function toldError(c: Context<Env>, error: unknown): Refused['error'] {
  if (error instanceof AquiferError) return { code: error.code, message: error.message }
  c.get('logger').error({ err: error }, 'one of several publications failed')
  return { code: 'internal', message: 'something failed here; the log has it' }
}

/** These routes stream their bodies, so they are described here and validate as they read. */
function describe(routes: Routes): void {
  const registry = routes.openAPIRegistry
  const bytes = z.string().openapi({ format: 'binary' })
  registry.registerPath({
    method: 'post',
    path: '/v1/documents',
    summary: 'Publish a document, or the files of a form',
    request: {
      body: {
        content: {
          'application/json': { schema: documentInput, example: EXAMPLE },
          'multipart/form-data': { schema: z.object({ file: bytes }) },
        },
      },
    },
    responses: acceptedResponse,
  })
  registry.registerPath({
    method: 'put',
    path: '/v1/documents/{id}',
    summary: 'Publish the raw body as a document',
    request: { params: idParam, body: { content: { '*/*': { schema: bytes } } } },
    responses: acceptedResponse,
  })
  registry.registerPath({
    method: 'post',
    path: '/v1/documents/bulk',
    summary: 'Publish one document a line; one answer a line',
    request: {
      body: { content: { 'application/x-ndjson': { schema: bytes, example: JSON.stringify(EXAMPLE) } } },
    },
    responses: {
      200: {
        description: 'NDJSON of {line, id, receipt} or {line, error}',
        content: { 'application/x-ndjson': { schema: bytes } },
      },
    },
  })
  registry.registerPath({
    method: 'delete',
    path: '/v1/documents/{id}',
    summary: 'Delete a document: no query begun after the answer finds it',
    request: { params: idParam },
    responses: acceptedResponse,
  })
}
