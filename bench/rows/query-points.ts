import type { Point } from '@aquifer/stores/vector-index'
import { seeded } from '@aquifer/test/seeded'
import type { RealChunk } from './query-chunks.ts'

export const TENANT = 'default'
/** Of the caller: what is for a group that the caller is not in makes up one row in twenty. */
export const GROUPS = ['readers']

const NEIGHBOURS = 32
const NOISE = 0.4
const RARE_TERMS = 8
const CHUNKS_PER_DOCUMENT = 10
const VERSION = '019b76daa801-aquifer.documents-00000-0000000000000001'

/**
 * Points without end that lie as real chunks do: each a random mixture of a real chunk and two of its 32 nearest, with noise of 0.4 of its
 * length; its words and word states half of the one and half of the other, with eight more by how often words come. Their intrinsic
 * dimension (Levina and Bickel 2004, 10 neighbours, 4,095 points) is about 13 where that of the real ones is 8: a little harder.
 */
export function createPoints(
  chunks: readonly RealChunk[],
  seed = 7,
): (from: number, count: number) => Point[] {
  const random = seeded(seed)
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!
  const dimensions = chunks[0]!.vector.length
  const near = chunks.map(({ vector }) => nearest(chunks, vector))
  const words = chunks.flatMap(({ terms }) => terms)
  const gauss = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  // Two of them added are as good as new ones.
  const noises = Array.from({ length: 2048 }, () =>
    Float32Array.from({ length: dimensions }, () => (gauss() * NOISE) / Math.sqrt(2 * dimensions)),
  )

  function vectorOf(a: RealChunk, b: RealChunk, c: RealChunk): Float32Array {
    const weights = [a, b, c].map(() => -Math.log(1 - random()))
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    const [wa, wb, wc] = weights.map((weight) => weight / total) as [number, number, number]
    const [n, m] = [pick(noises), pick(noises)]
    const vector = a.vector.map(
      (value, d) => wa * value + wb * b.vector[d]! + wc * c.vector[d]! + n[d]! + m[d]!,
    )
    const norm = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0))
    return vector.map((value) => value / norm)
  }

  function point(i: number): Point {
    const at = Math.floor(random() * chunks.length)
    const [a, b, c] = [chunks[at]!, chunks[pick(near[at]!)]!, chunks[pick(near[at]!)]!]
    const rare = Array.from({ length: RARE_TERMS }, () => pick(words))
    const bitsPerWord = dimensions / 8
    const halfBits = ({ wordBits }: RealChunk) =>
      wordBits.subarray(0, Math.floor(wordBits.length / bitsPerWord / 2) * bitsPerWord)
    const text = `${firstHalf(a.text)} ${firstHalf(b.text)} ${rare.join(' ')}`
    return {
      id: `00000000-0000-5000-8000-${i.toString(16).padStart(12, '0')}`,
      tenant: TENANT,
      documentId: `document-${Math.floor(i / CHUNKS_PER_DOCUMENT)}`,
      version: VERSION,
      build: '0123456789abcdef',
      index: i % CHUNKS_PER_DOCUMENT,
      text,
      title: a.title,
      headings: a.headings,
      page: null,
      start: 0,
      end: text.length,
      access: i % 20 === 0 ? ['others'] : null,
      metadata: { year: 2000 + (i % 25) },
      terms: [...firstHalf(a.terms), ...firstHalf(b.terms), ...rare],
      vector: vectorOf(a, b, c),
      wordBits: Buffer.concat([halfBits(a), halfBits(b)]),
    }
  }

  return (from, count) => Array.from({ length: count }, (_, i) => point(from + i))
}

function firstHalf<T extends string | readonly string[]>(of: T): T {
  return of.slice(0, of.length / 2) as T
}

function nearest(chunks: readonly RealChunk[], to: Float32Array): number[] {
  const cosines = Float32Array.from(chunks, ({ vector }) => {
    let sum = 0
    for (let d = 0; d < to.length; d++) sum += vector[d]! * to[d]!
    return sum
  })
  return [...cosines.keys()].sort((a, b) => cosines[b]! - cosines[a]!).slice(1, NEIGHBOURS + 1)
}
