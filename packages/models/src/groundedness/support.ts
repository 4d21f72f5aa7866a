import type { Embedder, EmbedOptions } from '../embedder.ts'
import type { Evidence } from './evidence.ts'
import type { Claim } from './features.ts'
import { weightOf } from './features.ts'

/** A sentence of the evidence beside a claim. */
export interface Candidate {
  readonly sentence: number
  /** Weight of the claim's words that it holds, 0 to 1. */
  readonly coverage: number
}

/** Bounds of the model's work for one answer: about 80 sentences of at most 100 tokens. */
export const MAX_CLAIMS_EMBEDDED = 32
export const MAX_SENTENCES_EMBEDDED = 48
const MAX_TEXT_UNITS = 400
const CANDIDATES = 8

/** The sentences that cover most of a claim, best first. */
export function candidatesOf(claim: Claim, evidence: Evidence): Candidate[] {
  const stems = new Set(claim.stems)
  const held = new Map<number, number>()
  let whole = 0
  for (const stem of stems) {
    whole += weightOf(stem)
    for (const sentence of evidence.postings.get(stem) ?? [])
      held.set(sentence, (held.get(sentence) ?? 0) + weightOf(stem))
  }
  return [...held]
    .map(([sentence, weight]) => ({ sentence, coverage: weight / whole }))
    .sort((a, b) => b.coverage - a.coverage || a.sentence - b.sentence)
    .slice(0, CANDIDATES)
}

/**
 * Cosines of claims (rows) to sentences of the evidence. Where there are too many, the first claims and the sentences
 * that share most with them are embedded; a claim left out has no row.
 */
export async function cosines(
  embedder: Embedder,
  claims: readonly Claim[],
  candidates: readonly (readonly Candidate[])[],
  evidence: Evidence,
  options: EmbedOptions,
): Promise<Map<number, Map<number, number>>> {
  const rows = claims.slice(0, MAX_CLAIMS_EMBEDDED)
  const columns = choose(candidates, evidence.sentences.length)
  if (rows.length === 0 || columns.length === 0) return new Map()
  const texts = [...rows.map(({ text }) => text), ...columns.map((at) => evidence.sentences[at]?.text ?? '')]
  const embedded = await embedder.embed(
    texts.map((text) => ({ text: text.slice(0, MAX_TEXT_UNITS).toWellFormed() })),
    options,
  )
  const vectors = embedded.map(({ vector }) => vector)
  return new Map(
    rows.map((_, row) => [
      row,
      new Map(
        columns.map((sentence, column) => [sentence, dot(vectors[row], vectors[rows.length + column])]),
      ),
    ]),
  )
}

function choose(candidates: readonly (readonly Candidate[])[], sentences: number): number[] {
  if (sentences <= MAX_SENTENCES_EMBEDDED) return Array.from({ length: sentences }, (_, at) => at)
  const chosen = new Set<number>()
  for (let rank = 0; rank < CANDIDATES; rank++) {
    for (const found of candidates) {
      const candidate = found[rank]
      if (candidate && chosen.size < MAX_SENTENCES_EMBEDDED) chosen.add(candidate.sentence)
    }
  }
  return [...chosen].sort((a, b) => a - b)
}

function dot(a: Float32Array | undefined, b: Float32Array | undefined): number {
  let total = 0
  for (let at = 0; at < (a?.length ?? 0); at++) total += (a?.[at] ?? 0) * (b?.[at] ?? 0)
  return total
}

const SUPPORT_COVERAGE = 0.5
const SUPPORT_COSINE = 0.65
const MAX_SUPPORTS = 3

/** The contexts with a sentence that says the claim, by its words or by its meaning, strongest first. */
export function supportsOf(
  candidates: readonly Candidate[],
  row: ReadonlyMap<number, number> | undefined,
  evidence: Evidence,
): number[] {
  const strength = new Map<number, number>()
  const add = (sentence: number, by: number): void => {
    const context = evidence.sentences[sentence]?.context ?? 0
    strength.set(context, Math.max(strength.get(context) ?? 0, by))
  }
  for (const { sentence, coverage } of candidates) if (coverage >= SUPPORT_COVERAGE) add(sentence, coverage)
  for (const [sentence, cosine] of row ?? []) if (cosine >= SUPPORT_COSINE) add(sentence, cosine)
  return [...strength]
    .sort(([a, by], [b, than]) => than - by || a - b)
    .slice(0, MAX_SUPPORTS)
    .map(([context]) => context)
}
