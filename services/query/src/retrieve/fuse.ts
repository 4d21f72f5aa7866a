import type { IndexHit } from '@aquifer/stores/vector-index'

export interface FusedHit {
  readonly hit: IndexHit
  readonly score: number
  readonly dense: number | null
  readonly lexical: number | null
}

/** Share of the dense score; measured in bench/. */
const DENSE_WEIGHT = 0.6

/** One list of both, best first: the z-scores of each list, a passage missing from one taken as that list's last. */
export function fuse(_query: string, dense: readonly IndexHit[], lexical: readonly IndexHit[]): FusedHit[] {
  const denseScores = zScores(dense)
  const lexicalScores = zScores(lexical)
  const hits = new Map([...dense, ...lexical].map((hit) => [hit.id, hit]))
  const raw = {
    dense: new Map(dense.map((h) => [h.id, h.score])),
    lexical: new Map(lexical.map((h) => [h.id, h.score])),
  }
  return [...hits.values()]
    .map((hit) => ({
      hit,
      score: DENSE_WEIGHT * denseScores(hit.id) + (1 - DENSE_WEIGHT) * lexicalScores(hit.id),
      dense: raw.dense.get(hit.id) ?? null,
      lexical: raw.lexical.get(hit.id) ?? null,
    }))
    .sort((a, b) => b.score - a.score || (a.hit.id < b.hit.id ? -1 : 1))
}

function zScores(hits: readonly IndexHit[]): (id: string) => number {
  if (hits.length === 0) return () => 0
  const mean = hits.reduce((sum, { score }) => sum + score, 0) / hits.length
  const deviation =
    Math.sqrt(hits.reduce((sum, { score }) => sum + (score - mean) ** 2, 0) / hits.length) || 1
  const scores = new Map(hits.map(({ id, score }) => [id, (score - mean) / deviation]))
  const least = Math.min(...scores.values())
  return (id) => scores.get(id) ?? least
}
