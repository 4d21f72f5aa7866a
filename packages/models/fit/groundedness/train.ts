import type { Feature, Features } from '../../src/groundedness/features.ts'
import { FEATURES } from '../../src/groundedness/features.ts'
import type { GroundednessWeights } from '../../src/groundedness/model.ts'
import { answerLogit, claimRisk, groundednessOf } from '../../src/groundedness/model.ts'
import type { Row } from './data.ts'
import type { Example } from './logistic.ts'
import { fitLogistic } from './logistic.ts'
import { mean } from './statistics.ts'

/** An answer as its claims' features, with what is known of each: unsupported, supported, or null for not known. */
export interface Measured {
  readonly row: Row
  readonly claims: readonly { readonly features: Features; readonly unsupported: boolean | null }[]
  /** Features of claims with a planted fault. */
  readonly planted: readonly Features[]
}

export interface Recipe {
  /** Weight of a row of each set beside RAGTruth's 1. */
  readonly setWeights: Readonly<Record<Row['set'], number>>
  readonly plantedWeight: number
  readonly penalty: number
  readonly embedder: string
}

type Claims = Pick<GroundednessWeights, 'embedder' | 'features' | 'bias'>

/** Every `k`th source, after a seeded shuffle, of the rows. */
export function folds<T>(
  items: readonly T[],
  sourceOf: (item: T) => string,
  k: number,
  random: () => number,
): T[][] {
  const order = [...new Set(items.map((item) => sourceOf(item)))]
    .sort()
    .map((source) => ({ source, at: random() }))
    .sort((a, b) => a.at - b.at)
  const fold = new Map(order.map(({ source }, at) => [source, at % k]))
  return Array.from({ length: k }, (_, at) => items.filter((item) => fold.get(sourceOf(item)) === at))
}

/** Logistic over claims: those that people marked, and those with planted faults. */
export function trainClaims(measured: readonly Measured[], recipe: Recipe): Claims {
  const claims = measured.flatMap(({ row, claims, planted }) => [
    ...claims.flatMap(({ features, unsupported }) =>
      unsupported === null ? [] : { features, positive: unsupported, weight: recipe.setWeights[row.set] },
    ),
    ...planted.map((features) => ({ features, positive: true, weight: recipe.plantedWeight })),
  ])
  const used = claims.filter(({ weight }) => weight > 0)
  const scale = Object.fromEntries(
    FEATURES.map((name) => {
      const values = used.map(({ features }) => features[name]).filter((value) => !Number.isNaN(value))
      const centre = values.length > 0 ? mean(values) : 0
      const deviation = Math.sqrt(mean(values.map((value) => (value - centre) ** 2))) || 1
      return [name, { mean: centre, deviation }]
    }),
  ) as Record<Feature, { mean: number; deviation: number }>
  const examples: Example[] = used.map(({ features, positive, weight }) => ({
    x: FEATURES.map((name) =>
      Number.isNaN(features[name]) ? 0 : (features[name] - scale[name].mean) / scale[name].deviation,
    ),
    positive,
    weight,
  }))
  const { bias, weights } = fitLogistic(examples, recipe.penalty)
  return {
    embedder: recipe.embedder,
    bias,
    features: Object.fromEntries(
      FEATURES.map((name, at) => [name, { ...scale[name], weight: weights[at] ?? 0 }]),
    ) as GroundednessWeights['features'],
  }
}

/** Platt's slope and offset, and the threshold of best balanced accuracy, from answers that the claims' model has not seen. */
export function calibrate(
  unseen: readonly { logit: number; grounded: boolean }[],
): Pick<GroundednessWeights, 'calibration' | 'threshold'> {
  const { bias, weights } = fitLogistic(
    unseen.map(({ logit, grounded }) => ({ x: [logit], positive: !grounded, weight: 1 })),
    1e-3,
  )
  const calibration = { slope: weights[0] ?? 1, offset: bias }
  const scored = unseen
    .map(({ logit, grounded }) => ({
      score: 1 / (1 + Math.exp(calibration.slope * logit + calibration.offset)),
      grounded,
    }))
    .sort((a, b) => a.score - b.score)
  return { calibration, threshold: bestThreshold(scored) }
}

/** Middle of the cuts within half a point of the best balanced accuracy: the peak alone is noise. */
function bestThreshold(ascending: readonly { score: number; grounded: boolean }[]): number {
  const grounded = ascending.filter((row) => row.grounded).length
  const ungrounded = ascending.length - grounded
  let caught = 0
  let lost = 0
  const cuts = ascending.map((row, at) => {
    if (row.grounded) lost++
    else caught++
    const next = ascending[at + 1]?.score ?? 1
    return { cut: (row.score + next) / 2, accuracy: (caught / ungrounded + 1 - lost / grounded) / 2 }
  })
  const best = Math.max(...cuts.map(({ accuracy }) => accuracy))
  const good = cuts.filter(({ accuracy }) => accuracy >= best - 0.005)
  return good[Math.floor(good.length / 2)]?.cut ?? 0.5
}

export function risksOf(measured: Measured, claims: Claims): number[] {
  return measured.claims.map(({ features }) => claimRisk(features, whole(claims)))
}

export function whole(claims: Claims): GroundednessWeights {
  return { ...claims, calibration: { slope: 1, offset: 0 }, threshold: 0.5, fitted: {} }
}

/** Claims' model on all, calibration on inner folds of the set that it is calibrated for. */
export function train(
  measured: readonly Measured[],
  recipe: Recipe,
  random: () => number,
): GroundednessWeights {
  const unseen = folds(measured, ({ row }) => row.source, 5, random).flatMap((held) => {
    const inner = trainClaims(
      measured.filter((item) => !held.includes(item)),
      recipe,
    )
    return held
      .filter(({ row, claims }) => row.set === 'ragtruth' && claims.length > 0)
      .map((item) => ({ logit: answerLogit(risksOf(item, inner)), grounded: item.row.grounded }))
  })
  return { ...trainClaims(measured, recipe), ...calibrate(unseen), fitted: {} }
}

/** Groundedness of every row by a model that saw none of its source; of the same row as `shown` where that is told. */
export function outOfFold(
  measured: readonly Measured[],
  recipe: Recipe,
  k: number,
  random: () => number,
  shown: ReadonlyMap<string, Measured> = new Map(),
): { row: Row; groundedness: number; said: boolean }[] {
  return folds(measured, ({ row }) => row.source, k, random).flatMap((held) => {
    const weights = train(
      measured.filter((item) => !held.includes(item)),
      recipe,
      random,
    )
    return held.map((item) => {
      const groundedness = groundednessOf(risksOf(shown.get(item.row.id) ?? item, weights), weights)
      return { row: item.row, groundedness, said: groundedness >= weights.threshold }
    })
  })
}
