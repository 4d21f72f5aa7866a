/** Full-batch fits of the two linear models; deterministic, so that the same rows give the same weights. */

export interface Group {
  /** One row of features for each candidate. */
  readonly rows: readonly (readonly number[])[]
  /** How much each candidate counts as the one to be found: 1, a share, or 0. */
  readonly found: readonly number[]
}

const STEPS = 400
const RATE = 0.08

/**
 * Weights that give the candidates which are to be found the most of a softmax over their group (ListNet's top-one loss with
 * several right answers), with a Gaussian prior of strength `l2` on standardised features.
 */
export function fitListwise(groups: readonly Group[], l2: number): number[] {
  const scale = scales(groups.flatMap((group) => group.rows))
  const size = scale.length
  const values = flat(
    groups.flatMap((group) => group.rows),
    scale,
    false,
  )
  const found = Float64Array.from(groups.flatMap((group) => group.found))
  const shares = new Float64Array(found.length)
  const fitted = descend(size, (weights, gradient) => {
    for (let f = 0; f < size; f++) gradient[f] = (l2 * weights[f]!) / groups.length
    let from = 0
    for (const { length } of groups.map((group) => group.rows)) {
      const to = from + length
      let most = -Infinity
      for (let row = from; row < to; row++)
        most = Math.max(most, (shares[row] = product(values, row * size, weights)))
      let all = 0
      let right = 1e-300
      for (let row = from; row < to; row++) {
        const share = (shares[row] = Math.exp(shares[row]! - most))
        all += share
        right += share * found[row]!
      }
      for (let row = from; row < to; row++) {
        const pull = (shares[row]! / all - (shares[row]! * found[row]!) / right) / groups.length
        for (let f = 0; f < size; f++) gradient[f]! += pull * values[row * size + f]!
      }
      from = to
    }
  })
  return fitted.map((weight, f) => weight / (scale[f]?.spread ?? 1))
}

/**
 * Logistic regression whose weights keep the sign they are given (1 or -1), which holds it to what each feature means when
 * the rows are few. Answers the weights and, last, the constant.
 */
export function fitLogistic(
  rows: readonly (readonly number[])[],
  labels: readonly boolean[],
  signs: readonly number[],
  l2: number,
): number[] {
  const scale = [...scales(rows), { mean: 0, spread: 1 }]
  const constant = signs.length
  const size = constant + 1
  const values = flat(
    rows.map((row) => [...row, 1]),
    scale,
    true,
  )
  const fitted = descend(
    size,
    (weights, gradient) => {
      for (let f = 0; f < constant; f++) gradient[f] = (l2 * weights[f]!) / rows.length
      for (let row = 0; row < rows.length; row++) {
        const sum = product(values, row * size, weights)
        const pull = (1 / (1 + Math.exp(-sum)) - (labels[row] ? 1 : 0)) / rows.length
        for (let f = 0; f < size; f++) gradient[f]! += pull * values[row * size + f]!
      }
    },
    (weights) => {
      for (const [f, sign] of signs.entries()) if ((weights[f] ?? 0) * sign < 0) weights[f] = 0
    },
  )
  const weights = signs.map((_, f) => (fitted[f] ?? 0) / (scale[f]?.spread ?? 1))
  const shift = weights.reduce((sum, weight, f) => sum + weight * (scale[f]?.mean ?? 0), 0)
  return [...weights, (fitted[constant] ?? 0) - shift]
}

function flat(rows: readonly (readonly number[])[], scale: readonly Scale[], centred: boolean): Float64Array {
  return Float64Array.from(
    rows.flatMap((row) => row.map((value, f) => (value - (centred ? scale[f]!.mean : 0)) / scale[f]!.spread)),
  )
}

function product(values: Float64Array, from: number, weights: Float64Array): number {
  let sum = 0
  for (let f = 0; f < weights.length; f++) sum += values[from + f]! * weights[f]!
  return sum
}

/** Adam (Kingma and Ba, 2015) over the whole batch, its rate falling to nothing; `bound` is applied after each step. */
function descend(
  size: number,
  gradientOf: (weights: Float64Array, gradient: Float64Array) => void,
  bound: (weights: Float64Array) => void = () => {},
): number[] {
  const weights = new Float64Array(size)
  const gradient = new Float64Array(size)
  const mean = new Float64Array(size)
  const square = new Float64Array(size)
  for (let step = 1; step <= STEPS; step++) {
    gradient.fill(0)
    gradientOf(weights, gradient)
    const rate = RATE * (1 - (step - 1) / STEPS)
    for (const [f, slope] of gradient.entries()) {
      const m = (mean[f] = 0.9 * (mean[f] ?? 0) + 0.1 * slope)
      const v = (square[f] = 0.999 * (square[f] ?? 0) + 0.001 * slope * slope)
      weights[f] =
        (weights[f] ?? 0) - (rate * (m / (1 - 0.9 ** step))) / (Math.sqrt(v / (1 - 0.999 ** step)) + 1e-12)
    }
    bound(weights)
  }
  return [...weights]
}

interface Scale {
  readonly mean: number
  readonly spread: number
}

function scales(rows: readonly (readonly number[])[]): Scale[] {
  const count = Math.max(1, rows.length)
  return (rows[0] ?? []).map((_, f) => {
    const mean = rows.reduce((sum, row) => sum + (row[f] ?? 0), 0) / count
    const variance = rows.reduce((sum, row) => sum + ((row[f] ?? 0) - mean) ** 2, 0) / count
    return { mean, spread: Math.sqrt(variance) + 1e-9 }
  })
}

/** A pseudorandom order of 0..count-1 that a seed decides (mulberry32, Fisher and Yates). */
export function shuffled(count: number, seed: number): number[] {
  let state = seed >>> 0
  const random = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  const order = Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const kept = order[i] ?? 0
    order[i] = order[j] ?? 0
    order[j] = kept
  }
  return order
}
