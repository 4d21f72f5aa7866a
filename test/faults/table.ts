import { availableParallelism } from 'node:os'
import { RULES } from '../oracle/facts.ts'
import { faults } from './faults.ts'
import type { Outcome } from './run-fault.ts'

/** `docs/faults.md`. */
export function formatTable(outcomes: readonly Outcome[], skipped: ReadonlyMap<string, string>): string {
  const row = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`
  const head = ['fault', 'what is done', ...RULES, 'recovery', 'repeated work', 'queries judged', 'seed']
  const rows = faults.flatMap(({ name, about }) => {
    const outcome = outcomes.find((each) => each.name === name)
    const reason = skipped.get(name)
    if (!outcome)
      return reason === undefined ? [] : [row([name, `skipped: ${reason}`, ...head.slice(2).map(() => '')])]
    const { verdict, recoveryMs, repeatedWork, counts, seed } = outcome
    const figures = [`${(recoveryMs / 1000).toFixed(1)} s`, repeatedWork.toFixed(2), counts.answered, seed]
    return [row([name, about, ...RULES.map((rule) => verdict.counts[rule]), ...figures])]
  })
  const indexes = [...new Set(outcomes.map(({ index }) => index))].join(', ')
  return `${INTRODUCTION.replace('{index}', indexes).replace('{cores}', String(availableParallelism()))}
${[row(head), row(head.map(() => '---')), ...rows].join('\n')}
`
}

const INTRODUCTION = `# Faults on the real systems

\`\`\`
pnpm faults --seed 1 --table docs/faults.md
\`\`\`

Each fault has a system of its own: Kafka, Redis and the vector index ({index}), two connectors, two embedders and a door as separate processes. Four
producers change 80 documents of two tenants, over HTTP and with a Kafka client of their own (updates, deletions, tombstones, access lists, documents of
several parts, some that cannot be read or embedded), while three readers ask. The oracle of [test/oracle](../test/oracle) compares every answer, and in the
end everything that Qdrant and the disk hold, with what the broker's topics say was accepted.

**Recovery** is the time from the fault's end (a kill: from the death) until eight publications made then are all searchable by their receipts; a dead
member's partitions are given to others after ten seconds. **Repeated work** is the number of texts that the embedding server embedded, by the number of
different ones: 1 is none. The start, at which the members of each group join one by one, is counted in. Measured on {cores} cores, which may have had other work.
`
