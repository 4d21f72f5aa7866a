import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { formatCounts } from '../oracle/facts.ts'
import { PLANTED } from './planted.ts'
import { runSeeds } from './run.ts'
import { logger } from './services.ts'
import { simulate } from './simulate.ts'

/**
 * `pnpm sim --seeds N --from S`: N seeds from S on. How often each fault came about, then each failing seed and how to replay it; the
 * last line counts what the oracle found, and the exit code is 1 where that is anything. `--trace` prints all that happens in the
 * seed S. `--plant NAME` puts a fault into the system itself.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    threads: { type: 'string', default: String(availableParallelism()) },
    plant: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
})
const [seeds, from, threads] = [values.seeds, values.from, values.threads].map((given) => {
  const number = Number(given)
  if (Number.isSafeInteger(number) && number >= 0) return number
  process.stderr.write(`${given} is not a whole number\n`)
  process.exit(2)
}) as [number, number, number]
if (values.plant !== undefined && !(values.plant in PLANTED)) {
  process.stderr.write(`--plant is one of: ${Object.keys(PLANTED).join(', ')}\n`)
  process.exit(2)
}
const say = (line: string): void => void process.stdout.write(`${line}\n`)

if (values.trace) await trace(from)
else await run()

async function trace(seed: number): Promise<void> {
  const plant = values.plant === undefined ? {} : PLANTED[values.plant as keyof typeof PLANTED]
  logger.level = 'warn'
  const { verdict, facts, hash } = await simulate(seed, { plant, print: say })
  for (const fact of facts) say(JSON.stringify(fact))
  for (const violation of verdict.violations) say(violation)
  say(`trace ${hash}`)
  end(formatCounts(1, verdict.counts), verdict.violations.length > 0)
}

async function run(): Promise<void> {
  const started = performance.now()
  let done = 0
  const result = await runSeeds({
    seeds,
    from,
    threads,
    plant: values.plant ?? null,
    onSeed: ({ seed, violations }) => {
      done++
      if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${seeds}`)
      for (const violation of violations) say(`seed ${seed}: ${violation}`)
      return false
    },
  })
  if (process.stderr.isTTY) process.stderr.write('\r')
  const names = [...result.fired].sort(([a], [b]) => (a < b ? -1 : 1))
  for (const [name, times] of names) say(`${String(times).padStart(9)}  ${name}`)
  const plant = values.plant === undefined ? '' : ` --plant '${values.plant}'`
  for (const { seed } of result.failing)
    say(`seed ${seed} failed; replay it: pnpm sim --from ${seed} --seeds 1 --trace${plant}`)
  say(`${((performance.now() - started) / 1000).toFixed(1)} s on ${threads} threads`)
  end(formatCounts(result.seeds, result.counts), result.failing.length > 0)
}

function end(lastLine: string, failed: boolean): void {
  say(lastLine)
  // What a finished seed left waiting in virtual time keeps nothing alive, but pools of real threads may.
  process.exitCode = failed ? 1 : 0
}
