import { quantile } from './statistics.ts'

/** What one figure of ours is compared with, and what is wanted of it. */
export interface Comparison {
  readonly name: string
  /** What is measured, for a reader of the table. */
  readonly title: string
  /** Of both figures. */
  readonly unit: string
  readonly better: 'more' | 'less'
  /** The least ratio that will do; a ratio is stated so that more is better. */
  readonly goal: number
  /** What bounds ours. */
  readonly limit: string
}

/** One of those compared. */
export interface Side {
  readonly name: string
  /** Measures once: a figure for each row that this side has one for. */
  run(round: number): Promise<Readonly<Record<string, number>>>
}

export interface Sides {
  readonly ours: Side
  /** At least one for each row; of several the better counts. */
  readonly peers: readonly Side[]
  close(): Promise<void>
}

export interface BenchOptions {
  /** As little as shows that the bench works; its figures mean nothing. */
  readonly smoke: boolean
  /** A line for whoever watches. */
  readonly say: (line: string) => void
}

export interface Bench {
  readonly rows: readonly Comparison[]
  /** Makes all ready and warm, outside what is measured. Throws `PartMissing` where a part that it needs cannot be had. */
  open(options: BenchOptions): Promise<Sides>
}

export interface Row {
  readonly name: string
  readonly title: string
  /** Medians over the rounds. */
  readonly ours: number
  readonly peer: number
  readonly peerName: string
  readonly unit: string
  /** Median over the rounds of that round's ratio. */
  readonly ratio: number
  readonly goal: number
  readonly met: boolean
  /** The least and the greatest of the rounds' ratios. */
  readonly spread: readonly [number, number]
  readonly rounds: number
  readonly limit: string
}

const median = (values: readonly number[]): number => quantile(values, 0.5)

/** Every side once a round, in turn first, so that what drifts or disturbs meets all of them alike. */
export async function compare(bench: Bench, rounds: number, options: BenchOptions): Promise<readonly Row[]> {
  const { ours, peers, ...opened } = await bench.open(options)
  const sides = [ours, ...peers]
  const measured = new Map<Side, Record<string, number>[]>(sides.map((side) => [side, []]))
  try {
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < sides.length; turn++) {
        const side = sides[(round + turn) % sides.length]!
        const figures = await side.run(round)
        measured.get(side)!.push(figures)
        const shown = Object.entries(figures).map(([name, value]) => `${name} ${shownNumber(value)}`)
        options.say(`  round ${round + 1}, ${side.name}: ${shown.join(', ')}`)
      }
    }
  } finally {
    await opened.close()
  }
  const column = (side: Side, name: string): number[] =>
    measured.get(side)!.map((figures) => figures[name] ?? Number.NaN)
  return bench.rows.map((row) => {
    const rivals = peers
      .map((side) => ({ side, values: column(side, row.name) }))
      .filter(({ values }) => !values.some(Number.isNaN))
      .sort((a, b) => (median(b.values) - median(a.values)) * (row.better === 'more' ? 1 : -1))
    if (!rivals[0]) throw new Error(`${row.name}: no peer has a figure for it`)
    return toRow(row, column(ours, row.name), rivals[0].values, rivals[0].side.name)
  })
}

function toRow(
  comparison: Comparison,
  ours: readonly number[],
  peer: readonly number[],
  peerName: string,
): Row {
  const { name, title, unit, better, goal, limit } = comparison
  const ratios = ours.map((value, round) => (better === 'more' ? value / peer[round]! : peer[round]! / value))
  if (!ratios.every(Number.isFinite))
    throw new Error(`${name}: ${ours.join()} beside ${peer.join()} is no ratio`)
  const ratio = median(ratios)
  return {
    name,
    title,
    ours: median(ours),
    peer: median(peer),
    peerName,
    unit,
    ratio,
    goal,
    met: ratio >= goal,
    spread: [Math.min(...ratios), Math.max(...ratios)],
    rounds: ours.length,
    limit,
  }
}

/** Three digits that count, no more. */
export function shownNumber(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return value.toLocaleString('en', { maximumFractionDigits: digits })
}
