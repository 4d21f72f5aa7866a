import type { ScoredClaim } from '../deps.ts'

/**
 * Whether the contexts that serve stand before those that do not, 0 to 1: the mean of precision@k over the ranks k whose
 * context serves, which is average precision over all that were given.
 *
 * RAGAS's context precision (Es et al. 2023, arXiv:2309.15217) asks a language model whether context k helps to arrive at
 * the answer. Here it does when a claim is supported by it; claims are those of the reference where there is one, else
 * of the answer. Without a serving context it is 0; without contexts, or claims, it is not defined (undefined).
 */
export function contextPrecision(claims: readonly ScoredClaim[], contexts: number): number | undefined {
  if (contexts === 0 || claims.length === 0) return undefined
  const serving = new Set(claims.flatMap(({ supportedBy }) => supportedBy))
  let served = 0
  let total = 0
  for (let rank = 1; rank <= contexts; rank++) {
    if (!serving.has(rank - 1)) continue
    served++
    total += served / rank
  }
  return served === 0 ? 0 : total / served
}
