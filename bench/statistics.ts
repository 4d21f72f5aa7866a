import { seeded } from '@aquifer/test/seeded'

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Nearest-rank quantile. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!
}

/** The mean of `a - b` with its 95 % interval: paired bootstrap over rows, 10,000 resamples. */
export function pairedBootstrap(
  a: readonly number[],
  b: readonly number[],
  seed = 1,
): { difference: number; low: number; high: number } {
  const differences = a.map((value, i) => value - b[i]!)
  const random = seeded(seed)
  const means = Array.from({ length: 10_000 }, () => {
    let sum = 0
    for (let i = 0; i < differences.length; i++)
      sum += differences[Math.floor(random() * differences.length)]!
    return sum / differences.length
  })
  return { difference: mean(differences), low: quantile(means, 0.025), high: quantile(means, 0.975) }
}

/** Area under the ROC curve, ties counted half (Mann and Whitney). */
export function auroc(scores: readonly number[], positive: readonly boolean[]): number {
  const order = scores
    .map((score, i) => ({ score, positive: positive[i]! }))
    .sort((a, b) => a.score - b.score)
  let rankSum = 0
  for (let from = 0; from < order.length;) {
    let to = from
    while (to < order.length && order[to]!.score === order[from]!.score) to++
    const rank = (from + 1 + to) / 2
    for (let i = from; i < to; i++) if (order[i]!.positive) rankSum += rank
    from = to
  }
  const positives = positive.filter(Boolean).length
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * (positive.length - positives))
}
