import { gazetteerBits } from './personal-gazetteer.ts'
import type { PersonalSpan } from './personal-patterns.ts'

/**
 * A linear sequence tagger (averaged perceptron, greedy from left to right) for what has no form of its own: names,
 * addresses, places, organisations. The fit and the screen share its features.
 */

export const TAGGED_TYPES: readonly string[] = [
  'PERSON',
  'ADDRESS',
  'LOCATION',
  'ORGANIZATION',
  'DATE_TIME',
  'AGE',
  'NRP',
]
/** 0 outside; 1 + 2t begins type t; 2 + 2t goes on with it. */
export const LABELS = 1 + 2 * TAGGED_TYPES.length
export const BUCKET_BITS = 15
const MASK = (1 << BUCKET_BITS) - 1

export interface TaggerWeights {
  /** `[bucket * LABELS + label]`. */
  readonly weights: Float32Array | Int8Array
  readonly scale: number
}

export interface Token {
  readonly start: number
  readonly end: number
}

const TOKEN = /\p{L}[\p{L}\p{M}'’]{0,60}|\d{1,40}|\n|[^\s\p{L}\d]/gu

export function tokenize(text: string): Token[] {
  return Array.from(text.matchAll(TOKEN), (match) => ({
    start: match.index,
    end: match.index + match[0].length,
  }))
}

interface Facts {
  readonly word: number
  readonly shape: number
  readonly prefix: number
  readonly suffix: number
  readonly lists: number
  readonly pattern: number
}

const EDGE: Facts = { word: 1, shape: 1, prefix: 1, suffix: 1, lists: 0, pattern: 0 }

function hash(text: string): number {
  let value = 0x811c9dc5
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193)
  return value
}
const mix = (a: number, b: number): number => {
  const mixed = Math.imul(a ^ (b << 7) ^ (b >>> 11), 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}

function shapeOf(word: string): string {
  if (word === '\n') return 'n'
  if (/^\d/.test(word)) return `d${Math.min(word.length, 9)}`
  if (!/^\p{L}/u.test(word)) return word
  const lower = word.toLowerCase()
  return word === lower
    ? word.length > 2
      ? 'x'
      : 'xs'
    : word === word.toUpperCase()
      ? word.length === 1
        ? 'X'
        : 'XX'
      : word[0] === lower[0]
        ? 'xX'
        : 'Xx'
}

/** What is known of each token; `patterns` are the spans already found by form. */
export function readFacts(
  text: string,
  tokens: readonly Token[],
  patterns: readonly PersonalSpan[],
): Facts[] {
  let next = 0
  return tokens.map(({ start, end }) => {
    while (next < patterns.length && (patterns[next]?.end ?? 0) <= start) next++
    const inside = (patterns[next]?.start ?? Number.POSITIVE_INFINITY) < end
    const word = text.slice(start, end)
    const lower = word.toLowerCase()
    const isNumber = /^\d/.test(word)
    return {
      word: hash(isNumber ? (word.length === 4 && /^(?:19|20)/.test(word) ? 'year' : 'number') : lower),
      shape: hash(shapeOf(word)),
      prefix: hash(lower.slice(0, 3)),
      suffix: hash(lower.slice(-3)),
      lists: gazetteerBits(lower),
      pattern: inside ? hash(patterns[next]?.type ?? '') : 0,
    }
  })
}

export const MAX_TOKEN_FEATURES = 40
/** Buckets of the token at `at`, given the labels of the two before it; returns how many stand in `out`. */
export function tokenFeatures(
  facts: readonly Facts[],
  at: number,
  last: number,
  beforeLast: number,
  out: Int32Array,
): number {
  const cur = facts[at] ?? EDGE
  const p1 = facts[at - 1] ?? EDGE
  const p2 = facts[at - 2] ?? EDGE
  const p3 = facts[at - 3] ?? EDGE
  const n1 = facts[at + 1] ?? EDGE
  const n2 = facts[at + 2] ?? EDGE
  let count = 0
  const put = (kind: number, value: number): void => {
    out[count++] = (mix(value, kind) >>> 3) & MASK
  }
  put(1, cur.word)
  put(2, cur.shape)
  put(3, cur.prefix)
  put(4, cur.suffix)
  put(5, mix(cur.lists, cur.shape))
  put(6, cur.pattern)
  put(7, p1.word)
  put(8, n1.word)
  put(9, p2.word)
  put(10, n2.word)
  put(11, mix(p1.shape, cur.shape))
  put(12, mix(cur.shape, n1.shape))
  put(13, mix(mix(p1.shape, cur.shape), n1.shape))
  put(14, mix(p1.word, cur.shape))
  put(15, mix(n1.word, cur.shape))
  put(16, mix(p2.word, p1.word))
  put(17, mix(n1.word, n2.word))
  put(18, p1.lists)
  put(19, n1.lists)
  put(20, last)
  put(21, last * 64 + beforeLast)
  put(22, mix(last, cur.shape))
  put(23, mix(last, cur.word))
  put(24, mix(last, cur.lists))
  put(25, mix(last, n1.shape))
  put(26, mix(mix(last, p1.word), cur.shape))
  put(27, mix(mix(p3.shape, p2.shape), mix(p1.shape, cur.shape)))
  put(28, mix(cur.shape, mix(n1.shape, n2.shape)))
  put(29, mix(p3.word, cur.shape))
  put(30, mix(p2.lists, mix(p1.lists, cur.shape)))
  put(31, at === 0 ? 1 : 2)
  put(32, mix(p1.pattern, cur.shape))
  return count
}

const scores = new Float64Array(LABELS)

/** The best label that may follow `last`; the margin to the runner-up stands in `margin.value`. */
export const margin = { value: 0 }
export function bestLabel(
  { weights, scale }: TaggerWeights,
  buckets: Int32Array,
  count: number,
  last: number,
): number {
  scores.fill(0)
  for (let at = 0; at < count; at++) {
    const base = (buckets[at] ?? 0) * LABELS
    for (let label = 0; label < LABELS; label++)
      scores[label] = (scores[label] ?? 0) + (weights[base + label] ?? 0)
  }
  let best = 0
  let second = Number.NEGATIVE_INFINITY
  for (let label = 1; label < LABELS; label++) {
    // "Goes on" only after the same type.
    if (label % 2 === 0 && last !== label && last !== label - 1) continue
    if ((scores[label] ?? 0) > (scores[best] ?? 0)) {
      second = scores[best] ?? 0
      best = label
    } else second = Math.max(second, scores[label] ?? 0)
  }
  margin.value =
    ((scores[best] ?? 0) - Math.max(second, best === 0 ? Number.NEGATIVE_INFINITY : (scores[0] ?? 0))) * scale
  return best
}

export const typeOf = (label: number): string => TAGGED_TYPES[(label - 1) >> 1] ?? ''

const buckets = new Int32Array(MAX_TOKEN_FEATURES)
/** The perceptron's margins are large; on held-out rows this brings them to odds. */
const MARGIN_SCALE = 8
const STREET_BIT = 1 << 2

export function tag(text: string, patterns: readonly PersonalSpan[], model: TaggerWeights): PersonalSpan[] {
  const tokens = tokenize(text)
  const facts = readFacts(text, tokens, patterns)
  const found: PersonalSpan[] = []
  const typedSmall = !/\p{Lu}/u.test(text)
  let last = 0
  let beforeLast = 0
  for (const [at, { start, end }] of tokens.entries()) {
    const count = tokenFeatures(facts, at, last, beforeLast, buckets)
    const label = bestLabel(model, buckets, count, last)
    const open = found.at(-1)
    if (label % 2 === 1)
      found.push({ type: typeOf(label), start, end, score: 1 / (1 + Math.exp(-margin.value / MARGIN_SCALE)) })
    else if (label > 0 && open !== undefined) found[found.length - 1] = { ...open, end }
    beforeLast = last
    last = label
  }
  return found.filter((span) => isPlausible(text.slice(span.start, span.end), span.type, typedSmall))
}

/** What no weight should be able to say: a name in small letters within a text that has capitals, an address without a number. */
function isPlausible(span: string, type: string, typedSmall: boolean): boolean {
  if (type === 'ADDRESS')
    return (
      /\d/.test(span) ||
      span.split(' ').some((word) => (gazetteerBits(word.toLowerCase()) & STREET_BIT) !== 0)
    )
  if (type === 'AGE') return /^\d{1,3}$/.test(span)
  if (type === 'DATE_TIME') return /\d/.test(span)
  return /^["'(]?\p{Lu}/u.test(span) || (typedSmall && /^\p{L}/u.test(span))
}
