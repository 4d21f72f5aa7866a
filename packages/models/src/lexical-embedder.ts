import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { unavailable } from '@aquifer/runtime/errors'
import { terms } from '@aquifer/text/terms'
import type { Embedder, Embedding, Passage } from './embedder.ts'

const DIMENSIONS = 384
const VERSION = '1'
const MAX_TOKENS = 512
const CHARS_PER_TOKEN = 4

/**
 * The makeshift where no model can be had: terms hashed into a vector with signs (Weinberger et al. 2009), weighted
 * 1 + ln(count), of unit length. It knows words, not meanings. A token is four characters.
 */
export function createLexicalEmbedder(warning = DEFAULT_WARNING): Embedder {
  let closed = false
  return {
    fingerprint: createHash('sha256').update(`lexical\n${DIMENSIONS}\n${VERSION}`).digest('hex').slice(0, 32),
    name: 'lexical (hashed terms, no model)',
    dimensions: DIMENSIONS,
    maxTokens: MAX_TOKENS,
    tokenizerPath: null,
    warning,
    async embed(passages, { signal }) {
      const embeddings: Embedding[] = []
      for (const passage of passages) {
        signal?.throwIfAborted()
        if (closed) throw unavailable('embedder_closed', 'the embedder is closed')
        embeddings.push(embedPassage(passage))
        await nextTurn()
      }
      return embeddings
    },
    countTokens: async (texts) => texts.map(countTokens),
    ping: async () => {},
    async close() {
      closed = true
    },
  }
}

const DEFAULT_WARNING =
  'The lexical embedder compares words only, so search finds less. Set AQUIFER_EMBEDDER to an onnx: or openai: model.'

function countTokens(text: string): number {
  return Math.ceil(text.length / CHARS_PER_TOKEN)
}

function embedPassage({ text }: Passage): Embedding {
  const cut = text.slice(0, MAX_TOKENS * CHARS_PER_TOKEN)
  return { vector: hashedVector(terms(cut)), words: null, tokens: countTokens(cut) }
}

function hashedVector(found: readonly string[]): Float32Array {
  const counts = new Map<string, number>()
  for (const term of found) counts.set(term, (counts.get(term) ?? 0) + 1)
  const vector = new Float32Array(DIMENSIONS)
  for (const [term, count] of counts) {
    const hash = fnv1a(term)
    const sign = hash & 1 ? 1 : -1
    const index = (hash >>> 1) % DIMENSIONS
    vector[index] = vector[index]! + sign * (1 + Math.log(count))
  }
  const length = Math.hypot(...vector)
  // A text without a term, or whose terms cancel out, still has to be a direction.
  if (length === 0) vector[0] = 1
  else for (let index = 0; index < DIMENSIONS; index++) vector[index] = vector[index]! / length
  return vector
}

/** http://www.isthe.com/chongo/tech/comp/fnv, over UTF-16 units, and mixed once more so that every bit counts. */
function fnv1a(term: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < term.length; index++)
    hash = Math.imul(hash ^ term.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return (hash ^ (hash >>> 13)) >>> 0
}
