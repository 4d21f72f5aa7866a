import type { Evidence } from './evidence.ts'
import { pairsOf, runsOf } from './evidence.ts'
import { terms } from '@aquifer/text/terms'
import type { Tokens } from './tokens.ts'

/**
 * What is measured of one claim against all the evidence; the order is that of the weights.
 *
 *  noveltyShare, noveltyMass  weight of the words that neither evidence nor question has: as a share, and in all
 *  runGap         share of the claim's words outside every run of three words that the evidence has too
 *  pairGap        share of its neighbouring content words that are never neighbours in the evidence
 *  number, name   1 where it has a number, or a capitalised name, that the evidence lacks
 *  negation       1 where only one of the claim and its closest sentence is negated
 *  refusal        1 where it says that the evidence does not tell
 *  aside          1 where it addresses the reader (`I hope this helps`)
 *  aboutEvidence  1 where it speaks of the passages themselves
 *  position       0 the first to 1 the last claim of the answer
 *  opening        1 for the first of several
 *  leadIn         1 where it ends in a colon
 *  distance       1 - cosine to the closest sentence of the evidence
 */
export const FEATURES = [
  'noveltyShare',
  'noveltyMass',
  'runGap',
  'pairGap',
  'number',
  'name',
  'negation',
  'refusal',
  'aside',
  'aboutEvidence',
  'position',
  'opening',
  'leadIn',
  'distance',
] as const

export type Feature = (typeof FEATURES)[number]
export type Features = Readonly<Record<Feature, number>>

export interface Claim extends Tokens {
  readonly text: string
  /** UTF-16 units of the answer. */
  readonly start: number
  readonly end: number
}

/** Words of a question are no claim of the answer that repeats them. */
export interface Question {
  readonly stems: ReadonlySet<string>
  readonly numbers: ReadonlySet<number>
}

const REFUSAL =
  /unable to (?:answer|determine|find|provide)|(?:can(?:no|')t|not possible to|could not) (?:be )?(?:answer|determin|find|provide)|do(?:es)? ?n(?:o|['’])t (?:explicitly |directly |specifically )?(?:provide|contain|mention|specify|give|include|state|say|have|know)|no (?:specific |explicit |direct )?(?:information|mention|answer)|not (?:mentioned|provided|specified|stated|given|enough information)|without (?:more|additional|further) information/iu
const ASIDE =
  /hope (?:this|that|it) helps|let me know|good luck|feel free|happy to help|^sure[,!]|you['’]re welcome|^thank|further questions|^i['’]m sorry/iu
const ABOUT_EVIDENCE =
  /\bpassages?\b|\b(?:provided|given) (?:text|context|information|document|source)s?\b|\bmentioned\b/iu

/** Whether an answer's claims only decline, or address the reader. */
export function isNoncommittal(claims: readonly string[]): boolean {
  return (
    claims.some((text) => REFUSAL.test(text)) &&
    claims.every((text) => REFUSAL.test(text) || ASIDE.test(text))
  )
}

/** What an answer says of itself and its evidence holds no fact that evidence could lack. */
const META = new Set(
  terms(
    'passage passages context document source text information provide provided give given mention state base answer ' +
      'question unable determine find specific explicitly contain enough according following details summary hope helps know',
  ),
)

/** Rare words carry the facts, and length tells them from common ones without a table: 9 letters and more weigh 1. */
export function weightOf(stem: string): number {
  return Math.min(stem.length, 9) / 9
}

export interface Place {
  readonly index: number
  readonly of: number
}

/**
 * The features of one claim. `closest` is the evidence's sentence that covers most of it, `cosine` its highest cosine to
 * any sentence, both null where there is none.
 */
export function featuresOf(
  claim: Claim,
  place: Place,
  evidence: Evidence,
  question: Question,
  closest: Tokens | null,
  cosine: number | null,
): Features {
  const isKnown = (stem: string): boolean =>
    evidence.postings.has(stem) || question.stems.has(stem) || META.has(stem)
  const novel = claim.stems.filter((stem) => !isKnown(stem))
  const mass = sum(novel.map(weightOf))
  const refusal = REFUSAL.test(claim.text)
  const pairs = pairsOf(claim.stems, 1)
  return {
    noveltyShare: mass / (sum(claim.stems.map(weightOf)) || 1),
    noveltyMass: mass,
    runGap: runGap(claim.words, evidence.runs),
    pairGap: pairs.filter((pair) => !evidence.pairs.has(pair)).length / (pairs.length || 1),
    number: flag(claim.numbers.some((value) => !evidence.numbers.has(value) && !question.numbers.has(value))),
    name: flag(claim.names.some((stem) => !isKnown(stem))),
    negation: flag(!refusal && closest !== null && claim.negated !== closest.negated),
    refusal: flag(refusal),
    aside: flag(ASIDE.test(claim.text)),
    aboutEvidence: flag(ABOUT_EVIDENCE.test(claim.text)),
    position: place.index / Math.max(place.of - 1, 1),
    opening: flag(place.index === 0 && place.of > 1),
    leadIn: flag(claim.text.endsWith(':')),
    distance: cosine === null ? Number.NaN : 1 - cosine,
  }
}

function runGap(words: readonly string[], known: ReadonlySet<string>): number {
  if (words.length === 0) return 0
  const covered = new Set<number>()
  for (const [at, run] of runsOf(words).entries()) {
    if (known.has(run)) for (const step of [0, 1, 2]) covered.add(at + step)
  }
  return 1 - covered.size / words.length
}

function flag(holds: boolean): number {
  return holds ? 1 : 0
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
