import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually, newDataDir, publish, removeDataDir, request, startServer } from './harness/server.ts'
import type { Server } from './harness/server.ts'

interface Described {
  readonly language: string | null
  readonly latest: { readonly version: string }
  readonly visibleVersion: string | null
  readonly similar: readonly { id: string; title: string | null; distance: number }[]
}

const headersOf = (key: string, access?: string): Record<string, string> => ({
  Authorization: `Bearer ${key}`,
  ...(access === undefined ? {} : { 'Aquifer-Access': access }),
})
const TEXT = Array.from(
  { length: 30 },
  (_, i) => `The pump of hall ${i} was checked by the night shift, and its pressure stood at ${i * 7} bar.`,
)

let server: Server
let dataDir: string
beforeAll(async () => {
  dataDir = await newDataDir()
  const line = (key: string, tenant: string, groups: string[]) =>
    JSON.stringify({ sha256: createHash('sha256').update(key).digest('hex'), tenant, groups, roles: [] })
  const keys = join(dataDir, 'keys.jsonl')
  const lines = [line('staff', 'acme', ['staff']), line('guest', 'acme', []), line('globex', 'globex', [])]
  writeFileSync(keys, lines.join('\n'))
  server = await startServer(dataDir, { AQUIFER_EMBEDDER: 'lexical:', AQUIFER_API_KEYS: keys })
})
afterAll(async () => {
  await server.kill('SIGTERM')
  await removeDataDir(dataDir)
})

async function describedTo(key: string, id: string): Promise<Described> {
  return (await request<Described>(server, 'GET', `/v1/documents/${id}`, { headers: headersOf(key) })).body
}
const similarTo = async (key: string, id: string) =>
  (await describedTo(key, id)).similar.map(({ id: other }) => other)

async function show(key: string, id: string, text: readonly string[], access?: string): Promise<void> {
  const receipt = await publish(server, id, `# ${id}\n\n${text.join('\n\n')}`, headersOf(key, access))
  await eventually(`${id} is visible`, async () => {
    const { visibleVersion, latest } = await describedTo(key, id)
    return visibleVersion === latest.version && receipt.length > 0
  })
}

test('near-identical documents name each other to those who may see them, until one changes or goes', async () => {
  const changed = TEXT.with(11, 'Nobody came to see the pump of hall eleven in that night.')
  await show('guest', 'report', TEXT)
  await show('guest', 'copy', changed)
  await show('staff', 'secret', TEXT, 'staff')
  await show('globex', 'theirs', TEXT)
  await show(
    'guest',
    'other',
    TEXT.map((_, i) => `A chapter ${i} about herons, who stand in the shallow water and wait for fish ${i}.`),
  )

  const report = await describedTo('guest', 'report')
  expect(report).toMatchObject({ language: 'en', similar: [{ id: 'copy', title: 'copy' }] })
  expect(report.similar[0]!.distance).toBeLessThanOrEqual(7)
  expect(await similarTo('guest', 'copy')).toEqual(['report'])
  expect(await similarTo('staff', 'secret')).toEqual(expect.arrayContaining(['report', 'copy']))
  expect(await similarTo('staff', 'report')).toEqual(expect.arrayContaining(['secret', 'copy']))
  expect(await similarTo('guest', 'other')).toEqual([])
  expect(await similarTo('globex', 'theirs')).toEqual([])
  // Whoever watches a document become visible is told at once.
  const events = await request<string>(server, 'GET', '/v1/documents/copy/events', {
    headers: headersOf('guest'),
  })
  expect(events.body).toContain('"similar":[{"id":"report"')

  await show(
    'guest',
    'copy',
    TEXT.map((_, i) => `Ein Kapitel ${i} über Reiher, die im flachen Wasser stehen und auf Fische warten.`),
  )
  expect(await describedTo('guest', 'copy')).toMatchObject({ language: 'de', similar: [] })
  expect(await similarTo('guest', 'report')).toEqual([])
  expect(await similarTo('staff', 'report')).toEqual(['secret'])
  await request(server, 'DELETE', '/v1/documents/report', { headers: headersOf('guest') })
  expect(await similarTo('staff', 'secret')).toEqual([])
})
