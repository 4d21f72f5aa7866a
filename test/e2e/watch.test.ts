import { mkdir, mkdtemp, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { eventually, newDataDir, removeDataDir, request, search, startServer } from './harness/server.ts'
import type { Server } from './harness/server.ts'

let dataDir: string
let folder: string
let server: Server

beforeEach(async () => {
  dataDir = await newDataDir()
  folder = join(await mkdtemp(join(tmpdir(), 'aquifer-watched-')), 'docs')
  await mkdir(folder)
})
afterEach(async () => {
  await server.kill('SIGTERM')
  await removeDataDir(dataDir)
  await rm(join(folder, '..'), { recursive: true })
})
const start = async () =>
  await startServer(dataDir, {
    AQUIFER_EMBEDDER: 'lexical:',
    AQUIFER_WATCH: `notes=${folder}`,
    AQUIFER_WATCH_ACCESS: '*',
  })
const write = async (name: string, text: string) => await writeFile(join(folder, name), text)
const found = async (query: string) => (await search(server, query)).hits.map(({ documentId }) => documentId)
interface Shown {
  id: string
  state: string
  contentType: string
  latest: { version: string }
}
const documents = async () =>
  (await request<{ documents: Shown[] }>(server, 'GET', '/v1/documents')).body.documents.filter(
    ({ state }) => state !== 'deleted',
  )

test('watched folder: its files are found, changed and gone as they change; a kill loses and repeats nothing', async () => {
  for (let i = 0; i < 20; i++)
    await write(`${i}.md`, `# Note ${i}\n\nThe pump of hall ${i} is called zebra${i}.`)
  server = await start()
  await eventually('all are indexed', async () => {
    const all = await documents()
    return all.length === 20 && all.every(({ state }) => state === 'indexed')
  })
  expect(new Set((await documents()).map(({ contentType }) => contentType))).toEqual(
    new Set(['text/markdown']),
  )
  expect(await found('zebra7')).toContain('notes/7.md')

  await write('7.md', 'The pump is called quagga.')
  await eventually('the change is found', async () => (await found('quagga')).includes('notes/7.md'))
  await rename(join(folder, '8.md'), join(folder, 'renamed.md'))
  await eventually('the new name is found', async () => {
    const hits = await found('zebra8')
    return hits.includes('notes/renamed.md') && !hits.includes('notes/8.md')
  })

  await server.kill('SIGKILL')
  await unlink(join(folder, '9.md'))
  await write('new.md', 'The valve is called okapi.')
  const before = new Map<string, string>()
  server = await start()
  await eventually('the new one is found', async () => (await found('okapi')).includes('notes/new.md'))
  await eventually('the one that is gone is not', async () => !(await found('zebra9')).includes('notes/9.md'))
  for (const { id, latest } of await documents()) before.set(id, latest.version)
  expect(before.size).toBe(20)

  await server.kill('SIGTERM')
  server = await start()
  await write('last.md', 'The tank is called bongo.')
  await eventually('the last one is found', async () => (await found('bongo')).includes('notes/last.md'))
  for (const { id, latest } of await documents())
    if (id !== 'notes/last.md') expect(latest.version).toBe(before.get(id))
})
