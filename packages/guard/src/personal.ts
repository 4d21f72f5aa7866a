import { inflateRawSync } from 'node:zlib'

import { findPatterns, withoutOverlaps, type PersonalSpan } from './personal-patterns.ts'
import { tag, TAGGED_TYPES, type TaggerWeights } from './personal-tagger.ts'
import fitted from './weights/personal.json' with { type: 'json' }

/** What points to one person, and so is taken out of what is kept or sent on. */
export const IDENTIFYING_TYPES: readonly string[] = [
  'EMAIL_ADDRESS',
  'URL_CREDENTIALS',
  'IBAN_CODE',
  'CREDIT_CARD',
  'US_SSN',
  'IP_ADDRESS',
  'PHONE_NUMBER',
  'DATE_OF_BIRTH',
  'PERSON',
  'ADDRESS',
]

const MARK = /\[[A-Z_]{2,20}\]/g

/**
 * A short message is searched eagerly; prose, where most capitals are no person's name, by a tagger that has read much of it.
 */
export type TextStyle = 'message' | 'prose'

const models = new Map<TextStyle, TaggerWeights>()

function load(style: TextStyle): TaggerWeights {
  const loaded = models.get(style)
  if (loaded !== undefined) return loaded
  const bytes = inflateRawSync(Buffer.from(fitted[style].weights, 'base64'))
  const model = {
    weights: new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length),
    scale: fitted[style].scale,
  }
  models.set(style, model)
  return model
}

/** The mark that stands for a span of `type`, such as `[EMAIL_ADDRESS]`. */
export const markOf = (type: string): string => `[${type}]`

/** A span found by its form is more certain than a tag. `tags` are ordered. */
export function mergePersonal(
  patterns: readonly PersonalSpan[],
  tags: readonly PersonalSpan[],
): PersonalSpan[] {
  const sure = withoutOverlaps(patterns)
  let next = 0
  const free = tags.filter((span) => {
    while ((sure[next]?.end ?? Number.POSITIVE_INFINITY) <= span.start) next++
    return (sure[next]?.start ?? Number.POSITIVE_INFINITY) >= span.end
  })
  return withoutOverlaps([...sure, ...free])
}

/** A run of lines without an empty one: nothing is found across its edge. */
export const PARAGRAPH = /[^\n]+(?:\n[^\n]+)*/g

/**
 * Personal data of a text in UTF-16 ranges, ordered, not overlapping. `types` limits what is looked for; the tagger runs only
 * where one of its types is asked for. Linear in the text; never throws.
 */
export function findPersonal(
  text: string,
  style: TextStyle,
  types: readonly string[] | null = null,
): PersonalSpan[] {
  const tagged = types === null || TAGGED_TYPES.some((type) => types.includes(type))
  const found: PersonalSpan[] = []
  for (const { 0: paragraph, index } of text.matchAll(PARAGRAPH)) {
    const patterns = findPatterns(paragraph)
    const marks = Array.from(paragraph.matchAll(MARK), (match): PersonalSpan => ({
      type: '',
      start: match.index,
      end: match.index + match[0].length,
      score: 1,
    }))
    const spans =
      tagged || marks.length > 0
        ? mergePersonal([...patterns, ...marks], tagged ? tag(paragraph, patterns, load(style)) : [])
        : patterns
    for (const span of spans)
      if (span.type !== '' && (types === null || types.includes(span.type)))
        found.push({ ...span, start: index + span.start, end: index + span.end })
  }
  return found
}
