import type { ScoredClaim } from '../deps.ts'

/**
 * The share of the reference's claims that some context supports, 0 to 1: RAGAS's context recall
 * (Es et al. 2023, arXiv:2309.15217), with the scorer's evidence in place of a language model's verdict on each claim.
 * Undefined where the reference makes no claim.
 */
export function contextRecall(referenceClaims: readonly ScoredClaim[]): number | undefined {
  if (referenceClaims.length === 0) return undefined
  return referenceClaims.filter(({ supportedBy }) => supportedBy.length > 0).length / referenceClaims.length
}
