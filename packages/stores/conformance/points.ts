import { pointId } from '@aquifer/contracts/keys'
import type { Point } from '@aquifer/stores/vector-index'

const DIMENSIONS = 8
export const COLLECTION = { fingerprint: 'test/8', dimensions: DIMENSIONS }

export function unit(values: readonly number[]): Float32Array {
  const padded = Float32Array.from({ length: DIMENSIONS }, (_, i) => values[i] ?? 0)
  const norm = Math.hypot(...padded)
  return padded.map((value) => value / norm)
}

/** Random vectors and terms that a seed gives again. */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

export function randomUnit(random: () => number): Float32Array {
  return unit(Array.from({ length: DIMENSIONS }, () => random() - 0.5))
}

export function point(given: Partial<Point> = {}): Point {
  const { tenant = 'acme', documentId = 'doc', version = 'v1', build = 'b1', index = 0 } = given
  return {
    id: pointId(tenant, documentId, version, build, index),
    tenant,
    documentId,
    version,
    build,
    index,
    text: `passage ${index} of ${documentId}`,
    title: null,
    headings: [],
    page: null,
    start: 0,
    end: 10,
    access: null,
    metadata: {},
    terms: ['passag'],
    vector: unit([1]),
    wordBits: new Uint8Array(),
    ...given,
  }
}

/** The points of one version of a document. */
export function version(given: Partial<Point>, chunks: number): Point[] {
  return Array.from({ length: chunks }, (_, index) => point({ ...given, index }))
}

export function ids(points: readonly { id: string }[]): string[] {
  return points.map(({ id }) => id).sort()
}

export function cosine(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0)
}
