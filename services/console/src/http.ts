import type { Context } from 'hono'
import { createRoutes } from '@aquifer/runtime/http'
import type { Env, Routes } from '@aquifer/runtime/http'
import type { Logger } from '@aquifer/runtime/logger'
import { createPage } from './page.ts'
import type { Asset, Page } from './page.ts'

/** Scripts and styles from here alone, requests to here alone, in nobody's frame; no text becomes markup, not even by a script. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types aquifer',
].join('; ')

const HEADERS = {
  'Content-Security-Policy': POLICY,
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
}
const RETRY_AFTER_SECONDS = 1
/** Hashes are part of their names. */
const IMMUTABLE = 'public, max-age=31536000, immutable'

export interface ConsoleOptions {
  readonly logger: Logger
  /** The made page; that of this package unless told. */
  readonly page?: Page
}

/**
 * The chat page at `/`, for whoever accepts text/html; others go on to the next handler of `/`. Its files need no API key: they
 * are the same for everyone and hold nothing of anyone.
 */
export function consoleRoutes({ logger, page = createPage({ logger }) }: ConsoleOptions): Routes {
  const routes = createRoutes()
  routes.get('/', async (c, next) => {
    c.header('Vary', 'Accept', { append: true })
    if (!/\btext\/html\b/.test(c.req.header('accept') ?? '')) return await next()
    const seen = await page.look()
    const index = seen.state === 'ready' ? seen.assets.get('index.html') : undefined
    if (index) return serve(c, index, 'no-cache')
    return waiting(
      seen.state === 'building' ? null : seen.state === 'missing' ? seen.why : 'it has no index.html',
    )
  })
  routes.get('/assets/:name', async (c, next) => {
    const seen = await page.look()
    const asset = seen.state === 'ready' ? seen.assets.get(`assets/${c.req.param('name')}`) : undefined
    return asset ? serve(c, asset, IMMUTABLE) : await next()
  })
  return routes
}

function serve(c: Context<Env>, asset: Asset, cacheControl: string): Response {
  const accepted = c.req.header('accept-encoding') ?? ''
  const encoding =
    asset.br && /\bbr\b/.test(accepted) ? 'br' : asset.gzip && /\bgzip\b/.test(accepted) ? 'gzip' : null
  const etag = `"${asset.etag}${encoding ? `-${encoding}` : ''}"`
  const headers: Record<string, string> = {
    ...HEADERS,
    'Cache-Control': cacheControl,
    ETag: etag,
    Vary: 'Accept, Accept-Encoding',
  }
  if (c.req.header('if-none-match') === etag) return new Response(null, { status: 304, headers })
  if (encoding) headers['Content-Encoding'] = encoding
  const bytes = (encoding && asset[encoding]) || asset.plain
  return new Response(new Uint8Array(bytes), { headers: { ...headers, 'Content-Type': asset.type } })
}

/** Stands for the page while it is being made, or where it cannot be; `why` is ours, never a document's or a model's. */
function waiting(why: string | null): Response {
  const text =
    why === null
      ? 'The chat page is being made. It opens here by itself in a few seconds.'
      : `The chat page is not there: ${why}. Make it with: npx -y pnpm@12 --filter @aquifer/console build`
  const refresh = why === null ? `<meta http-equiv="refresh" content="${RETRY_AFTER_SECONDS}">` : ''
  const body = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark"><meta name="viewport" content="width=device-width">${refresh}<title>Aquifer</title></head><body><main><h1>Aquifer</h1><p>${text}</p><p>Everything else is served meanwhile: /openapi.json lists it.</p></main></body></html>`
  const headers = {
    ...HEADERS,
    'Content-Type': 'text/html; charset=utf-8',
    'Cache-Control': 'no-store',
    Vary: 'Accept',
    ...(why === null ? { 'Retry-After': String(RETRY_AFTER_SECONDS) } : {}),
  }
  return new Response(body, { status: 503, headers })
}
