import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makePdf } from '../../services/connector/src/load/pdf-fixture.ts'
import { newDataDir, removeDataDir, request, startServer } from './harness/server.ts'
import type { Server } from './harness/server.ts'

const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url))
const KNOWN = 'known-to-nobody-else'
const LATER = 'added-while-it-runs'

let dataDir: string
let server: Server
let log = ''

beforeAll(async () => {
  dataDir = await newDataDir()
  await writeFile(join(dataDir, 'passwords'), `${KNOWN}\n`, { mode: 0o600 })
  server = await startServer(dataDir, {
    AQUIFER_EMBEDDER: 'lexical:',
    AQUIFER_LOG_LEVEL: 'trace',
    AQUIFER_DOCUMENT_PASSWORDS_FILE: join(dataDir, 'passwords'),
  })
  server.process.stderr!.on('data', (data: Buffer) => (log += data.toString()))
})
afterAll(async () => {
  await server.kill('SIGKILL')
  await removeDataDir(dataDir)
})

async function publish(name: string, password: string): Promise<{ code: number; out: string }> {
  const path = join(dataDir, name)
  await writeFile(path, makePdf([[{ text: `The ${name} is under the oak.`, y: 700 }]], 'A well', password))
  const child = spawn(process.execPath, [MAIN, 'publish', path, '--wait', '--url', server.url])
  const [out, [code]] = await Promise.all([text(child.stdout), once(child, 'close') as Promise<[number]>])
  return { code, out }
}
async function find(query: string): Promise<string | undefined> {
  const { body } = await request<{ hits: { text: string }[] }>(server, 'POST', '/v1/search', {
    body: { query },
  })
  return body.hits[0]?.text
}

test('a protected document: found where its password is known; else publish says what to do, and that works', async () => {
  expect(await publish('pump.pdf', KNOWN)).toMatchObject({ code: 0 })
  expect(await find('pump')).toBe('The pump.pdf is under the oak.')

  const failed = await publish('valve.pdf', LATER)
  expect(failed.code).toBe(1)
  expect(failed.out).toMatch(
    /password that is not known.*AQUIFER_DOCUMENT_PASSWORDS_FILE.*\(failed, encrypted\)/,
  )

  await writeFile(join(dataDir, 'passwords'), `${KNOWN}\n${LATER}\n`)
  expect(await publish('valve.pdf', LATER)).toMatchObject({ code: 0 })
  expect(await find('valve')).toBe('The valve.pdf is under the oak.')

  const kept = await Promise.all([
    ...[
      '/v1/documents/valve.pdf',
      '/v1/documents/pump.pdf',
      '/v1/dead-letters?topic=aquifer.documents.dlq',
    ].map(async (path) => JSON.stringify((await request(server, 'GET', path)).body)),
    ...['log.db', 'log.db-wal', 'state.db', 'state.db-wal'].map(
      async (name) => await readFile(join(dataDir, name), 'latin1').catch(() => ''),
    ),
  ])
  expect(log).toContain('document failed')
  for (const each of [...kept, log, failed.out])
    for (const password of [KNOWN, LATER]) expect(each.includes(password)).toBe(false)
})
