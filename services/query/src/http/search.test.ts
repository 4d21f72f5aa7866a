import { formatReceipt, formatVersion } from '@aquifer/contracts/version'
import { topics } from '@aquifer/contracts/topics'
import type { Clock } from '@aquifer/runtime/clock'
import { unavailable } from '@aquifer/runtime/errors'
import { afterEach, describe, expect, test } from 'vitest'
import { ask, createWorld, TENANT, version } from '../world.fixture.ts'
import type { World, WorldOptions } from '../world.fixture.ts'

let world: World
afterEach(async () => await world.close())

interface Found {
  readonly hits: readonly {
    documentId: string
    version: string
    text: string
    scores: { dense: number | null; lexical: number | null }
  }[]
  readonly fresh: boolean
  readonly reason?: string
}

async function start(options: WorldOptions = {}): Promise<void> {
  world = await createWorld(options)
}
async function search(
  query: string,
  more: object = {},
  headers: Record<string, string> = {},
): Promise<Found> {
  const response = await world.call('POST', '/v1/search', { query, ...more }, headers)
  expect(response.status).toBe(200)
  return (await response.json()) as Found
}
const ids = ({ hits }: Found) => hits.map(({ documentId }) => documentId)

/** Time passes with each pause. */
function jumpingClock(): Clock & { slept: number } {
  let now = Date.now()
  const clock = {
    slept: 0,
    now: () => now,
    sleep: async (ms: number, signal?: AbortSignal) => {
      signal?.throwIfAborted()
      clock.slept++
      now += ms
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
  return clock
}

describe('search: what it finds', () => {
  test('hits carry the raw scores of both lists, best first', async () => {
    await start()
    await world.add('river', 'The river rises in spring.')
    await world.add('tower', 'The tower stands on a hill.')
    const found = await search('river rises')
    expect(ids(found)[0]).toBe('river')
    expect(found.hits[0]!.scores.dense).toBeGreaterThan(0)
    expect(found.hits[0]!.scores.lexical).toBeGreaterThan(0)
    expect((await search('river rises', { mode: 'dense' })).hits[0]!.scores.lexical).toBeNull()
    expect((await search('river rises', { mode: 'lexical' })).hits[0]!.scores.dense).toBeNull()
  })

  test('versions that are not visible are dropped, and the index is asked for more until there are enough', async () => {
    let searches = 0
    await start({
      index: (index) => ({
        ...index,
        search: async (query) => {
          searches++
          return await index.search(query)
        },
      }),
    })
    for (let i = 0; i < 120; i++) await world.add(`pending-${i}`, 'heron heron heron', { visible: false })
    for (let i = 0; i < 5; i++)
      await world.add(`shown-${i}`, `heron number ${i} in the long reeds by the river bank`)
    const found = await search('heron', { limit: 5 })
    expect(ids(found).sort()).toEqual(['shown-0', 'shown-1', 'shown-2', 'shown-3', 'shown-4'])
    expect(searches).toBeGreaterThan(1)
  })

  test('of a document only the visible version and build are shown', async () => {
    await start()
    await world.add('a', 'heron of the old version', { version: version(1) })
    await world.add('a', 'heron of the new version', { version: version(2) })
    await world.add('a', 'heron of another build', { version: version(2), build: 'build-0', visible: false })
    expect((await search('heron')).hits.map(({ text }) => text)).toEqual(['heron of the new version'])
  })

  test('an unreachable registry answers 503, never unchecked hits', async () => {
    await start({
      registry: (registry) => ({
        ...registry,
        lookUp: async () => {
          throw unavailable('registry_unavailable', 'the registry is down')
        },
      }),
    })
    await world.add('a', 'heron')
    const response = await world.call('POST', '/v1/search', { query: 'heron' })
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(await response.json()).toMatchObject({ code: 'registry_unavailable', status: 503 })
    for (const stream of [false, true]) {
      const chat = await world.call('POST', '/v1/chat/completions', ask('heron?', { stream }))
      expect(chat.status).toBe(503)
      expect(await chat.json()).toMatchObject({
        error: { code: 'registry_unavailable', type: 'server_error' },
      })
    }
    expect(world.generated).toEqual([])
  })

  test('a caller finds what its groups may read, and nothing of another tenant', async () => {
    await start()
    await world.add('all', 'heron for all')
    await world.add('hr', 'heron for hr', { access: ['hr'] })
    await world.add('admins', 'heron for admins', { access: [] })
    await world.add('foreign', 'heron elsewhere', { tenant: 'other' })
    expect(ids(await search('heron')).sort()).toEqual(['admins', 'all', 'hr'])
    expect(ids(await search('heron', {}, { 'X-Groups': 'hr' })).sort()).toEqual(['all', 'hr'])
    expect(ids(await search('heron', {}, { 'X-Groups': 'ops' }))).toEqual(['all'])
    expect(ids(await search('heron', {}, { 'X-Tenant': 'other' }))).toEqual(['foreign'])
  })

  test('a filter holds; one that is nonsense is 400', async () => {
    await start()
    await world.add('old', 'heron', { metadata: { year: 1999 } })
    await world.add('new', 'heron', { metadata: { year: 2024, tags: ['a', 'b'] } })
    expect(ids(await search('heron', { filter: { field: 'year', op: 'gt', value: 2000 } }))).toEqual(['new'])
    expect(ids(await search('heron', { filter: { not: { field: 'tags', op: 'eq', value: 'b' } } }))).toEqual([
      'old',
    ])
    const deep = Array.from({ length: 3000 }).reduce((filter) => ({ not: filter }), {
      field: 'a',
      op: 'exists',
    } as unknown)
    for (const filter of [{ field: 'year', op: 'like', value: 1 }, { and: 1 }, 'x', deep]) {
      const response = await world.call('POST', '/v1/search', { query: 'heron', filter })
      expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
        400,
        'invalid_request',
      ])
    }
  })
})

