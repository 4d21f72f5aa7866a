import { serve } from '@hono/node-server'
import type { ServerType } from '@hono/node-server'
import { OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { AddressInfo } from 'node:net'
import { checkLocalHost, loopbackAuthenticator } from './auth.ts'
import type { Authenticate, Identity } from './auth.ts'
import { AquiferError, errorMessage, invalid, unavailable } from './errors.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import { describeApp } from './openapi.ts'
import type { Trace, Tracing } from './tracing.ts'

/** What every route finds on its context. */
export interface Env {
  Variables: { identity: Identity; trace: Trace; logger: Logger }
}
export type Routes = OpenAPIHono<Env>

export interface ErrorItem {
  readonly path: string
  readonly message: string
}

/** A validated definition of routes: a wrong request answers 400 `invalid_request` with what is wrong where. */
export function createRoutes(): Routes {
  return new OpenAPIHono<Env>({
    defaultHook: (result) => {
      if (result.success) return
      const errors = result.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }))
      throw new InvalidRequest(errors)
    },
  })
}

class InvalidRequest extends AquiferError {
  readonly errors: readonly ErrorItem[]
  constructor(errors: readonly ErrorItem[]) {
    const first = errors[0]
    super(
      'invalid_request',
      first ? `${first.path || 'body'}: ${first.message}` : 'the request is not valid',
      { status: 400 },
    )
    this.errors = errors
  }
}

/** Under them errors have OpenAI's shape. */
function isOpenAiRoute(path: string): boolean {
  return /^\/v1\/(?:chat\/|embeddings|models)/.test(path)
}

/** An error as the edge tells it: problem+json, or OpenAI's shape under its own routes. Nothing internal gets out. */
export function errorResponse(error: unknown, path: string, traceId: string): Response {
  const known = error instanceof AquiferError ? error : internal(error)
  const headers: Record<string, string> = known.retryable ? { 'Retry-After': '1' } : {}
  if (known.status === 401) headers['WWW-Authenticate'] = 'Bearer'
  // The rest of the body is not read, so nothing more can come on this connection.
  if (known.status === 413 || known.status === 408) headers['Connection'] = 'close'
  if (isOpenAiRoute(path)) {
    const type =
      known.status >= 500
        ? 'server_error'
        : known.status === 401
          ? 'authentication_error'
          : 'invalid_request_error'
    const param = known instanceof InvalidRequest ? (known.errors[0]?.path ?? null) : null
    return Response.json(
      { error: { message: known.message, type, param, code: known.code } },
      { status: known.status, headers },
    )
  }
  const problem = {
    type: `urn:aquifer:problem:${known.code}`,
    title: known.code.replaceAll('_', ' '),
    status: known.status,
    detail: known.message,
    code: known.code,
    traceId,
    ...(known instanceof InvalidRequest ? { errors: known.errors } : {}),
  }
  return new Response(JSON.stringify(problem), {
    status: known.status,
    headers: { ...headers, 'Content-Type': 'application/problem+json' },
  })
}

function internal(error: unknown): AquiferError {
  if (error instanceof SyntaxError || (error as { status?: number } | null)?.status === 400) {
    return invalid('invalid_json', `the body is not valid JSON: ${errorMessage(error)}`)
  }
  return new AquiferError('internal', 'something failed here; the log has it under this trace id', {
    status: 500,
  })
}

export interface HttpOptions {
  readonly host: string
  readonly port: number
  readonly routes: readonly Routes[]
  readonly authenticate: Authenticate
  /** Every route, health and metrics too, checks that it is this machine that asks. */
  readonly localOnly: boolean
  readonly logger: Logger
  readonly metrics: Metrics
  readonly tracing: Tracing
  /** Each dependency by name; a rejection says what is wrong with it. */
  readonly checks: Readonly<Record<string, () => Promise<void>>>
  /** Refreshes gauges before a scrape. */
  readonly onScrape: () => Promise<void>
  /** What a person should know although the process is ready, such as a makeshift embedder. */
  readonly warnings: readonly string[]
  readonly welcome: string
}

export interface HttpServer {
  readonly url: string
  /** Stops taking connections, lets open requests and streams end, at most `deadlineMs`. */
  close(deadlineMs: number): Promise<void>
}

const CHECK_TIMEOUT_MS = 3000
/** JSON is parsed in one go on the event loop. */
const MAX_BODY_BYTES = 4 * 1024 * 1024
/** A bulk load streams for long; Node's own limit of five minutes would cut it. */
const REQUEST_TIMEOUT_MS = 60 * 60 * 1000
/** Headers are small here: titles and metadata of a document come in them. */
const MAX_HEADER_BYTES = 64 * 1024

