import { createRoute, z } from '@hono/zod-openapi'
import { offlineSchemas } from '@aquifer/contracts/avro'
import { topicKey } from '@aquifer/contracts/keys'
import { topics } from '@aquifer/contracts/topics'
import type { AnswerRecord, Evaluation } from '@aquifer/contracts/types'
import { mayRead } from '@aquifer/runtime/auth'
import type { Identity } from '@aquifer/runtime/auth'
import { invalid } from '@aquifer/runtime/errors'
import { createRoutes } from '@aquifer/runtime/http'
import type { Routes } from '@aquifer/runtime/http'
import { idempotent } from '@aquifer/runtime/idempotency'
import type { DocumentRecord, Registry } from '@aquifer/stores/registry'
import type { QueryDeps } from '../deps.ts'
import { body, feedbackRequest, json, passage } from './schemas.ts'

const feedbackRoute = createRoute({
  method: 'post',
  path: '/v1/feedback',
  summary: 'Say what an answer was worth',
  request: { body: body(feedbackRequest) },
  responses: { 202: json(z.object({ feedbackId: z.string() }), 'Accepted') },
})

/** The members that matter to most; there are more, and more come. */
const keptAnswer = z
  .looseObject({
    answerId: z.string(),
    conversationId: z.string(),
    question: z.string(),
    answer: z.string(),
    abstained: z.boolean(),
    evidence: z.array(z.looseObject({ ...passage, headings: z.array(z.string()), text: z.string() })),
    citations: z.array(z.looseObject({ marker: z.string(), ...passage, quote: z.string() })),
    prompt: z.string(),
    model: z.string(),
    groundedness: z.number().nullable(),
    createdAt: z.number(),
    traceId: z.string(),
    evaluation: z.looseObject({ grounded: z.boolean() }).nullable(),
    feedback: z.array(z.looseObject({ rating: z.number() })),
  })
  .openapi('KeptAnswer')

const answerRoute = createRoute({
  method: 'get',
  path: '/v1/answers/{id}',
  summary: 'An answer with its whole lineage, for 30 days',
  request: { params: z.object({ id: z.string().max(64) }) },
  description:
    'Ranges of `evaluation.claims` are code points of `answer`. Where that is not the text that was scored, `claims` is empty and ' +
    '`evaluation.claimsOmitted` says why: `answer_redacted` (personal data was taken out before), `source_withdrawn` (`answer` is).',
  responses: { 200: json(keptAnswer, 'The answer') },
})

/** Stands where a text was whose document is deleted, or not the caller's to read. */
const REDACTED = '[redacted]'

export function answersRoutes(deps: QueryDeps): Routes {
  const { answers, registry, log, schemas = offlineSchemas } = deps
  const feedbackCodec = schemas.codec('feedback')

  async function find(identity: Identity, id: string) {
    const stored = await answers.get(identity.tenant, id)
    if (!stored)
      throw invalid('unknown_answer', `there is no answer ${id}; answers are kept for 30 days`, 404)
    return stored
  }

  const routes = createRoutes()
  routes.use('/v1/feedback', idempotent(deps.cache, deps.clock))
  return routes
    .openapi(feedbackRoute, async (c) => {
      const { answerId, rating, rubric = {}, correction = null, comment = null } = c.req.valid('json')
      const identity = c.get('identity')
      const { answer } = await find(identity, answerId)
      const feedbackId = deps.uuid()
      const value = feedbackCodec.encode({
        feedbackId,
        answerId,
        rating,
        rubric,
        correction,
        comment,
        createdAt: deps.clock.now(),
      })
      const headers = { traceparent: c.get('trace').traceparent }
      await log.append(topics.feedback.name, [
        { key: topicKey(identity.tenant, answer.conversationId), value, headers },
      ])
      return c.json({ feedbackId }, 202)
    })
    .openapi(answerRoute, async (c) => {
      const identity = c.get('identity')
      const { answer, evaluation, feedback } = await find(identity, c.req.valid('param').id)
      const { tenant: _tenant, groups: _groups, ...shown } = await redactWithdrawn(registry, identity, answer)
      const said = shown.answer === answer.answer
      const scored = evaluation && withClaimsOf(evaluation, said)
      return c.json({ ...shown, evaluation: scored, feedback } as never, 200)
    })
}

/** Claims are ranges of the text that was scored; beside another text they would point at anything. */
function withClaimsOf(evaluation: Evaluation, said: boolean) {
  const omitted = evaluation.answerRedacted ? 'answer_redacted' : said ? null : 'source_withdrawn'
  return omitted === null ? evaluation : { ...evaluation, claims: [], claimsOmitted: omitted }
}

/**
 * Takes out every text that rests on a document that was deleted since, or that the caller may not read. What was said goes too,
 * cited or not: the generator had read it all. The text of a superseded version is shown to who may read as the asker could.
 */
async function redactWithdrawn(
  registry: Registry,
  identity: Identity,
  answer: AnswerRecord,
): Promise<AnswerRecord> {
  const ids = [...new Set(answer.evidence.map(({ documentId }) => documentId))]
  const records = ids.length > 0 ? await registry.lookUp(identity.tenant, ids) : new Map()
  const { groups } = identity
  const readsLikeAsker =
    groups === null || (answer.groups !== null && answer.groups.every((group) => groups.includes(group)))
  const withdrawn = ({ documentId, version }: { documentId: string; version: string }): boolean => {
    const record: DocumentRecord | undefined = records.get(documentId)
    if (!record || (record.floor !== null && version <= record.floor)) return true
    if (record.visible?.version !== version && !readsLikeAsker) return true
    return !mayRead((record.visible ?? record.latest)?.access ?? null, groups)
  }
  if (!answer.evidence.some(withdrawn)) return answer
  return {
    ...answer,
    answer: REDACTED,
    evidence: answer.evidence.map((passage) =>
      withdrawn(passage) ? { ...passage, title: null, headings: [], text: REDACTED } : passage,
    ),
    citations: answer.citations.map((cited) =>
      withdrawn(cited) ? { ...cited, title: null, quote: REDACTED } : cited,
    ),
  }
}
