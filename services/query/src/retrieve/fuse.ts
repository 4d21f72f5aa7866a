import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Embedding } from '@aquifer/models/embedder'
import type { IndexHit } from '@aquifer/stores/vector-index'
import { terms } from '@aquifer/text/terms'
import { maxSim, prepareQuery } from './late-interaction.ts'
import { pairShare, wordFinder } from './words-found.ts'

export interface FusedHit {
  readonly hit: IndexHit
  /** Comparable within one question. */
  readonly score: number
  /** Cosine similarity of the whole passage; null where the dense list does not hold it. */
  readonly dense: number | null
  /** BM25; null where the lexical list does not hold it. */
  readonly lexical: number | null
}

export interface FuseInput {
  readonly query: string
  /** Absent where only terms count. */
  readonly embedding: Embedding | undefined
  readonly dense: readonly IndexHit[]
  readonly lexical: readonly IndexHit[]
}

/**
 * Round weights of bounded signals, chosen on SQuAD's development questions and confirmed out of fold by a fitted regression
 * (docs/decisions/2026-11-21-late-interaction.md). Scores are used, not ranks: ranks throw away what the scores know.
 */
const WITH_WORDS = { passage: 0.4, window: 0.4, cosine: 0.2, bm25: 0.1, pairs: 0.15 }
/** For an embedder that gives no word states. */
const WITHOUT_WORDS = { passage: 0, window: 0, cosine: 0.4, bm25: 0.6, pairs: 0.15 }

/** A question of so many words is compared word by word; of a longer one, the rarest of them. That bounds the work a passage costs. */
const MAX_WORDS = 64
/** Then others run: characters of passages, and sixteenths of the bytes of their words' states for each word of the question. It takes about 4 ms. */
const WORK_PER_TURN = 200_000

/** Both lists as one, best first; each passage is scored on every signal, whichever list brought it. */
export async function fuse({ query, embedding, dense, lexical }: FuseInput): Promise<FusedHit[]> {
  const rawDense = new Map(dense.map(({ id, score }) => [id, score]))
  const rawLexical = new Map(lexical.map(({ id, score }) => [id, score]))
  const candidates = [...new Map([...dense, ...lexical].map((hit) => [hit.id, hit])).values()]
  const bm25 = bm25Share(lexical)
  const pairs = pairShare(terms(query))
  const late = embedding && lateScores(embedding, candidates)
  const weights = late ? WITH_WORDS : WITHOUT_WORDS
  const words = Math.min(MAX_WORDS, embedding?.words?.words.length ?? 0)
  const fused: FusedHit[] = []
  let work = 0
  for (const hit of candidates) {
    work += hit.text.length + (hit.wordBits.length * words) / 16
    if (work > WORK_PER_TURN) {
      await nextTurn()
      work = 0
    }
    const { passage, window } = late?.(hit) ?? { passage: 0, window: 0 }
    const cosine = embedding ? (rawDense.get(hit.id) ?? dot(embedding.vector, hit.vector)) : 0
    const score =
      weights.passage * passage +
      weights.window * window +
      weights.cosine * cosine +
      weights.bm25 * bm25(hit.id) +
      (lexical.length > 0 ? weights.pairs * pairs(hit.text) : 0)
    fused.push({ hit, score, dense: rawDense.get(hit.id) ?? null, lexical: rawLexical.get(hit.id) ?? null })
  }
  return fused.sort((a, b) => b.score - a.score || (a.hit.id < b.hit.id ? -1 : 1))
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

/** BM25 as a share of the list's best; a passage that the list does not hold counts as its last. */
function bm25Share(lexical: readonly IndexHit[]): (id: string) => number {
  const best = lexical[0]?.score ?? 0
  if (best <= 0) return () => 0
  const shares = new Map(lexical.map(({ id, score }) => [id, score / best]))
  const least = lexical.at(-1)!.score / best
  return (id) => shares.get(id) ?? least
}

/** Late interaction of the question with each candidate; null where either has no word states. */
function lateScores(embedding: Embedding, candidates: readonly IndexHit[]) {
  const { words, vector } = embedding
  if (!words?.vectors || !candidates.some(({ wordBits }) => wordBits.length > 0)) return null
  const { vectors, weights } = rarest(words.vectors, vector.length, rarity(words.words, candidates))
  const query = prepareQuery(vectors, vector.length, weights)
  return ({ wordBits }: IndexHit) => (wordBits.length === 0 ? null : maxSim(query, wordBits))
}

function rarest(
  vectors: Float32Array,
  dimensions: number,
  weights: readonly number[],
): { vectors: Float32Array; weights: readonly number[] } {
  if (weights.length <= MAX_WORDS) return { vectors, weights }
  const kept = [...weights.keys()].sort((a, b) => weights[b]! - weights[a]!).slice(0, MAX_WORDS)
  const chosen = new Float32Array(MAX_WORDS * dimensions)
  for (const [at, word] of kept.entries())
    chosen.set(vectors.subarray(word * dimensions, (word + 1) * dimensions), at * dimensions)
  return { vectors: chosen, weights: kept.map((word) => weights[word]!) }
}

/** How rare each of the question's words is among the candidates: the idf of BM25 (Robertson and Spärck Jones). */
function rarity(words: readonly string[], candidates: readonly IndexHit[]): number[] {
  const wordsIn = wordFinder(words)
  const holders = new Map<string, number>()
  for (const { text } of candidates)
    for (const word of wordsIn(text)) holders.set(word, (holders.get(word) ?? 0) + 1)
  const count = candidates.length
  return words.map((word) => {
    const df = holders.get(word) ?? 0
    return Math.log(1 + (count - df + 0.5) / (df + 0.5))
  })
}
