/** Seeded numbers in [0, 1): mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export interface Scored {
  /** Higher means more likely positive. */
  readonly score: number
  readonly positive: boolean
  readonly source: string
  readonly length: number
}

/** Share of (positive, negative) pairs in the right order, ties half. */
export function auroc(rows: readonly Scored[]): number {
  const { right, pairs } = ordered(rows)
  return right / pairs
}

/**
 * AUROC over the pairs within the same eighth of answer length only, so that length cannot tell them apart: the sum of
 * rightly ordered pairs over all strata by the sum of pairs.
 */
export function lengthMatchedAuroc(rows: readonly Scored[], strata = 8): number {
  const sorted = [...rows].sort((a, b) => a.length - b.length)
  let right = 0
  let pairs = 0
  for (let at = 0; at < strata; at++) {
    const found = ordered(
      sorted.slice(Math.round((at * rows.length) / strata), Math.round(((at + 1) * rows.length) / strata)),
    )
    right += found.right
    pairs += found.pairs
  }
  return right / pairs
}

function ordered(rows: readonly Scored[]): { right: number; pairs: number } {
  const negatives = rows.filter(({ positive }) => !positive)
  let right = 0
  let pairs = 0
  for (const { score, positive } of rows) {
    if (!positive) continue
    pairs += negatives.length
    for (const other of negatives) right += score > other.score ? 1 : score === other.score ? 0.5 : 0
  }
  return { right, pairs }
}

export function balancedAccuracy(rows: readonly { positive: boolean; said: boolean }[]): number {
  const share = (positive: boolean): number => {
    const those = rows.filter((row) => row.positive === positive)
    return those.filter(({ said }) => said === positive).length / those.length
  }
  return (share(true) + share(false)) / 2
}

/** 95 % percentile interval of a figure when whole sources are drawn anew. */
export function interval<T extends { readonly source: string }>(
  rows: readonly T[],
  figure: (rows: readonly T[]) => number,
  random: () => number,
  draws = 1_000,
): [number, number] {
  const sources = [...Map.groupBy(rows, ({ source }) => source).values()]
  const figures = Array.from({ length: draws }, () =>
    figure(sources.flatMap(() => sources[Math.floor(random() * sources.length)] ?? [])),
  )
    .filter((value) => !Number.isNaN(value))
    .sort((a, b) => a - b)
  return [figures[Math.floor(0.025 * figures.length)] ?? 0, figures[Math.floor(0.975 * figures.length)] ?? 0]
}

/** Brier score, and expected calibration error over ten bins of equal count. */
export function reliability(rows: readonly { probability: number; positive: boolean }[]): {
  brier: number
  ece: number
} {
  const sorted = [...rows].sort((a, b) => a.probability - b.probability)
  const brier = mean(sorted.map(({ probability, positive }) => (probability - (positive ? 1 : 0)) ** 2))
  let ece = 0
  for (let bin = 0; bin < 10; bin++) {
    const those = sorted.slice(
      Math.round((bin * rows.length) / 10),
      Math.round(((bin + 1) * rows.length) / 10),
    )
    const gap =
      mean(those.map(({ probability }) => probability)) -
      mean(those.map(({ positive }) => (positive ? 1 : 0)))
    ece += (Math.abs(gap) * those.length) / rows.length
  }
  return { brier, ece }
}

export function mean(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0) / values.length
}
