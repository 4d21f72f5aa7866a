import { findPatterns } from '../src/personal-patterns.ts'
import { mergePersonal, type TextStyle } from '../src/personal.ts'
import { gazetteerBits } from '../src/personal-gazetteer.ts'
import {
  bestLabel,
  BUCKET_BITS,
  LABELS,
  MAX_TOKEN_FEATURES,
  readFacts,
  TAGGED_TYPES,
  tag,
  tokenFeatures,
  tokenize,
  type TaggerWeights,
} from '../src/personal-tagger.ts'
import { ordinaryTexts, type PersonalRow } from './data.ts'
import { fillFrames, type Framed } from './frames.ts'
import { randomOf, shuffle } from './linear.ts'

export const SEED = 20260102
const FRAME_ROUNDS = 4
const EPOCHS = 10

interface Prepared {
  readonly facts: ReturnType<typeof readFacts>
  readonly gold: Int32Array
}

/** Spans of the data count code points. */
export function unitsOf(text: string, point: number): number {
  return Array.from(text).slice(0, point).join('').length
}

function framed(row: PersonalRow): Framed {
  const spans = row.spans.map((span) => ({
    type: span.canon,
    start: unitsOf(row.text, span.start),
    end: unitsOf(row.text, span.end),
  }))
  return { text: row.text, spans }
}

function prepare({ text, spans }: Framed): Prepared {
  const tokens = tokenize(text)
  const gold = new Int32Array(tokens.length)
  for (const { type, start, end } of spans) {
    const index = TAGGED_TYPES.indexOf(type)
    if (index < 0) continue
    let begun = false
    for (const [at, token] of tokens.entries()) {
      if (token.end <= start || token.start >= end) continue
      gold[at] = begun ? 2 + 2 * index : 1 + 2 * index
      begun = true
    }
  }
  return { facts: readFacts(text, tokens, findPatterns(text)), gold }
}

function fillersOf(rows: readonly Framed[]): Map<string, string[]> {
  const fillers = new Map<string, string[]>()
  for (const { text, spans } of rows)
    for (const { type, start, end } of spans) {
      const own = fillers.get(type) ?? []
      fillers.set(type, own)
      own.push(text.slice(start, end))
    }
  return fillers
}

const DROPOUT = 0.4

/** Leaves out features at random, so that no weight leans on a wording that the templates happen to share. */
function dropSome(buckets: Int32Array, count: number, random: () => number): number {
  let kept = 0
  for (let at = 0; at < count; at++) if (random() >= DROPOUT) buckets[kept++] = buckets[at] ?? 0
  return kept
}

/** An averaged perceptron over the rows, fed back its own labels so that it learns to live with its mistakes. */
const FITS = 3

/** Several fits, averaged: one alone leans on the order in which it read the rows. */
export function fitTagger(rows: readonly PersonalRow[], style: TextStyle): TaggerWeights {
  const weights = new Float32Array((1 << BUCKET_BITS) * LABELS)
  for (let fit = 0; fit < FITS; fit++) {
    const one = fitOnce(rows, style, SEED + fit)
    for (let at = 0; at < weights.length; at++) weights[at] = (weights[at] ?? 0) + (one[at] ?? 0) / FITS
  }
  return { weights, scale: 1 }
}

function fitOnce(rows: readonly PersonalRow[], style: TextStyle, seed: number): Float32Array {
  const size = (1 << BUCKET_BITS) * LABELS
  const weights = new Float32Array(size)
  const totals = new Float64Array(size)
  const random = randomOf(seed)
  const own = rows.map(framed)
  const items = [...own, ...fillFrames(fillersOf(own), FRAME_ROUNDS, random)].map(prepare)
  if (style === 'prose') items.push(...plainProse(ordinaryTexts().passages))
  const buckets = new Int32Array(MAX_TOKEN_FEATURES)
  let step = 1
  for (let epoch = 0; epoch < EPOCHS; epoch++)
    for (const { facts, gold } of shuffle(items, random)) {
      let last = 0
      let beforeLast = 0
      for (let at = 0; at < gold.length; at++) {
        const count = dropSome(buckets, tokenFeatures(facts, at, last, beforeLast, buckets), random)
        const guess = bestLabel({ weights, scale: 1 }, buckets, count, last)
        const wanted = gold[at] ?? 0
        if (wanted !== UNKNOWN && guess !== wanted)
          for (let index = 0; index < count; index++) {
            const base = (buckets[index] ?? 0) * LABELS
            weights[base + wanted] = (weights[base + wanted] ?? 0) + 1
            totals[base + wanted] = (totals[base + wanted] ?? 0) + step
            weights[base + guess] = (weights[base + guess] ?? 0) - 1
            totals[base + guess] = (totals[base + guess] ?? 0) - step
          }
        beforeLast = last
        last = wanted !== UNKNOWN && random() < 0.5 ? wanted : guess
        step++
      }
    }
  return weights.map((weight, at) => weight - (totals[at] ?? 0) / step)
}

