import { createHash } from 'node:crypto'
import { offlineSchemas } from '@aquifer/contracts/avro'
import { topicKey } from '@aquifer/contracts/keys'
import { topics } from '@aquifer/contracts/topics'
import type { Answer, AnswerRecord, SampledAnswer } from '@aquifer/contracts/types'
import { createSteady } from '@aquifer/runtime/retry'
import type { Trace } from '@aquifer/runtime/tracing'
import type { QueryDeps } from './deps.ts'

/** Puts a share of the answers on the sampled topic, behind the back of the person who has the answer already. */
export interface Sampler {
  /** Resolves when there is room; the answer itself follows later. */
  take(answer: AnswerRecord, trace: Trace): Promise<void>
  /** Waits for what is under way, at most `deadlineMs`. */
  stop(deadlineMs: number): Promise<void>
}

/** So many answers may wait for the log or the redaction; then the next answer waits too. */
const MAX_WAITING = 256

export function createSampler(deps: QueryDeps): Sampler {
  const { log, logger, schemas = offlineSchemas } = deps
  const codec = schemas.codec('answers.sampled')
  const underWay = new Set<Promise<void>>()
  const stopping = new AbortController()
  const steady = createSteady('query', deps)

  async function sample(record: AnswerRecord, trace: Trace): Promise<void> {
    const { tenant, groups: _groups, ...event } = record
    const key = topicKey(tenant, record.conversationId)
    const headers = { traceparent: trace.traceparent }
    try {
      const value = codec.encode(
        deps.redactSampled ? await redact(deps, event) : { ...event, answerRedacted: false },
      )
      await steady(stopping.signal, () => log.append(topics.answersSampled.name, [{ key, value, headers }]))
    } catch (error) {
      logger.error(
        { err: error, traceId: trace.traceId, answerId: record.answerId },
        'the answer could not be sampled',
      )
    }
  }

  return {
    async take(record, trace) {
      if (!isSampled(record.answerId, deps.sampleRate)) return
      while (underWay.size >= MAX_WAITING) await Promise.race(underWay)
      const work = sample(record, trace).finally(() => underWay.delete(work))
      underWay.add(work)
    },
    async stop(deadlineMs) {
      const ended = new AbortController()
      const giveUp = (): void => stopping.abort(new Error('the process is stopping'))
      deps.clock.sleep(deadlineMs, ended.signal).then(giveUp, () => {})
      await Promise.all(underWay)
      ended.abort()
    },
  }
}

/** By hash of the answer id, so that every replica decides the same. */
export function isSampled(answerId: string, rate: number): boolean {
  return createHash('sha256').update(answerId).digest().readUInt32BE(0) < rate * 2 ** 32
}

/** Every text of the answer, titles and headings too, without personal data. */
async function redact({ guard }: QueryDeps, answer: Answer): Promise<SampledAnswer> {
  const { question, answer: said, evidence, citations } = answer
  const texts = [
    ...new Set([
      question,
      said,
      ...evidence.flatMap(({ title, headings, text }) => [title ?? '', ...headings, text]),
      ...citations.flatMap(({ title, quote }) => [title ?? '', quote]),
    ]),
  ]
  const redacted = await guard.redact(texts)
  const cleanOf = new Map(texts.map((text, i) => [text, redacted[i]!]))
  const clean = (text: string) => cleanOf.get(text)!
  const cleanTitle = (title: string | null) => title && clean(title)
  return {
    ...answer,
    question: clean(question),
    answer: clean(said),
    answerRedacted: clean(said) !== said,
    evidence: evidence.map((passage) => {
      const { title, headings, text } = passage
      return Object.assign({}, passage, {
        title: cleanTitle(title),
        headings: headings.map(clean),
        text: clean(text),
      })
    }),
    citations: citations.map((citation) =>
      Object.assign({}, citation, { title: cleanTitle(citation.title), quote: clean(citation.quote) }),
    ),
  }
}
