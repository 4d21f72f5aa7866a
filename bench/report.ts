import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { shownNumber } from './comparison.ts'
import type { Row } from './comparison.ts'

export interface Report {
  readonly machine: Readonly<Record<'cpu' | 'cores' | 'memory' | 'node' | 'linux', string>>
  readonly rows: readonly Row[]
}

const JSON_FILE = fileURLToPath(new URL('results.json', import.meta.url))
const PAGE = fileURLToPath(new URL('RESULTS.md', import.meta.url))
const [BEGIN, END] = ['<!-- rows -->', '<!-- /rows -->']

export function thisMachine(): Report['machine'] {
  return {
    cpu: cpuName(),
    cores: String(availableParallelism()),
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    node: process.version,
    linux: release(),
  }
}

/** What a figure of the model depends on most: which vector instructions there are. */
function cpuName(): string {
  const name = cpus()[0]?.model ?? 'unknown'
  if (!existsSync('/proc/cpuinfo')) return name
  const flags = new Set(/^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.split(' '))
  const known = ['avx2', 'avx512f', 'avx512_vnni', 'avx_vnni', 'amx_int8'].filter((flag) => flags.has(flag))
  return `${name}${known.length > 0 ? ` (${known.join(', ')})` : ''}`
}

/** The rows measured now take the place of theirs in results.json and in the table of RESULTS.md; those of another machine go. */
export function keep(rows: readonly Row[], order: readonly string[]): void {
  const machine = thisMachine()
  const before: Report | null = existsSync(JSON_FILE) ? JSON.parse(readFileSync(JSON_FILE, 'utf8')) : null
  const same = before !== null && before.machine.cpu === machine.cpu && before.machine.cores === machine.cores
  const byName = new Map([...(same ? before.rows : []), ...rows].map((row) => [row.name, row]))
  const all = order.flatMap((name) => byName.get(name) ?? [])
  writeFileSync(JSON_FILE, `${JSON.stringify({ machine, rows: all }, null, 2)}\n`)
  const page = readFileSync(PAGE, 'utf8')
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (from < 0 || to < from) throw new Error(`${PAGE} has no ${BEGIN} … ${END} to write the table between`)
  const table = asPage({ machine, rows: all })
  writeFileSync(PAGE, `${page.slice(0, from)}${BEGIN}\n\n${table}\n\n${page.slice(to)}`)
}

function asPage({ machine, rows }: Report): string {
  const lines = rows.map((row) =>
    [
      `${row.title} (\`${row.name}\`)`,
      `${shownNumber(row.ours)} ${row.unit}`,
      `${shownNumber(row.peer)}: ${row.peerName}`,
      `${row.ratio.toFixed(2)} [${row.spread.map((value) => value.toFixed(2)).join(', ')}] of ${row.rounds}`,
      `${row.goal.toFixed(2)}: ${row.met ? 'met' : '**not met**'}`,
      row.limit,
    ].join(' | '),
  )
  return [
    `CPU ${machine.cpu}, ${machine.cores} cores, ${machine.memory}, Linux ${machine.linux}, Node ${machine.node}.`,
    '',
    '| what | ours | peer | ratio, more is better: median [least, greatest] of rounds | goal | what bounds ours |',
    '| --- | --- | --- | --- | --- | --- |',
    ...lines.map((line) => `| ${line} |`),
  ].join('\n')
}
