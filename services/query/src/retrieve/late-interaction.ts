/**
 * Late interaction (ColBERT's MaxSim; Khattab and Zaharia 2020) between a question's word vectors and the one-bit word states of
 * a passage. One bit a dimension costs .002 of R@5 against floats, at a thirty-second of their size (bench/RESULTS.md).
 */

/** A window of so many content words is about a sentence: the best one says where the answer stands. */
const WINDOW = 24
const STRIDE = 8

export interface QueryWords {
  /** `tables[i][byte * 256 + value]`: what those eight bits add to the dot product of word i with a vector of signs. */
  readonly tables: readonly Float32Array[]
  /** Of each word; they add up to 1. */
  readonly weights: readonly number[]
  readonly bytesPerWord: number
}

/** Prepares a question: `vectors` holds one unit vector a word, `dimensions` floats each, a multiple of 8. */
export function prepareQuery(
  vectors: Float32Array,
  dimensions: number,
  weights: readonly number[],
): QueryWords {
  const scale = 1 / Math.sqrt(dimensions)
  const tables = weights.map((_, i) =>
    signTable(vectors.subarray(i * dimensions, (i + 1) * dimensions), scale),
  )
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return {
    tables,
    weights: weights.map((weight) => (total > 0 ? weight / total : 1 / weights.length)),
    bytesPerWord: dimensions / 8,
  }
}

function signTable(vector: Float32Array, scale: number): Float32Array {
  const table = new Float32Array((vector.length / 8) * 256)
  for (let byte = 0; byte < vector.length / 8; byte++) {
    const at = byte * 256
    for (let bit = 0; bit < 8; bit++) table[at]! -= vector[byte * 8 + bit]! * scale
    for (let value = 1; value < 256; value++) {
      // Another sign for the lowest of the bits: the first dimension is in the highest.
      const bit = 7 - (31 - Math.clz32(value & -value))
      table[at + value] = table[at + (value & (value - 1))]! + 2 * scale * vector[byte * 8 + bit]!
    }
  }
  return table
}

/**
 * `passage`: the weighted mean over the question's words of the best similarity in the passage. `window`: the same within the best
 * window. Both about -1 to 1.
 */
export function maxSim(query: QueryWords, bits: Uint8Array): { passage: number; window: number } {
  const { tables, weights, bytesPerWord } = query
  const words = Math.floor(bits.length / bytesPerWord)
  // Windows are made of whole strides.
  const strides = Math.ceil(words / STRIDE)
  const best = new Float64Array(strides)
  const sums = new Float64Array(Math.max(1, strides - WINDOW / STRIDE + 1))
  let passage = 0
  for (const [i, table] of tables.entries()) {
    bestOfStrides(table, bits, bytesPerWord, best)
    let most = Number.NEGATIVE_INFINITY
    for (let stride = 0; stride < strides; stride++) most = Math.max(most, best[stride]!)
    passage += weights[i]! * most
    for (let first = 0; first < sums.length; first++) {
      let within = best[first]!
      for (let stride = first + 1; stride < Math.min(first + WINDOW / STRIDE, strides); stride++)
        within = Math.max(within, best[stride]!)
      sums[first]! += weights[i]! * within
    }
  }
  return { passage, window: Math.max(...sums) }
}

/** The best similarity within each stride. Four sums side by side, for each waits on the one before it: in a third of the time of one. */
function bestOfStrides(
  table: Float32Array,
  bits: Uint8Array,
  bytesPerWord: number,
  best: Float64Array,
): void {
  const words = Math.floor(bits.length / bytesPerWord)
  const inFours = bytesPerWord - (bytesPerWord % 4)
  best.fill(Number.NEGATIVE_INFINITY)
  for (let word = 0; word < words; word++) {
    const from = word * bytesPerWord
    let a = 0
    let b = 0
    let c = 0
    let d = 0
    for (let byte = 0; byte < inFours; byte += 4) {
      const at = from + byte
      const values = byte * 256
      a += table[values + bits[at]!]!
      b += table[values + 256 + bits[at + 1]!]!
      c += table[values + 512 + bits[at + 2]!]!
      d += table[values + 768 + bits[at + 3]!]!
    }
    for (let byte = inFours; byte < bytesPerWord; byte++) a += table[byte * 256 + bits[from + byte]!]!
    const similarity = a + b + c + d
    const stride = (word / STRIDE) | 0
    if (similarity > best[stride]!) best[stride] = similarity
  }
}