/** Not known: the fit passes over such a token. */
const UNKNOWN = -1
const NEGATIVE_TOKENS = 400

/**
 * Real prose has no marks, but much of it is plainly nothing: words in small letters, signs, and capitals that are mere
 * spelling (the word also occurs in small letters, stands after an article, or is an abbreviation). The rest is unknown.
 */
function plainProse(texts: readonly string[]): Prepared[] {
  const small = new Set(texts.flatMap((text) => text.match(/(?<![\p{L}])\p{Ll}+/gu) ?? []))
  return texts.map((whole) => {
    const text = whole.slice(0, NEGATIVE_TOKENS * 6)
    const patterns = findPatterns(text)
    const tokens = tokenize(text)
    const gold = Int32Array.from(tokens, ({ start, end }, at) => {
      const word = text.slice(start, end)
      if (patterns.some((span) => span.start < end && start < span.end)) return UNKNOWN
      if (/^\d/.test(word)) return /^(?:19|20)\d\d$/.test(word) ? UNKNOWN : 0
      if (!/^\p{Lu}/u.test(word)) return 0
      const before = tokens[at - 1]
      const article =
        before !== undefined && /^(?:the|an?|this|our|your|each)$/i.test(text.slice(before.start, before.end))
      const bits = gazetteerBits(word.toLowerCase())
      return bits === 0 &&
        (article ||
          small.has(word.toLowerCase()) ||
          word === word.toUpperCase() ||
          /\p{Ll}\p{Lu}/u.test(word))
        ? 0
        : UNKNOWN
    })
    return { facts: readFacts(text, tokens, patterns), gold }
  })
}

interface Counts {
  hit: number
  gold: number
  found: number
}

export interface Figure {
  readonly precision: number
  readonly recall: number
  readonly f: number
}

export interface TaggerFigures {
  readonly exact: Figure
  readonly overlap: Figure
  readonly byType: Readonly<Record<string, Figure>>
}

const figureOf = ({ hit, gold, found }: Counts): Figure => {
  const round = (value: number): number => Math.round(value * 1000) / 1000
  const precision = found === 0 ? 0 : hit / found
  const recall = gold === 0 ? 0 : hit / gold
  return {
    precision: round(precision),
    recall: round(recall),
    f: round(hit === 0 ? 0 : (2 * precision * recall) / (precision + recall)),
  }
}

/** Five parts by template, so that no sentence frame is seen on both sides. A `style` of null judges the patterns alone. */
export function crossValidate(rows: readonly PersonalRow[], style: TextStyle | null): TaggerFigures {
  const templates = shuffle(
    [...new Set(rows.map((row) => row.template_id))].toSorted((a, b) => a - b),
    randomOf(SEED),
  )
  const exact: Counts = { hit: 0, gold: 0, found: 0 }
  const overlap: Counts = { hit: 0, gold: 0, found: 0 }
  const types = new Map<string, Counts>()
  for (let fold = 0; fold < 5; fold++) {
    const held = new Set(templates.filter((_, index) => index % 5 === fold))
    const model =
      style === null
        ? null
        : fitTagger(
            rows.filter((row) => !held.has(row.template_id)),
            style,
          )
    for (const row of rows) {
      if (!held.has(row.template_id)) continue
      const patterns = findPatterns(row.text)
      const found = model === null ? patterns : mergePersonal(patterns, tag(row.text, patterns, model))
      const gold = row.spans.map((span) => ({
        type: span.canon,
        start: unitsOf(row.text, span.start),
        end: unitsOf(row.text, span.end),
      }))
      count(exact, gold, found, (a, b) => a.type === b.type && a.start === b.start && a.end === b.end)
      const overlaps = (a: Named, b: Named): boolean =>
        a.type === b.type && a.start < b.end && b.start < a.end
      count(overlap, gold, found, overlaps)
      for (const type of new Set([...gold, ...found].map((span) => span.type))) {
        const counts = types.get(type) ?? { hit: 0, gold: 0, found: 0 }
        types.set(type, counts)
        count(
          counts,
          gold.filter((span) => span.type === type),
          found.filter((span) => span.type === type),
          overlaps,
        )
      }
    }
  }
  return {
    exact: figureOf(exact),
    overlap: figureOf(overlap),
    byType: Object.fromEntries([...types].map(([type, counts]) => [type, figureOf(counts)])),
  }
}

interface Named {
  readonly type: string
  readonly start: number
  readonly end: number
}

/** Each found span answers for one of the data's at most. */
function count(
  counts: Counts,
  gold: readonly Named[],
  found: readonly Named[],
  same: (a: Named, b: Named) => boolean,
): void {
  const free = [...found]
  counts.gold += gold.length
  counts.found += found.length
  for (const span of gold) {
    const at = free.findIndex((other) => same(span, other))
    if (at < 0) continue
    free.splice(at, 1)
    counts.hit++
  }
}
