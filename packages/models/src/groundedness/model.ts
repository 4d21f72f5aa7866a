import type { Feature, Features } from './features.ts'
import { FEATURES } from './features.ts'

/** A fitted groundedness model; `fitted` says on what and how well, and is not read when scoring. */
export interface GroundednessWeights {
  /** Name of the embedder whose cosines `distance` was fitted on; of any other embedder they mean something else. */
  readonly embedder: string
  readonly features: Readonly<Record<Feature, { mean: number; deviation: number; weight: number }>>
  readonly bias: number
  readonly calibration: { readonly slope: number; readonly offset: number }
  /** From this groundedness on an answer counts as grounded: the best balanced accuracy. */
  readonly threshold: number
  readonly fitted: Readonly<Record<string, unknown>>
}

/** The claims that decide: a long answer is not worse for its many sound claims. */
const WEAKEST = 3
const LEAST = 1e-9

/** Probability that a claim is not supported. A feature that is not known (NaN) is taken as average. */
export function claimRisk(features: Features, { features: fitted, bias }: GroundednessWeights): number {
  let logit = bias
  for (const name of FEATURES) {
    const { mean, deviation, weight } = fitted[name]
    if (!Number.isNaN(features[name])) logit += (weight * (features[name] - mean)) / deviation
  }
  return sigmoid(logit)
}

/** Log odds that any of the weakest claims is unsupported: noisy-or over the three highest risks. */
export function answerLogit(risks: readonly number[]): number {
  const weakest = [...risks].sort((a, b) => b - a).slice(0, WEAKEST)
  const sound = weakest.reduce((product, risk) => product * (1 - risk), 1)
  return logit(1 - sound)
}

/** Calibrated probability that the whole answer is grounded (Platt's scaling). An answer without claims asserts nothing. */
export function groundednessOf(risks: readonly number[], { calibration }: GroundednessWeights): number {
  if (risks.length === 0) return 1
  return 1 - sigmoid(calibration.slope * answerLogit(risks) + calibration.offset)
}

export function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit))
}

export function logit(probability: number): number {
  const inside = Math.min(1 - LEAST, Math.max(LEAST, probability))
  return Math.log(inside / (1 - inside))
}
