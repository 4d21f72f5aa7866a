import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually, newDataDir, removeDataDir, request, startServer } from './harness/server.ts'
import type { Server } from './harness/server.ts'

const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url))

async function aquifer(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  child.stdout.on('data', (data: Buffer) => (out += data.toString()))
  child.stderr.on('data', (data: Buffer) => (err += data.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, out, err }
}

describe('aquifer', () => {
  let dataDir: string
  let server: Server
  let keys: string
  const client = (key?: string) => ['--url', server.url, ...(key ? ['--key', key] : [])]
  beforeAll(async () => {
    dataDir = await newDataDir()
    keys = join(dataDir, 'keys.jsonl')
    writeFileSync(keys, '')
    server = await startServer(dataDir, { AQUIFER_EMBEDDER: 'lexical:', AQUIFER_API_KEYS: keys })
  })
  afterAll(async () => {
    await server.kill('SIGTERM')
    await removeDataDir(dataDir)
  })

  test('keys, publish, status, ask: each with exit code 0, and JSON where asked', async () => {
    const env = { AQUIFER_API_KEYS: keys }
    const added = await aquifer(['keys', 'add', '--tenant', 'acme', '--groups', 'staff', '--json'], env)
    const { key, sha256 } = JSON.parse(added.out) as { key: string; sha256: string }
    expect(added.code).toBe(0)
    expect((await aquifer(['keys', 'list'], env)).out).toContain(`${sha256.slice(0, 12)}  acme  groups=staff`)

    const folder = join(dataDir, 'to-publish', 'deep')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'bilby.md'), '# Bilby\n\nThe bilby digs a spiral burrow.\n')
    writeFileSync(join(dataDir, 'to-publish', 'note.txt'), 'Its ears are long.')
    const published = await aquifer(['publish', join(dataDir, 'to-publish'), '--json', ...client(key)])
    const ids = published.out
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { id: string }).id)
    expect([published.code, ids.sort()]).toEqual([0, ['deep/bilby.md', 'note.txt']])
    await eventually('they are indexed', async () =>
      (await aquifer(['status', 'deep/bilby.md', ...client(key)])).out.includes('indexed'),
    )

    const asked = await aquifer(['ask', 'What does the bilby dig?', ...client(key)])
    expect(asked.code).toBe(0)
    expect(asked.out).toContain('[1] deep/bilby.md: “The bilby digs a spiral burrow.”')
    expect(JSON.parse((await aquifer(['status', '--json', ...client(key)])).out)).toMatchObject({
      documents: { indexed: 2 },
    })

    expect((await aquifer(['keys', 'revoke', sha256.slice(0, 12)], env)).code).toBe(0)
    expect(
      (await request(server, 'GET', '/v1/status', { headers: { Authorization: `Bearer ${key}` } })).status,
    ).toBe(401)
    const refused = await aquifer(['ask', 'anything', ...client(key)])
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('valid API key')])
  })

  test('wrong usage is 2, a server that is not there 1 with what to do, help 0', async () => {
    expect((await aquifer(['ask'])).code).toBe(2)
    expect((await aquifer(['nonsense'])).code).toBe(2)
    expect(await aquifer(['status', '--url', 'http://127.0.0.1:9'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('pnpm start'),
    })
    for (const command of [[], ['start'], ['publish'], ['ask'], ['status'], ['keys'], ['model']]) {
      expect(await aquifer([...command, '--help'])).toMatchObject({
        code: 0,
        out: expect.stringContaining('Usage: aquifer'),
      })
    }
  })

  test('a wrong setting stops the start with its name, its value and what is allowed', async () => {
    const started = await aquifer(['start'], {
      AQUIFER_PORT: 'abc',
      AQUIFER_DATA_DIR: join(dataDir, 'other'),
    })
    expect([started.code, started.err]).toEqual([1, expect.stringMatching(/AQUIFER_PORT="abc"/)])
    expect(await aquifer(['start', 'embedder'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('one owner process'),
    })
  })
})
