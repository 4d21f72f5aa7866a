import type { Embedder, Embedding } from '../../src/embedder.ts'
import type { GroundednessInput } from '../../src/groundedness.ts'
import { measure } from '../../src/groundedness.ts'
import type { Altered } from './alter.ts'
import { alter, namesOf } from './alter.ts'
import type { Row } from './data.ts'
import type { Measured } from './train.ts'

/** The same text again costs nothing: six answers share their evidence. */
export function remembering(embedder: Embedder): Embedder {
  const known = new Map<string, Embedding>()
  return {
    ...embedder,
    async embed(passages, options) {
      const missing = passages.filter(({ text }) => !known.has(text))
      const found = missing.length > 0 ? await embedder.embed(missing, options) : []
      for (const [at, { text }] of missing.entries()) known.set(text, found[at]!)
      return passages.map(({ text }) => known.get(text)!)
    },
  }
}

/** Rows as the features that the service itself measures. `inputOf` says how a row is presented. */
export async function measureRows(
  rows: readonly Row[],
  embedder: Embedder | null,
  random: () => number,
  inputOf: (row: Row) => GroundednessInput = presented,
): Promise<Measured[]> {
  const strangers = rows
    .filter(({ set }) => set === 'ragtruth')
    .flatMap(({ contexts }) => namesOf(contexts.join(' ')))
  const measured: Measured[] = []
  for (const row of rows) {
    const claims = await measure(inputOf(row), embedder, { lane: 'bulk' })
    const faults = row.set === 'ragtruth' && row.grounded ? alter(row, strangers, random) : []
    const planted = await Promise.all(faults.map((fault) => plantedFeatures(fault, embedder, inputOf)))
    measured.push({
      row,
      claims: claims.map(({ claim, features }) => ({
        features,
        unsupported: isUnsupported(row, claims.length, claim),
      })),
      planted: planted.flat(),
    })
  }
  return measured
}

export function presented({ question, answer, contexts }: Row): GroundednessInput {
  return { ...(question === null ? {} : { question }), answer, contexts }
}

async function plantedFeatures(
  { row, start, end }: Altered,
  embedder: Embedder | null,
  inputOf: (row: Row) => GroundednessInput,
): Promise<Measured['planted']> {
  const claims = await measure(inputOf(row), embedder, { lane: 'bulk' })
  return claims
    .filter(({ claim }) => claim.start <= start && claim.end >= end)
    .map(({ features }) => features)
}

/** Marked by people; or of an answer without marks that is grounded as a whole, or ungrounded with this one claim. */
function isUnsupported(
  row: Row,
  claims: number,
  { start, end }: { start: number; end: number },
): boolean | null {
  if (row.spans) return row.spans.some((span) => span.start < end - 1 && span.end > start + 1)
  if (row.grounded) return false
  return claims === 1 ? true : null
}
