/** Logistic regression over binary hashed features, by AdaGrad; the same seed gives the same weights. */

export interface Example {
  readonly features: Int32Array
  readonly positive: boolean
  readonly weight: number
}

export interface Fitted {
  readonly weights: Float32Array
  readonly bias: number
}

export interface FitOptions {
  readonly size: number
  readonly epochs: number
  readonly rate: number
  readonly decay: number
  readonly seed: number
}

/** Mulberry32: small, seeded, good enough to shuffle. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

export function shuffle<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, place: random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ item }) => item)
}

export const scoreOf = ({ weights, bias }: Fitted, features: Int32Array): number => {
  let total = 0
  for (const feature of features) total += weights[feature] ?? 0
  return total / Math.sqrt(Math.max(1, features.length)) + bias
}

export function fitLinear(examples: readonly Example[], options: FitOptions): Fitted {
  const random = randomOf(options.seed)
  const weights = new Float32Array(options.size)
  const squares = new Float32Array(options.size).fill(1e-3)
  let bias = 0
  let biasSquares = 1e-3
  for (let epoch = 0; epoch < options.epochs; epoch++) {
    for (const { features, positive, weight } of shuffle(examples, random)) {
      const norm = 1 / Math.sqrt(Math.max(1, features.length))
      const odds = scoreOf({ weights, bias }, features)
      const slope = (1 / (1 + Math.exp(-odds)) - (positive ? 1 : 0)) * weight
      for (const feature of features) {
        const gradient = slope * norm + options.decay * (weights[feature] ?? 0)
        squares[feature] = (squares[feature] ?? 0) + gradient * gradient
        weights[feature] =
          (weights[feature] ?? 0) - (options.rate * gradient) / Math.sqrt(squares[feature] ?? 1)
      }
      biasSquares += slope * slope
      bias -= (options.rate * slope) / Math.sqrt(biasSquares)
    }
  }
  return { weights, bias }
}
