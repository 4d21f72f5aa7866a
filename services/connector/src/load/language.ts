import { eld } from 'eld/small'

/** The library reads 350 bytes and no more: three samples of this length, in characters of one byte. */
const SAMPLES = 3
const SAMPLE_LENGTH = 120
/** Below it a text is names and numbers as often as it is a language. */
const ENOUGH_LETTERS = /(?:\P{L}*\p{L}){25}/u

/**
 * The language that a text is written in, as ISO 639-1, from samples of its beginning, middle and end; null where there is too
 * little of it or it is none for certain.
 */
export function detectLanguage(text: string): string | null {
  const step = Math.max(SAMPLE_LENGTH, Math.floor((text.length - SAMPLE_LENGTH) / (SAMPLES - 1)))
  const samples = Array.from({ length: SAMPLES }, (_, i) => text.slice(i * step, i * step + SAMPLE_LENGTH))
  const sample = samples.join(step > SAMPLE_LENGTH ? ' ' : '').toWellFormed()
  if (!ENOUGH_LETTERS.test(sample)) return null
  const found = eld.detect(sample)
  return found.language !== '' && found.isReliable() ? found.language : null
}

const MAX_TAG_LENGTH = 35

/** What a document says of its language, as a BCP 47 tag in its usual form (`pt-BR`); null where it is none that is in use. */
export function languageTag(declared: string | null): string | null {
  const tag = declared?.replaceAll('_', '-') ?? ''
  if (!/^(?!und)[a-z]{2,3}(?:-|$)/i.test(tag) || tag.length > MAX_TAG_LENGTH) return null
  try {
    return Intl.getCanonicalLocales(tag)[0] ?? null
  } catch {
    return null
  }
}
