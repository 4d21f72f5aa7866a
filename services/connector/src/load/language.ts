import { eld } from 'eld/small'

/** Enough to tell any of its 60 languages; what is beyond it would cost time alone. */
const SAMPLES = 3
const SAMPLE_LENGTH = 1500
/** Below it a text is names and numbers as often as it is a language. */
const MIN_LETTERS = 25

/**
 * The language that a text is written in, as ISO 639-1, from samples of its beginning, middle and end; null where there is too
 * little of it or it is none for certain.
 */
export function detectLanguage(text: string): string | null {
  const step = Math.max(0, Math.floor((text.length - SAMPLE_LENGTH) / (SAMPLES - 1)))
  const starts = step < SAMPLE_LENGTH ? [0] : Array.from({ length: SAMPLES }, (_, i) => i * step)
  const sample = starts
    .map((start) =>
      text.slice(start, start + (step < SAMPLE_LENGTH ? SAMPLE_LENGTH * SAMPLES : SAMPLE_LENGTH)),
    )
    .join(' ')
    .toWellFormed()
  if ((sample.match(/\p{L}/gu)?.length ?? 0) < MIN_LETTERS) return null
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
