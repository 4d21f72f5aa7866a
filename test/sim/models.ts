import type { ParsePool } from '@aquifer/connector/parse-pool'
import type { Embedder } from '@aquifer/models/embedder'
import type { Generator } from '@aquifer/models/generator'
import { invalid } from '@aquifer/runtime/errors'

/** Words in a text that make it fail. */
export const UNREADABLE = 'unreadable'
export const UNEMBEDDABLE = 'unembeddable'
/** Fails now and then: what a dead letter of it was for, its replay may not meet. */
export const FLAKY = 'flaky'

const DIMENSIONS = 16
const FLAKY_SHARE = 0.6

/** A chunk a paragraph. */
export function createParser(random: () => number): ParsePool {
  return {
    build: 'simulated',
    maxBytes: Number.POSITIVE_INFINITY,
    async parse({ bytes, contentType, title }) {
      const text = bytes.toString()
      if (text.includes(UNREADABLE) || (text.includes(FLAKY) && random() < FLAKY_SHARE))
        throw invalid('broken', 'it cannot be read')
      const chunks = [...text.matchAll(/[^\n]+/g)].map((match, index) => ({
        index,
        text: match[0],
        headings: [],
        page: null,
        start: match.index,
        end: match.index + match[0].length,
      }))
      const guard = { verdicts: [], action: 'allow' as const }
      const about = { language: null, fingerprint: null, mediaType: contentType, pages: 0 }
      return { text, title, ...about, chunks, guard }
    },
    close: async () => {},
  }
}

/** Letters counted into a unit vector. */
export function createEmbedder(): Embedder {
  const embed = (text: string) => {
    const vector = new Float32Array(DIMENSIONS)
    for (let i = 0; i < text.length; i++) vector[(text.charCodeAt(i) * (i % 7)) % DIMENSIONS]! += 1
    const length = Math.hypot(...vector) || 1
    return { vector: vector.map((value) => value / length), words: null, tokens: text.length }
  }
  return {
    fingerprint: 'simulated',
    name: 'simulated',
    dimensions: DIMENSIONS,
    maxTokens: 10_000,
    tokenizerPath: null,
    warning: null,
    async embed(passages) {
      if (passages.some(({ text }) => text.includes(UNEMBEDDABLE)))
        throw invalid('refused_text', 'the model refuses it')
      return passages.map(({ text }) => embed(text))
    },
    countTokens: async (texts) => texts.map(({ length }) => length),
    ping: async () => {},
    close: async () => {},
  }
}

/** Quotes all evidence. `pause` stands between what it says. */
export function createGenerator(pause: () => Promise<void>): Generator {
  return {
    model: 'simulated',
    limits: { contextTokens: 8000, maxOutputTokens: 1000 },
    async *generate({ evidence }) {
      for (const { text, marker } of evidence) {
        await pause()
        yield { type: 'text', text: `${text} ${marker}\n` }
      }
      const usage = { promptTokens: 1, completionTokens: 1 }
      yield { type: 'done', finishReason: 'stop', usage, abstained: null }
    },
    ping: async () => {},
    close: async () => {},
  }
}
