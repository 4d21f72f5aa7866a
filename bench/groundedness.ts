import { mapLimited } from '@aquifer/runtime/concurrency'
import { newDataDir, removeDataDir, request, startServer } from '@aquifer/test/server'
import { readRows } from './data.ts'
import { auroc, mean, quantile } from './statistics.ts'

/**
 * The groundedness of the development sets through POST /v1/evaluate. The shipped weights were fitted on RAGTruth, so its figures here
 * are in sample; those out of fold stand in packages/models/src/groundedness/weights.json, made by packages/models/fit/groundedness.
 *
 *   node bench/groundedness.ts
 */
interface Row {
  question?: string
  response: string
  context: string | string[]
  label: string
}

const dataDir = await newDataDir()
const server = await startServer(dataDir)
try {
  for (const name of ['ragtruth', 'mtrag_human', 'faithbench']) {
    const rows = readRows<Row>(`groundedness_${name}.jsonl`)
    const times: number[] = []
    const scored = await mapLimited(rows, 2, async ({ question, response, context }) => {
      const started = performance.now()
      const contexts = typeof context === 'string' ? [context] : context
      const { status, body } = await request<{ scores: { groundedness: number }; grounded: boolean }>(
        server,
        'POST',
        '/v1/evaluate',
        {
          body: { answer: response, contexts, ...(question === undefined ? {} : { question }) },
        },
      )
      if (status !== 200) throw new Error(`evaluate: ${status} ${JSON.stringify(body)}`)
      times.push(performance.now() - started)
      return { score: body.scores.groundedness, grounded: body.grounded }
    })
    const truth = rows.map(({ label }) => label === 'grounded')
    const rate = (of: boolean) =>
      mean(scored.flatMap(({ grounded }, i) => (truth[i] === of ? [Number(grounded === of)] : [])))
    const area = auroc(
      scored.map(({ score }) => score),
      truth,
    )
    console.log(
      `${name.padEnd(12)} rows ${rows.length}  AUROC ${area.toFixed(3)}  balanced accuracy ${((rate(true) + rate(false)) / 2).toFixed(3)}  ` +
        `ms p50 ${quantile(times, 0.5).toFixed(0)} p95 ${quantile(times, 0.95).toFixed(0)}`,
    )
  }
} finally {
  await server.kill('SIGTERM')
  await removeDataDir(dataDir)
}
