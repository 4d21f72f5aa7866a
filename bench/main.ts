import { writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { PartMissing } from '@aquifer/infra/part'
import { compare, shownNumber } from './comparison.ts'
import type { Bench, Row } from './comparison.ts'
import { keep, thisMachine } from './report.ts'
import { embedderService, embedding } from './rows/embedding.ts'
import { evaluator } from './rows/evaluator.ts'
import { freshness } from './rows/freshness.ts'
import { ingestion } from './rows/ingestion.ts'
import { inserted } from './rows/inserted.ts'
import { kafkaBench } from './rows/kafka.ts'
import { logBench } from './rows/log.ts'
import { parseMarkdown, parsePdf } from './rows/parse.ts'
import { queryRate } from './rows/query-rate.ts'
import { search } from './rows/search.ts'
import { start } from './rows/start.ts'

/**
 * `pnpm bench [row…] [--json FILE] [--rounds 5] [--smoke]`: each comparison with its peers in the same run, in turn. A row is named
 * whole or by how it begins; none named means all. What was measured goes into bench/results.json and the table of bench/RESULTS.md;
 * with `--smoke`, one round that shows only that it works, nowhere but into FILE.
 */
const BENCHES: readonly Bench[] = [
  embedding,
  embedderService,
  ingestion,
  freshness,
  start,
  parseMarkdown,
  parsePdf,
  inserted,
  evaluator,
  search,
  queryRate,
  kafkaBench,
  logBench,
]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    smoke: { type: 'boolean', default: false },
  },
})
const { smoke } = values
const rounds = smoke ? 1 : Number(values.rounds)
const order = BENCHES.flatMap((bench) => bench.rows.map(({ name }) => name))
const isWanted = (name: string): boolean =>
  positionals.length === 0 || positionals.some((given) => name.startsWith(given))
const unknown = positionals.filter((given) => !order.some((name) => name.startsWith(given)))
if (unknown.length > 0) refuse(`there is no row ${unknown.join(', ')}; there are: ${order.join(', ')}`)
if (!Number.isInteger(rounds) || rounds < 1) refuse(`--rounds is a whole number from 1: ${values.rounds}`)

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const rows: Row[] = []
const missing: string[] = []
for (const bench of BENCHES) {
  const wanted = bench.rows.map(({ name }) => name).filter(isWanted)
  if (wanted.length === 0) continue
  say(`${wanted.join(', ')} (load average ${loadavg()[0]!.toFixed(1)})`)
  try {
    for (const row of await compare(bench, rounds, { smoke, say })) if (wanted.includes(row.name)) add(row)
  } catch (error) {
    if (!(error instanceof PartMissing)) throw error
    missing.push(`${wanted.join(', ')}: ${error.message}`)
    say(`  left out: ${error.message}`)
  }
}
if (values.json !== undefined)
  writeFileSync(values.json, `${JSON.stringify({ machine: thisMachine(), rows, missing }, null, 2)}\n`)
if (!smoke && rows.length > 0) keep(rows, order)

function add(row: Row): void {
  rows.push(row)
  const { name, ours, peer, peerName, unit, ratio, goal, met, spread } = row
  say(
    `${name}: ${shownNumber(ours)} ${unit}, ${peerName} ${shownNumber(peer)}; ratio ${ratio.toFixed(2)} ` +
      `[${spread.map((value) => value.toFixed(2)).join(', ')}], goal ${goal.toFixed(2)} ${met ? 'met' : 'NOT met'}`,
  )
}

function refuse(why: string): never {
  process.stderr.write(`${why}\n`)
  process.exit(2)
}
