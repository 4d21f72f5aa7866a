import { sigmoid } from '../../src/groundedness/model.ts'

export interface Example {
  readonly x: readonly number[]
  readonly positive: boolean
  readonly weight: number
}

/** Logistic regression with an L2 penalty on all but the bias, by Newton's steps; `x` without a bias column. */
export function fitLogistic(
  examples: readonly Example[],
  penalty: number,
): { bias: number; weights: number[] } {
  const width = (examples[0]?.x.length ?? 0) + 1
  let beta = Array.from({ length: width }, () => 0)
  for (let step = 0; step < 30; step++) {
    const gradient = beta.map((value, at) => (at === 0 ? 0 : -penalty * value))
    const hessian = beta.map((_, row) =>
      beta.map((_, column) => (row === column ? (row === 0 ? 1e-9 : penalty) : 0)),
    )
    for (const { x, positive, weight } of examples) {
      const full = [1, ...x]
      const p = sigmoid(full.reduce((total, value, at) => total + value * (beta[at] ?? 0), 0))
      for (let row = 0; row < width; row++) {
        const value = full[row] ?? 0
        gradient[row] = (gradient[row] ?? 0) + weight * ((positive ? 1 : 0) - p) * value
        const line = hessian[row] ?? []
        for (let column = 0; column < width; column++)
          line[column] = (line[column] ?? 0) + weight * p * (1 - p) * value * (full[column] ?? 0)
      }
    }
    const change = solve(hessian, gradient)
    beta = beta.map((value, at) => value + (change[at] ?? 0))
    if (Math.max(...change.map(Math.abs)) < 1e-8) break
  }
  return { bias: beta[0] ?? 0, weights: beta.slice(1) }
}

/** Gaussian elimination with pivoting. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, at) => [...row, right[at] ?? 0])
  for (let at = 0; at < rows.length; at++) {
    let pivot = at
    for (let row = at + 1; row < rows.length; row++)
      if (Math.abs(rows[row]?.[at] ?? 0) > Math.abs(rows[pivot]?.[at] ?? 0)) pivot = row
    const best = rows[pivot] ?? []
    rows[pivot] = rows[at] ?? []
    rows[at] = best
    for (const [row, values] of rows.entries()) {
      if (row === at) continue
      const factor = (values[at] ?? 0) / (best[at] ?? 1)
      if (factor !== 0) rows[row] = values.map((value, column) => value - factor * (best[column] ?? 0))
    }
  }
  return rows.map((row, at) => (row.at(-1) ?? 0) / (row[at] ?? 1))
}
