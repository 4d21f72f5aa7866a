import { createLogger } from '@aquifer/runtime/logger'
import { describe, expect, test } from 'vitest'
import { consoleRoutes } from './http.ts'
import type { Asset, PageState } from './page.ts'

const asset = (text: string, more: Partial<Asset> = {}): Asset => ({
  type: 'text/html; charset=utf-8',
  etag: 'e1',
  plain: Buffer.from(text),
  br: null,
  gzip: null,
  ...more,
})
const ready: PageState = {
  state: 'ready',
  assets: new Map([
    ['index.html', asset('<p>page</p>')],
    ['assets/index-1.js', asset('script', { type: 'text/javascript', gzip: Buffer.from('zipped') })],
  ]),
}

async function get(state: PageState, path: string, headers: Record<string, string> = {}): Promise<Response> {
  const routes = consoleRoutes({ logger: createLogger('silent', 't'), page: { look: async () => state } })
  routes.get('/', (c) => c.text('welcome'))
  return await routes.request(path, { headers })
}
const html = { accept: 'text/html,application/xhtml+xml;q=0.9' }

describe('console: http', () => {
  test('browsers get the page, others what is served to them at the same place', async () => {
    const page = await get(ready, '/', html)
    expect([page.status, await page.text(), page.headers.get('cache-control')]).toEqual([
      200,
      '<p>page</p>',
      'no-cache',
    ])
    for (const accept of [{}, { accept: '*/*' }, { accept: 'application/json' }]) {
      const other = await get(ready, '/', accept)
      expect([await other.text(), other.headers.get('vary')]).toEqual(['welcome', 'Accept'])
    }
  })

  test('all of it comes with a policy that runs nothing but its own files', async () => {
    const states: PageState[] = [ready, { state: 'building' }, { state: 'missing', why: 'no tools' }]
    for (const state of states) {
      const { headers } = await get(state, '/', html)
      const policy = headers.get('content-security-policy') ?? ''
      expect(policy).toContain("default-src 'none'")
      expect(policy).toContain("frame-ancestors 'none'")
      expect(policy).not.toMatch(/unsafe|\*|https?:|data:/)
      expect(headers.get('referrer-policy')).toBe('no-referrer')
      expect(headers.get('x-content-type-options')).toBe('nosniff')
    }
    expect((await get(ready, '/assets/index-1.js')).headers.get('content-security-policy')).toContain(
      "'none'",
    )
  })

  test('files named by their hash are kept for ever, compressed for whoever reads that, and not sent twice', async () => {
    const plain = await get(ready, '/assets/index-1.js')
    expect([await plain.text(), plain.headers.get('content-encoding')]).toEqual(['script', null])
    expect(plain.headers.get('cache-control')).toContain('immutable')
    const zipped = await get(ready, '/assets/index-1.js', { 'accept-encoding': 'gzip, br' })
    expect([await zipped.text(), zipped.headers.get('content-encoding')]).toEqual(['zipped', 'gzip'])
    const etag = plain.headers.get('etag') ?? ''
    expect((await get(ready, '/assets/index-1.js', { 'if-none-match': etag })).status).toBe(304)
    for (const path of ['/assets/none.js', '/assets/..%2Findex.html', '/assets/index-1.js.map'])
      expect((await get(ready, path)).status).toBe(404)
  })

  test('while it is made it says so and comes back; where it cannot be made it says how', async () => {
    const building = await get({ state: 'building' }, '/', html)
    expect([building.status, building.headers.get('retry-after')]).toEqual([503, '1'])
    expect(await building.text()).toMatch(/http-equiv="refresh".*is being made/)
    const missing = await get({ state: 'missing', why: 'no tools' }, '/', html)
    const said = await missing.text()
    expect(said).toContain('no tools')
    expect(said).toContain('--filter @aquifer/console build')
    expect(said).not.toContain('refresh')
  })
})
