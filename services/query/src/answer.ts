import type { MetadataFilter } from '@aquifer/contracts/filter'
import type { AnswerRecord, Evidence } from '@aquifer/contracts/types'
import type { Receipt } from '@aquifer/contracts/version'
import { ABSTENTION } from '@aquifer/models/generator'
import type { ChatMessage, GenerateEvent } from '@aquifer/models/generator'
import { mayRead } from '@aquifer/runtime/auth'
import type { Identity } from '@aquifer/runtime/auth'
import { invalid, isMessageFault } from '@aquifer/runtime/errors'
import type { Trace } from '@aquifer/runtime/tracing'
import { blankMarkers } from '@aquifer/text/markers'
import { findCitations } from './citations.ts'
import type { QueryDeps } from './deps.ts'
import { createContext, toPassages } from './gateway/context.ts'
import type { FusedHit } from './retrieve/fuse.ts'
import { createRetriever, isVisible } from './retrieve/retrieve.ts'
import { createReceiptWaiter } from './retrieve/wait.ts'
import type { Freshness } from './retrieve/wait.ts'
import type { Sampler } from './sample.ts'

export interface Question {
  readonly identity: Identity
  readonly question: string
  /** Earlier turns, oldest first. */
  readonly history: readonly ChatMessage[]
  readonly conversationId: string
  readonly receipts: readonly Receipt[]
  readonly timeoutMs: number
  /** Not visible in time is an error. */
  readonly requireFresh: boolean
  readonly filter?: MetadataFilter | undefined
  readonly limit: number
  readonly temperature: number
  readonly maxOutputTokens: number
  readonly trace: Trace
  readonly signal: AbortSignal
}

export type AnswerEvent =
  | { readonly type: 'text'; readonly text: string }
  | {
      readonly type: 'done'
      readonly answer: AnswerRecord
      readonly grounded: boolean
      readonly finishReason: 'stop' | 'length'
    }

/** Evidence that changed while the answer was made is looked up again at most so often. */
const MAX_REDOS = 3

/**
 * The whole way of one question: guard, wait for receipts, retrieve, check the evidence, generate, check it again, cite, score,
 * keep, sample. Texts come as they are generated; `done` is the last event.
 *
 * Errors: `not_yet_visible` (409), `evidence_deleted` (409) where a source was deleted after its text had been streamed, those
 * of the stores and the generator.
 */
