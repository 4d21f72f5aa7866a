import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { freePort } from '@aquifer/infra/free-port'
import { startRedis } from '@aquifer/infra/redis'
import { startTestPart } from '@aquifer/infra/test-part'

const MAIN = fileURLToPath(new URL('../infra/native/main.ts', import.meta.url))

interface Told {
  readonly phase: string
  readonly parts: readonly { name: string; label: string; pid: number; port: number; answers: boolean }[]
}

// Only to learn whether there is one.
const redis = await startTestPart('redis', startRedis)
if (!('missing' in redis)) await redis.stop()

let dir: string
let port: number
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'aquifer-native-'))
  port = await freePort()
})
afterAll(async () => {
  await native('down')
  await rm(dir, { recursive: true, force: true })
})

async function native(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return await new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { cwd: dir }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    )
  })
}

const up = (at = port) => native('up', '--parts', 'redis', '--redis-port', String(at))
const status = async () => JSON.parse((await native('status', '--json')).stdout) as Told

test('native: a wrong command says what there is', async () => {
  expect(await native('upp')).toMatchObject({ code: 2, stdout: '' })
  expect(await native('up', '--parts', 'redis,rabbit')).toMatchObject({ code: 2 })
  expect(await native('up', '--redis-port', '70000')).toMatchObject({ code: 2 })
})

test.skipIf('missing' in redis)(
  `native: up starts once, keeps what it started running, and down leaves nothing${'missing' in redis ? ` (${redis.missing})` : ''}`,
  async () => {
    expect(await native('status')).toMatchObject({ code: 1, stdout: 'nothing runs\n' })
    const lines = `export AQUIFER_STATE='redis://127.0.0.1:${port}'\n`
    // Two at once agree on one server.
    for (const { code, stdout } of await Promise.all([up(), up()])) {
      expect(stdout).toBe(lines)
      expect(code).toBe(0)
    }
    const first = await status()
    expect(first).toMatchObject({ phase: 'running', parts: [{ name: 'redis', port, answers: true }] })
    expect(await up()).toMatchObject({ code: 0, stdout: lines })
    expect(await status()).toEqual(first)

    process.kill(first.parts[0]!.pid, 'SIGKILL')
    await vi.waitFor(
      async () => {
        const now = await status()
        expect(now.parts[0]!.pid).not.toBe(first.parts[0]!.pid)
        expect(now.parts[0]!.answers).toBe(true)
      },
      { timeout: 20_000 },
    )
    expect(await native('up', '--parts', 'redis,kafka')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('runs without kafka'),
    })

    const last = (await status()).parts[0]!.pid
    expect(await native('down')).toMatchObject({ code: 0 })
    expect(() => process.kill(last, 0)).toThrow('ESRCH')
    expect(await native('down')).toMatchObject({ code: 0, stderr: 'nothing was running\n' })
  },
)

test.skipIf('missing' in redis)('native: a port that is taken is told before anything starts', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const taken = (server.address() as AddressInfo).port
  expect(await up(taken)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`port ${taken} is taken`),
  })
  expect(await native('status')).toMatchObject({ code: 1 })
  server.close()
})
