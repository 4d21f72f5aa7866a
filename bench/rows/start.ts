import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { freePort } from '@aquifer/infra/free-port'
import { DEFAULT_MODEL, pullModel, userModelCache } from '@aquifer/models/pull'
import { onnxGraph } from '@aquifer/models/convert/convert'
import { systemClock } from '@aquifer/runtime/clock'
import { newDataDir, removeDataDir } from '@aquifer/test/server'
import type { Bench } from '../comparison.ts'

const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url))
const LIMIT_SECONDS = 5
const DEADLINE_MS = 60_000
const POLL_MS = 10

interface Completion {
  readonly aquifer?: { readonly citations?: readonly unknown[] }
}

/** Asks again until the answer cites a sample; null while nothing serves, or nothing is found yet. */
async function ask(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ messages: [{ role: 'user', content: 'What is a floor?' }] }),
    })
    if (!response.ok) return false
    const { aquifer } = (await response.json()) as Completion
    return (aquifer?.citations?.length ?? 0) > 0
  } catch {
    return false
  }
}

/** Seconds from a new data directory to the first answer, as `pnpm start` starts it. */
async function coldStart(): Promise<number> {
  const dataDir = await newDataDir()
  const port = await freePort()
  const started = performance.now()
  const child = spawn(process.execPath, ['--max-semi-space-size=8', MAIN, 'start'], {
    env: {
      ...process.env,
      MALLOC_ARENA_MAX: '2',
      AQUIFER_DATA_DIR: dataDir,
      AQUIFER_PORT: String(port),
      AQUIFER_LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const gone = once(child, 'exit')
  try {
    const until = performance.now() + DEADLINE_MS
    while (!(await ask(`http://127.0.0.1:${port}`))) {
      if (child.exitCode !== null || performance.now() > until) throw new Error('it did not come to answer')
      await systemClock.sleep(POLL_MS)
    }
    return (performance.now() - started) / 1000
  } finally {
    child.kill('SIGKILL')
    await gone
    await removeDataDir(dataDir)
  }
}

/** From nothing but the model on disk to an answer about the samples. */
export const start: Bench = {
  rows: [
    {
      name: 'start',
      title: 'start, cold, to the first answer with a citation, the model on disk',
      unit: 's',
      better: 'less',
      goal: 1,
      limit:
        'Loading code: 3.3 s of CPU over the main thread, five workers and V8, a fifth of it for taking types away and compiling (`pnpm start` keeps that for the next time; here there is no such cache).',
    },
  ],
  async open() {
    const model = await pullModel(DEFAULT_MODEL, { cacheDirs: [userModelCache(process.env)] })
    await onnxGraph(model, { precision: 'int8', fallbackDir: tmpdir() })
    return {
      ours: { name: 'Aquifer', run: async () => ({ start: await coldStart() }) },
      peers: [{ name: 'the limit', run: async () => ({ start: LIMIT_SECONDS }) }],
      close: async () => {},
    }
  },
}