describe('search: receipts', () => {
  test('a version that is visible already, or superseded, is fresh at once', async () => {
    const clock = jumpingClock()
    await start({ clock })
    await world.add('a', 'heron', { version: version(5) })
    for (const at of [version(5), version(3)])
      expect((await search('heron', { after: formatReceipt(TENANT, 'a', at) })).fresh).toBe(true)
    await world.remove('a', version(7))
    expect((await search('heron', { after: formatReceipt(TENANT, 'a', version(6)) })).fresh).toBe(true)
    expect(clock.slept).toBe(0)
  })

  test('it is waited for, and found as soon as it is there', async () => {
    await start()
    const pending = search('heron', { after: formatReceipt(TENANT, 'a', version(1)), timeoutMs: 20_000 })
    await world.add('a', 'heron', { version: version(1) })
    const found = await pending
    expect([found.fresh, ids(found)]).toEqual([true, ['a']])
  })

  test('not in time: the answer comes, says so, and looks at the registry once a pause', async () => {
    const clock = jumpingClock()
    let lookUps = 0
    await start({
      clock,
      registry: (registry) => ({
        ...registry,
        lookUp: async (...of) => {
          lookUps++
          return await registry.lookUp(...of)
        },
      }),
    })
    const after = Array.from({ length: 100 }, (_, i) => formatReceipt(TENANT, `a${i}`, version(1)))
    const found = await search('heron', { after, timeoutMs: 500 })
    expect(found).toMatchObject({ fresh: false, reason: expect.stringContaining('not visible in time') })
    expect(clock.slept).toBeGreaterThan(10)
    expect(lookUps).toBeLessThan(clock.slept + 5)
  })

  test.each(['failed', 'quarantined'] as const)(
    'a %s publication ends the wait at once, though another is still awaited',
    async (state) => {
      const clock = jumpingClock()
      await start({ clock })
      await world.registry.recordAttempt(TENANT, 'bad', {
        version: version(1),
        state,
        error: { code: 'broken', message: 'm' },
        title: null,
        contentType: null,
        access: null,
        publishedAt: 0,
      })
      const after = [formatReceipt(TENANT, 'slow', version(1)), formatReceipt(TENANT, 'bad', version(1))]
      const found = await search('heron', { after, timeoutMs: 30_000 })
      expect(found).toMatchObject({ fresh: false, reason: `bad: ${state} (broken)` })
      expect(clock.slept).toBeLessThan(3)
    },
  )

  test('a producer’s place in the log is a receipt; of another document, or of nothing, it is an error', async () => {
    await start({ clock: jumpingClock() })
    const [position] = await world.log.append(topics.documents.name, [
      { key: `${TENANT}/a`, value: Buffer.from('x') },
    ])
    const place = `a@${position!.partition}:${position!.offset}`
    expect((await search('heron', { after: place, timeoutMs: 50 })).fresh).toBe(false)
    await world.add('a', 'heron', { version: formatVersion({ ...position!, topic: topics.documents.name }) })
    expect((await search('heron', { after: place, timeoutMs: 50 })).fresh).toBe(true)
    const status = async (after: unknown) =>
      (await world.call('POST', '/v1/search', { query: 'heron', after, timeoutMs: 50 })).status
    expect(await status(`b@${position!.partition}:${position!.offset}`)).toBe(400)
    expect(await status('nonsense')).toBe(400)
    expect(await status('a@99:0')).toBe(404)
    expect((await search('heron', { after: `a@${position!.partition}:999`, timeoutMs: 50 })).fresh).toBe(
      false,
    )
  })

  test('another tenant’s receipt is 403', async () => {
    await start()
    const response = await world.call('POST', '/v1/search', {
      query: 'x',
      after: formatReceipt('other', 'a', version(1)),
    })
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
      403,
      'foreign_receipt',
    ])
  })

  test('chat that requires it fresh answers 409 in OpenAI’s shape', async () => {
    await start({ clock: jumpingClock() })
    const after = formatReceipt(TENANT, 'a', version(1))
    const required = await world.call(
      'POST',
      '/v1/chat/completions',
      ask('heron?', { aquifer: { after, timeoutMs: 50, require: 'fresh' } }),
    )
    expect(required.status).toBe(409)
    expect(await required.json()).toMatchObject({
      error: { code: 'not_yet_visible', type: 'invalid_request_error' },
    })
    const lenient = await world.call(
      'POST',
      '/v1/chat/completions',
      ask('heron?', { aquifer: { after, timeoutMs: 50 } }),
    )
    expect(await lenient.json()).toMatchObject({ aquifer: { fresh: false } })
  })
})