export function createAnswerer(deps: QueryDeps, sampler: Sampler) {
  const { registry, generator, clock, metrics } = deps
  const retrieve = createRetriever(deps)
  const waitFor = createReceiptWaiter(deps)
  const context = createContext(deps.prompt, generator.limits)

  async function* answer(question: Question): AsyncGenerator<AnswerEvent> {
    const startedAt = clock.now()
    const [verdicts, { freshness, evidence, screened }] = await Promise.all([
      inputVerdicts(deps, question),
      gather(question),
    ])
    const retrieveMs = clock.now() - startedAt
    const draft = { text: '', firstTokenMs: null as number | null, done: null as Done | null }
    for await (const event of generate(question, evidence)) {
      if (event.type === 'done') draft.done = event
      else if (event.text !== '') {
        draft.firstTokenMs ??= clock.now() - startedAt
        draft.text += event.text
        yield event
      }
    }
    const done = draft.done ?? {
      finishReason: 'stop' as const,
      usage: { promptTokens: 0, completionTokens: 0 },
      abstained: null,
    }
    const scored = await scoreOf(question, draft.text, evidence)
    const citations = findCitations(draft.text, evidence)
    const record: AnswerRecord = {
      answerId: deps.uuid(),
      conversationId: question.conversationId,
      tenant: question.identity.tenant,
      groups: question.identity.groups,
      question: question.question,
      answer: draft.text,
      abstained: done.abstained ?? (citations.length === 0 && draft.text.includes(ABSTENTION)),
      evidence,
      citations,
      fresh: freshness.fresh,
      prompt: deps.prompt.id,
      model: generator.model,
      route: deps.route,
      arm: null,
      cached: false,
      guard: [...verdicts, ...screened],
      promptTokens: done.usage.promptTokens,
      completionTokens: done.usage.completionTokens,
      costUsd: null,
      retrieveMs,
      firstTokenMs: draft.firstTokenMs,
      totalMs: clock.now() - startedAt,
      groundedness: scored.groundedness,
      createdAt: clock.now(),
      traceId: question.trace.traceId,
    }
    if (!(await stillAllowed(question.identity, evidence))) {
      throw invalid(
        'evidence_deleted',
        'a source of this answer was deleted or withdrawn while it was written; ask again',
        409,
      )
    }
    await deps.answers.put(record)
    metrics.answers.inc({ outcome: record.abstained ? 'abstained' : 'answered' })
    await sampler.take(record, question.trace)
    yield { type: 'done', answer: record, grounded: scored.grounded, finishReason: done.finishReason }
  }

  async function gather(question: Question): Promise<FreshEvidence & { freshness: Freshness }> {
    const freshness = await waitFor(question.receipts, question.timeoutMs, question.signal)
    if (!freshness.fresh && question.requireFresh) {
      throw invalid('not_yet_visible', freshness.reason ?? 'a publication is not visible yet', 409)
    }
    return { freshness, ...(await freshEvidence(question)) }
  }

  /** Null for an answer that is too large to be judged: it is given all the same. */
  async function scoreOf(
    { question, signal }: Question,
    answer: string,
    evidence: readonly Evidence[],
  ): Promise<{ groundedness: number | null; grounded: boolean }> {
    const contexts = evidence.map(({ text }) => text)
    try {
      const input = { question, answer: blankMarkers(answer), contexts }
      return await deps.groundedness.score(input, { lane: 'query', signal })
    } catch (error) {
      if (isMessageFault(error)) return { groundedness: null, grounded: false }
      throw error
    }
  }

  /** Evidence that is visible now. What changed between the search and this check is searched again. */
  async function freshEvidence(question: Question): Promise<FreshEvidence> {
    for (let attempt = 1; ; attempt++) {
      const hits = await retrieve({ ...question, query: question.question, mode: 'hybrid' })
      const evidence = context.fitEvidence(question, hits.map(toEvidence))
      const current = await visibleOf(question.identity, evidence)
      if (current.evidence.length === evidence.length || attempt === MAX_REDOS) return current
    }
  }

  async function visibleOf(identity: Identity, found: readonly Evidence[]): Promise<FreshEvidence> {
    const records = await registry.lookUp(identity.tenant, [
      ...new Set(found.map(({ documentId }) => documentId)),
    ])
    const evidence = found.filter((passage) => isVisible(passage, records.get(passage.documentId), identity))
    const verdicts = evidence.flatMap(({ documentId }) => records.get(documentId)?.visible?.guard ?? [])
    return { evidence, screened: [...new Set(verdicts)].sort().map((verdict) => `document:${verdict}`) }
  }

  /** A newer version does not take back an answer from the older one; a deletion, or a narrower access list, does. */
  async function stillAllowed(identity: Identity, evidence: readonly Evidence[]): Promise<boolean> {
    if (evidence.length === 0) return true
    const records = await registry.lookUp(identity.tenant, [
      ...new Set(evidence.map(({ documentId }) => documentId)),
    ])
    return evidence.every(({ documentId, version }) => {
      const record = records.get(documentId)
      if (!record?.visible || (record.floor !== null && version <= record.floor)) return false
      return mayRead(record.visible.access, identity.groups)
    })
  }

  async function* generate(question: Question, evidence: readonly Evidence[]): AsyncGenerator<GenerateEvent> {
    if (evidence.length === 0) {
      yield { type: 'text', text: ABSTENTION }
      yield {
        type: 'done',
        finishReason: 'stop',
        usage: { promptTokens: 0, completionTokens: 0 },
        abstained: true,
      }
      return
    }
    const passages = toPassages(evidence)
    const started = clock.now()
    let first: number | null = null
    for await (const event of generator.generate({
      question: question.question,
      evidence: passages,
      messages: context.render(question, passages, deps.uuid().replaceAll('-', '')),
      maxOutputTokens: context.outputTokens(question),
      temperature: question.temperature,
      signal: question.signal,
    })) {
      if (event.type === 'text') first ??= clock.now()
      else observe(started, first, event)
      yield event
    }
  }

  function observe(startedAt: number, firstAt: number | null, { usage }: Done): void {
    const { model } = generator
    metrics.tokens.inc({ model, direction: 'input' }, usage.promptTokens)
    metrics.tokens.inc({ model, direction: 'output' }, usage.completionTokens)
    if (firstAt === null) return
    metrics.firstTokenSeconds.observe({ model }, (firstAt - startedAt) / 1000)
    const seconds = (clock.now() - firstAt) / 1000
    if (seconds > 0 && usage.completionTokens > 1)
      metrics.tokensPerSecond.observe({ model }, (usage.completionTokens - 1) / seconds)
  }

  return answer
}

type Done = Extract<GenerateEvent, { type: 'done' }>

interface FreshEvidence {
  readonly evidence: Evidence[]
  /** What the first screen said of its documents at the door. */
  readonly screened: readonly string[]
}

async function inputVerdicts({ guard }: QueryDeps, { question, signal }: Question): Promise<string[]> {
  const { injection, personalData, unsafe } = await guard.inspect(question, 'input', signal)
  return [
    ...(injection.flagged ? ['input:injection'] : []),
    ...(personalData.length > 0 ? ['input:personal_data'] : []),
    ...(unsafe.length > 0 ? ['input:active_content'] : []),
  ]
}

function toEvidence({ hit, score }: FusedHit): Evidence {
  const { id, documentId, version, title, page, start, end, headings, text } = hit
  return { chunkId: id, documentId, version, title, page, start, end, headings, text, score }
}
