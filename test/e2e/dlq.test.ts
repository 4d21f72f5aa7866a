import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  eventually,
  newDataDir,
  publish,
  removeDataDir,
  request,
  search,
  startServer,
} from './harness/server.ts'
import type { Server } from './harness/server.ts'

const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url))
const PDF = new URL('../../samples/groundwater-guide.pdf', import.meta.url)

let dataDir: string
let server: Server

async function start(env: Record<string, string> = {}): Promise<void> {
  server = await startServer(dataDir, { AQUIFER_EMBEDDER: 'lexical:', ...env })
}
beforeEach(async () => {
  dataDir = await newDataDir()
})
afterEach(async () => {
  await server.kill('SIGTERM')
  await removeDataDir(dataDir)
})

async function dlq(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(process.execPath, [MAIN, 'dlq', ...args, '--url', server.url])
  let [out, err] = ['', '']
  child.stdout.on('data', (data: Buffer) => (out += data.toString()))
  child.stderr.on('data', (data: Buffer) => (err += data.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, out, err }
}

interface Stand {
  state: string
  visibleVersion: string | null
  latest: { version: string; state: string; error?: { code: string } }
}
const standOf = async (id: string) => (await request<Stand>(server, 'GET', `/v1/documents/${id}`)).body
const settled = async (id: string, state: string) =>
  await eventually(`${id} is ${state}`, async () => {
    const stand = await standOf(id)
    return stand.state === state && stand
  })

async function publishPdf(id: string): Promise<string> {
  const { body } = await request<{ receipt: string }>(server, 'PUT', `/v1/documents/${id}`, {
    raw: new Uint8Array(readFileSync(PDF)),
    headers: { 'Content-Type': 'application/pdf' },
  })
  return body.receipt
}

test('what failed by a limit is replayed under a higher one, at the version it had; what is newer stays', async () => {
  await start({ AQUIFER_MAX_PAGES: '1' })
  const receipt = await publishPdf('guide')
  await publishPdf('edited')
  const { latest } = await settled('guide', 'failed')
  expect(latest.error?.code).toBe('too_large')
  await settled('edited', 'failed')
  await publish(server, 'edited', '# Edited\n\nThe edited text stands.')
  const edited = await settled('edited', 'indexed')
  expect(await search(server, 'well', { after: receipt })).toMatchObject({ fresh: false })

  const listed = await dlq('list', '--cause', 'too_large')
  expect([listed.code, listed.out]).toEqual([0, expect.stringMatching(/ID +WHEN[\s\S]*default\/guide/)])
  const { deadLetters } = JSON.parse((await dlq('list', '--document', 'guide', '--json')).out) as {
    deadLetters: { id: string; key: string }[]
  }
  const [{ id } = { id: '' }] = deadLetters
  const shown = await dlq('show', id)
  expect([shown.code, shown.out]).toEqual([
    0,
    expect.stringMatching(/cause +too_large[\s\S]*can be replayed/),
  ])

  await server.kill('SIGTERM')
  await start({ AQUIFER_MAX_PAGES: '100' })
  expect(await standOf('guide')).toMatchObject({ state: 'failed', visibleVersion: null })
  const dry = await dlq('replay', '--all', '--dry-run')
  expect([dry.code, dry.out]).toEqual([0, expect.stringMatching(/superseded[\s\S]*would replay +1/)])
  expect((await dlq('replay', id, '--json')).out).toContain('"replayed":1')
  // Who waits for it waits until it is there.
  expect(await search(server, 'well', { after: receipt, timeoutMs: 30_000 })).toMatchObject({ fresh: true })
  const replayed = await standOf('guide')
  expect(replayed).toMatchObject({ state: 'indexed', visibleVersion: latest.version })

  const again = await dlq('replay', id)
  expect([again.code, again.out]).toEqual([1, expect.stringContaining('already_indexed')])
  expect(await dlq('replay', '--all', '--yes')).toMatchObject({ code: 0 })
  expect(await standOf('edited')).toEqual(edited)
  expect(await standOf('guide')).toEqual(replayed)
}, 120_000)

test('usage: which ones has to be said, many need --yes, and nothing of theirs steers the terminal', async () => {
  await start()
  for (const id of ['a', 'b\u001B[31m'])
    await request(server, 'PUT', `/v1/documents/${encodeURIComponent(id)}`, {
      raw: '%PDF-1.4 nothing',
      headers: { 'Content-Type': 'application/pdf' },
    })
  await eventually('both failed', async () => {
    const { body } = await request<{ documents: unknown[] }>(server, 'GET', '/v1/documents?state=failed')
    return body.documents.length === 2
  })
  const listed = await dlq('list', '--since', '1h')
  expect(listed.out).not.toContain('\u001B')
  expect((await dlq('list', '--since', '2000-01-01', '--until', '1h')).out).toBe('no dead letters\n')
  const many = await dlq('replay', '--topic', 'documents')
  expect([many.code, many.out, many.err]).toEqual([
    2,
    expect.stringMatching(/would replay +2/),
    expect.stringContaining('--yes'),
  ])
  expect(await dlq('replay', '--document', 'a')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^replayed +1/),
  })
  const wrong = [
    ['replay'],
    ['replay', 'x', '--all'],
    ['replay', '--all', '--document', 'a'],
    ['list', '--since', 'noon'],
    ['list', '--limit', '0'],
    ['show'],
    ['nonsense'],
  ]
  const refused = await Promise.all(wrong.map(async (args) => [args, (await dlq(...args)).code]))
  expect(refused).toEqual(wrong.map((args) => [args, 2]))
  const missing = await dlq('show', 'aquifer.documents.dlq/0/99')
  expect([missing.code, missing.err]).toEqual([1, expect.stringContaining('no such dead letter')])
  for (const command of [[], ['list'], ['show'], ['replay']])
    expect(await dlq(...command, '--help')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/Usage: aquifer dlq/),
    })
}, 120_000)
