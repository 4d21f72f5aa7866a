import type { Embedder, EmbedOptions } from '@aquifer/models/embedder'
import { isNoncommittal } from '@aquifer/models/groundedness/features'

/** Beyond so many claims the answer's beginning stands for all of it. */
const MAX_CLAIMS = 15
/** UTF-16 units; more than any embedder here reads. */
const MAX_TEXT_UNITS = 2_000

/**
 * How far an answer speaks to its question, 0 to 1: the highest cosine of the question to the whole answer or to one of
 * its claims, negative ones as 0; and 0 for an answer that only declines.
 *
 * RAGAS's answer relevancy (Es et al. 2023, arXiv:2309.15217) has a language model guess questions from the answer and
 * averages their cosines to the real one, times 0 for a noncommittal answer. Here no model writes: the embedder was
 * trained to put an answer beside its question, so the two are compared as they are, and claims beside the whole because
 * what else a long answer says does not make it less relevant.
 */
export async function answerRelevance(
  embedder: Embedder,
  { question, answer, claims }: { question: string; answer: string; claims: readonly string[] },
  options: EmbedOptions,
): Promise<number> {
  if (claims.length === 0 || isNoncommittal(claims)) return 0
  const texts = [question, answer, ...claims.slice(0, MAX_CLAIMS)]
  const embedded = await embedder.embed(
    texts.map((text) => ({ text: text.slice(0, MAX_TEXT_UNITS).toWellFormed() })),
    options,
  )
  const [asked, ...said] = embedded.map(({ vector }) => vector)
  return Math.min(1, Math.max(0, ...said.map((vector) => dot(asked!, vector))))
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((total, value, at) => total + value * (b[at] ?? 0), 0)
}