export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const app = createApp(options)
  const server = await new Promise<ServerType>((resolve, reject) => {
    const starting = serve(
      {
        fetch: app.fetch,
        hostname: options.host,
        port: options.port,
        serverOptions: { maxHeaderSize: MAX_HEADER_BYTES, requestTimeout: REQUEST_TIMEOUT_MS },
      },
      () => resolve(starting),
    )
    starting.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        cause.code === 'EADDRINUSE'
          ? invalid(
              'port_in_use',
              `port ${options.port} of ${options.host} is taken: stop what uses it or set AQUIFER_PORT`,
              409,
              cause,
            )
          : unavailable(
              'listen_failed',
              `cannot listen on ${options.host}:${options.port}: ${cause.message}`,
              cause,
            ),
      ),
    )
  })
  const { port } = server.address() as AddressInfo
  const shown = options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    url: `http://${shown}:${port}`,
    close: async (deadlineMs) => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      if ('closeIdleConnections' in server) server.closeIdleConnections()
      const timer = setTimeout(() => {
        if ('closeAllConnections' in server) server.closeAllConnections()
      }, deadlineMs)
      await closed
      clearTimeout(timer)
    },
  }
}

function createApp(options: HttpOptions): Routes {
  const { logger, metrics, tracing } = options
  const app = createRoutes()
  app.use(async (c, next) => {
    const started = performance.now()
    await tracing.span(`${c.req.method} ${c.req.path}`, c.req.header('traceparent'), {}, async (trace) => {
      c.set('trace', trace)
      c.set('logger', logger.child({ traceId: trace.traceId }))
      await next()
      // Afterwards, so that errors carry them too.
      c.header('X-Content-Type-Options', 'nosniff')
      c.header('Traceresponse', trace.traceparent)
    })
    const route = c.req.routePath
    metrics.httpSeconds.observe(
      { method: c.req.method, route, status: String(c.res.status) },
      (performance.now() - started) / 1000,
    )
  })
  if (options.localOnly) {
    app.use(async (c, next) => {
      const check = isVisit(c.req) ? checkLocalHost : loopbackAuthenticator
      check({ header: (name) => c.req.header(name) })
      await next()
    })
  }
  app.get('/livez', (c) => c.json({ status: 'live' }))
  app.get('/readyz', async (c) => await readiness(c, options))
  app.get('/metrics', async () => {
    await options.onScrape()
    return new Response(await metrics.registry.metrics(), {
      headers: { 'Content-Type': metrics.registry.contentType },
    })
  })
  app.use('/v1/*', async (c, next) => {
    c.set('identity', options.authenticate({ header: (name) => c.req.header(name) }))
    await next()
  })
  const limit = bodyLimit({
    maxSize: MAX_BODY_BYTES,
    onError: () => {
      throw invalid('body_too_large', `a request body has at most ${MAX_BODY_BYTES} bytes`, 413)
    },
  })
  // Documents stream, and have limits of their own.
  app.use(
    '/v1/*',
    async (c, next) => await (c.req.path.startsWith('/v1/documents') ? next() : limit(c, next)),
  )
  for (const routes of options.routes) app.route('/', routes)
  describeApp(app, isOpenAiRoute)
  // What is served as a page to browsers comes before.
  app.get('/', (c) => c.text(options.welcome))
  app.notFound((c) =>
    errorResponse(
      invalid(
        'not_found',
        `there is no ${c.req.method} ${c.req.path}; /openapi.json lists what there is`,
        404,
      ),
      c.req.path,
      c.get('trace').traceId,
    ),
  )
  app.onError((error, c) => {
    const trace = c.get('trace')
    // Nobody reads this answer; the status is nginx's for a client that went away.
    if (c.req.raw.signal.aborted) return new Response(null, { status: 499 })
    if (!(error instanceof AquiferError) || error.status >= 500)
      c.get('logger').error({ err: error }, 'request failed')
    return errorResponse(error, c.req.path, trace.traceId)
  })
  return app
}

/** Pages for people, which hold nothing of anyone. */
const PAGES = new Set(['/', '/reference'])

/**
 * A link elsewhere that a person follows: it opens a page in a tab of its own, where no other site can read or steer it. A frame, a
 * script and a form are none.
 */
function isVisit(request: Context['req']): boolean {
  return (
    request.method === 'GET' &&
    PAGES.has(request.path) &&
    request.header('sec-fetch-mode') === 'navigate' &&
    request.header('sec-fetch-dest') === 'document' &&
    request.header('origin') === undefined
  )
}

async function readiness(c: Context<Env>, options: HttpOptions): Promise<Response> {
  const results = await Promise.all(
    Object.entries(options.checks).map(async ([name, check]) => {
      let timer: NodeJS.Timeout | undefined
      try {
        const late = new Promise<never>((_, reject) => {
          timer = setTimeout(() => reject(new Error(`no answer in ${CHECK_TIMEOUT_MS} ms`)), CHECK_TIMEOUT_MS)
        })
        await Promise.race([check(), late])
        return [name, { ok: true }] as const
      } catch (error) {
        return [name, { ok: false, error: errorMessage(error) }] as const
      } finally {
        clearTimeout(timer)
      }
    }),
  )
  const ready = results.every(([, { ok }]) => ok)
  return c.json(
    {
      status: ready ? 'ready' : 'not ready',
      checks: Object.fromEntries(results),
      warnings: options.warnings,
    },
    ready ? 200 : 503,
  )
}
