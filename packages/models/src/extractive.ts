import { setImmediate } from 'node:timers/promises'
import type { Embedder } from './embedder.ts'
import { chooseQuotes } from './extractive/quote.ts'
import { EMBEDDED_CANDIDATES, answerFeatures, rank, readEvidence, unanswerable } from './extractive/rank.ts'
import type { Ranked, Reading } from './extractive/rank.ts'
import weights from './extractive/weights.json' with { type: 'json' }
import { ABSTENTION } from './generator.ts'
import type { GenerateEvent, GenerateRequest, Generator } from './generator.ts'

export interface ExtractiveOptions {
  /** Compares sentences with the question; null, or one with a warning (a makeshift), leaves that to their words. */
  readonly embedder: Embedder | null
  /** Highest probability of being unanswerable at which it still answers; by default the fitted one (5 % wrong abstentions). */
  readonly abstainAbove?: number
}

/** Cosines mean what the fitted threshold takes them for with this model alone; their order serves with any. */
const FITTED_MODEL = 'all-MiniLM-L6-v2'
function isFitted(embedder: Embedder): boolean {
  return embedder.name.startsWith(FITTED_MODEL)
}
/**
 * Without vectors, evidence with less of the question's words by weight, in any place, is of something else: of SQuAD's development
 * questions under 1 % have so little in their own evidence, over 90 % in another article's.
 */
const LEAST_COVERAGE = 0.3
/** More of a question than this is not read for its vector. */
const MAX_QUESTION_CHARACTERS = 2_000

/**
 * Answers with sentences of the evidence, word for word: at most two, 60 words with their markers, each followed by the
 * marker of its passage. Where the evidence seems to hold no answer, it says so and `abstained` is true. Needs no language
 * model. Instructions in the evidence are text like any other. A failing embedder is the generator's failure, before any text.
 */
export function createExtractiveGenerator({ embedder, abstainAbove }: ExtractiveOptions): Generator {
  const trusted = embedder !== null && (isFitted(embedder) || embedder.warning === null) ? embedder : null
  return {
    model: 'extractive',
    limits: { contextTokens: 8_192, maxOutputTokens: 256 },
    generate: (request) => answer(request, trusted, abstainAbove),
    ping: async () => {
      await trusted?.ping()
    },
    // The embedder is its owner's to close.
    close: async () => {},
  }
}

async function* answer(
  request: GenerateRequest,
  embedder: Embedder | null,
  abstainAbove: number | undefined,
): AsyncGenerator<GenerateEvent> {
  const { signal } = request
  const breathe = async (): Promise<void> => {
    await setImmediate()
    signal.throwIfAborted()
  }
  signal.throwIfAborted()
  const reading = await readEvidence(request.question, request.evidence, breathe)
  const lexical = rank(reading, reading.candidates, weights.rank.lexical)
  await breathe()
  const compared = embedder ? await compare(reading, lexical, embedder, signal) : null
  signal.throwIfAborted()
  const ranked = compared?.ranked ?? lexical
  const promptTokens = compared?.tokens ?? 0
  if (doubt(reading, lexical, compared?.ranked ?? null, embedder, abstainAbove)) {
    yield { type: 'text', text: ABSTENTION }
    yield done(promptTokens, ABSTENTION, true)
    return
  }
  let said = ''
  for (const { passage, start, end } of chooseQuotes(reading.question, reading.weights, ranked)) {
    const source = reading.passages[passage]
    if (!source) continue
    const text = `${said === '' ? '' : ' '}${source.text.slice(start, end)} ${source.marker}`
    said += text
    yield { type: 'text', text }
    await breathe()
  }
  yield done(promptTokens, said, false)
}

/** Ranks the candidates that words favour once more, by their vectors too. */
async function compare(
  reading: Reading,
  lexical: readonly Ranked[],
  embedder: Embedder,
  signal: AbortSignal,
): Promise<{ ranked: Ranked[]; tokens: number } | null> {
  const favoured = lexical.slice(0, EMBEDDED_CANDIDATES)
  if (favoured.length === 0) return null
  const texts = favoured.map(({ scored: { candidate }, text }) => text.slice(candidate.start, candidate.end))
  const question = reading.question.text.slice(0, MAX_QUESTION_CHARACTERS)
  const [asked, ...embedded] = await embedder.embed(
    [question, ...texts].map((text) => ({ text })),
    { lane: 'query', signal },
  )
  const cosines = embedded.map(({ vector }) =>
    vector.reduce((sum, value, i) => sum + value * (asked?.vector[i] ?? 0), 0),
  )
  return {
    ranked: rank(
      reading,
      favoured.map(({ scored }) => scored),
      weights.rank.vectors,
      cosines,
    ),
    tokens: [asked, ...embedded].reduce((sum, each) => sum + (each?.tokens ?? 0), 0),
  }
}

/** Whether not to answer. The threshold on cosines holds for the model it was fitted with; others go by words alone. */
function doubt(
  reading: Reading,
  lexical: readonly Ranked[],
  compared: readonly Ranked[] | null,
  embedder: Embedder | null,
  abstainAbove: number | undefined,
): boolean {
  const known = compared !== null && embedder !== null && isFitted(embedder)
  const features = answerFeatures(reading, known ? compared : lexical)
  if (!features) return true
  const onTopic = reading.candidates.some(
    ({ features: { coverageAround, coverageTitle } }) =>
      Math.max(coverageAround, coverageTitle) >= LEAST_COVERAGE,
  )
  if (!compared && !onTopic) return true
  const probability = unanswerable(features, known ? weights.answer.vectors : weights.answer.lexical)
  return probability > (abstainAbove ?? (known ? weights.threshold.vectors : weights.threshold.lexical))
}

/** Tokens written are taken as words and markers: a quote costs nothing to generate. */
function done(promptTokens: number, said: string, abstained: boolean): GenerateEvent {
  const completionTokens = said.split(/\s+/u).filter(Boolean).length
  return { type: 'done', finishReason: 'stop', usage: { promptTokens, completionTokens }, abstained }
}
