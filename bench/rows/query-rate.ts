import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { openEmbedder } from '@aquifer/models/open'
import type { Bench, Comparison, Side } from '../comparison.ts'
import { quantile } from '../statistics.ts'
import { cacheDir, realChunks } from './query-chunks.ts'
import type { Real } from './query-chunks.ts'
import type { QueryTask } from './query-child.ts'
import { makeTable, recallOf, tableDir } from './query-table.ts'

const SIZES = { '10k': 10_000, '100k': 100_000, '1m': 1_000_000 }
const SMOKE_SIZES = { '10k': 100, '100k': 200, '1m': 300 }
const QUESTIONS = 60
const SMOKE_QUESTIONS = 3
const GROWTH = 'query-growth'

const row = (size: string): Comparison => ({
  name: `query-rate-${size}`,
  title: `Both lists of 50 for a question at ${size} chunks, by tenant and access, one after the other, p50`,
  unit: 'ms',
  better: 'less',
  goal: 1 / 1.2,
  limit: 'LanceDB: of that most is reading 250 vectors and 100 rows of text from where they lie.',
})

/** The vector index through its port, beside LanceDB's own client on the same tables. */
export const queryRate: Bench = {
  rows: [
    ...Object.keys(SIZES).map(row),
    {
      name: GROWTH,
      title: 'How many times as long the same takes at 1m chunks as at 10k',
      unit: '×',
      better: 'less',
      goal: 0.95,
      limit: 'LanceDB, as above; the goal leaves 5 % to chance.',
    },
  ],
  async open({ smoke, say }) {
    const sizes = smoke ? SMOKE_SIZES : SIZES
    const embedder = await openEmbedder('onnx:all-MiniLM-L6-v2', { dataDir: cacheDir, env: process.env })
    const real = await realChunks(embedder, smoke)
    await embedder.close()
    const { fingerprint } = embedder
    const folders: string[] = []
    for (const [size, rows] of Object.entries(sizes)) {
      if (smoke) rmSync(tableDir({ rows, fingerprint }), { recursive: true, force: true })
      await makeTable({ rows, fingerprint }, real, say)
      folders.push(tableDir({ rows, fingerprint }))
      if (!smoke) say(`  ${size}: recall@10 ${(await recallOf({ rows, fingerprint }, real)).toFixed(3)}`)
    }
    const asked = smoke ? SMOKE_QUESTIONS : QUESTIONS
    const ours = await openSide('aquifer', 'port', folders, real, asked)
    const client = await openSide("LanceDB's client", 'client', folders, real, asked)
    return {
      ours: ours.side,
      peers: [client.side],
      async close() {
        ours.child.kill()
        client.child.kill()
        if (smoke) for (const folder of folders) rmSync(folder, { recursive: true })
      },
    }
  },
}

async function openSide(
  name: string,
  kind: string,
  folders: readonly string[],
  { questions }: Real,
  asked: number,
): Promise<{ side: Side; child: ChildProcess }> {
  const child = fork(fileURLToPath(new URL('query-child.ts', import.meta.url)), [kind, ...folders], {
    serialization: 'advanced',
    // LanceDB warns of every query by text.
    env: { ...process.env, RUST_LOG: 'error' },
  })
  await once(child, 'message')
  const ask = async (table: number, first: number): Promise<number> => {
    const times: number[] = []
    for (let i = 0; i < asked; i++) {
      const question = questions[(first + i) % questions.length]!
      child.send({ table, question } satisfies QueryTask)
      const [ms] = (await once(child, 'message')) as [number]
      times.push(ms)
    }
    return quantile(times, 0.5)
  }
  for (const table of folders.keys()) await ask(table, 0)
  const run = async (round: number): Promise<Record<string, number>> => {
    const figures: Record<string, number> = {}
    for (const [table, size] of Object.keys(SIZES).entries())
      figures[`query-rate-${size}`] = await ask(table, round * asked)
    figures[GROWTH] = figures['query-rate-1m']! / figures['query-rate-10k']!
    return figures
  }
  return { side: { name, run }, child }
}
