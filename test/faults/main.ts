import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { PartMissing } from '@aquifer/infra/part'
import { RULES } from '../oracle/facts.ts'
import { faults } from './faults.ts'
import { formatOutcome, runFault } from './run-fault.ts'
import type { Outcome } from './run-fault.ts'
import { formatTable } from './table.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: '1' },
    json: { type: 'string' },
    table: { type: 'string' },
    list: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  },
})
const unknown = positionals.filter((name) => !faults.some((fault) => fault.name === name))
if (unknown.length > 0) {
  console.error(`no fault ${unknown.join(', ')}; there are: ${faults.map(({ name }) => name).join(' ')}`)
  process.exit(2)
}
const wanted = faults.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
if (values.list) {
  for (const { name, about } of wanted) console.log(`${name}  ${about}`)
  process.exit(0)
}

const dir = await mkdtemp(join(tmpdir(), 'aquifer-faults-'))
const outcomes: Outcome[] = []
const skipped = new Map<string, string>()
let failures = 0
for (const fault of wanted) {
  try {
    const outcome = await runFault(fault, Number(values.seed), join(dir, fault.name))
    outcomes.push(outcome)
    console.log(formatOutcome(outcome))
    for (const violation of outcome.verdict.violations) console.log(`    ${violation}`)
    if (RULES.some((rule) => outcome.verdict.counts[rule] > 0)) failures++
  } catch (error) {
    if (error instanceof PartMissing) {
      skipped.set(fault.name, error.message)
      console.log(`${fault.name}  skipped: ${error.message}`)
      continue
    }
    failures++
    console.log(`${fault.name}  failed, seed ${values.seed}`)
    console.error(error)
  }
}
const kept = values.keep || failures > 0
if (kept) console.log(`logs: ${dir}`)
else await rm(dir, { recursive: true, force: true })
if (values.json !== undefined) await writeFile(values.json, JSON.stringify(outcomes.map(toJson), null, 2))
if (values.table !== undefined) await writeFile(values.table, formatTable(outcomes, skipped))
process.exit(failures > 0 ? 1 : 0)

function toJson({ counts, ...outcome }: Outcome) {
  return { ...outcome, load: { ...counts, failed: Object.fromEntries(counts.failed) } }
}
