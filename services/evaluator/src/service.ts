import { offlineSchemas } from '@aquifer/contracts/avro'
import type { Schemas } from '@aquifer/contracts/avro'
import { parseTopicKey, topicKey } from '@aquifer/contracts/keys'
import { topics } from '@aquifer/contracts/topics'
import type { Evaluation, SampledAnswer } from '@aquifer/contracts/types'
import { deadLetter } from '@aquifer/event-log/dead-letter'
import type { Batch, EventLog, LogRecord, Subscription } from '@aquifer/event-log/port'
import type { Clock } from '@aquifer/runtime/clock'
import { mapLimited } from '@aquifer/runtime/concurrency'
import { isMessageFault } from '@aquifer/runtime/errors'
import type { Routes } from '@aquifer/runtime/http'
import type { Logger } from '@aquifer/runtime/logger'
import type { Metrics } from '@aquifer/runtime/metrics'
import { createSteady } from '@aquifer/runtime/retry'
import type { Tracing } from '@aquifer/runtime/tracing'
import type { Answers } from '@aquifer/stores/answers'
import { evaluationRoutes } from './http/routes.ts'
import type { Evaluate, Scores } from './deps.ts'

/**
 * sampled answer → evaluation.
 *
 * An evaluation is keyed by its answer and the same whenever it is made again, so a redelivery changes nothing for who reads by
 * key. A dependency's failure is waited for; an answer that does not read goes to the dead-letter topic.
 */
export interface EvaluatorService {
  readonly routes: readonly Routes[]
  start(): Promise<void>
  stop(): Promise<void>
}

export interface EvaluatorDeps {
  readonly log: EventLog
  /** Left out: the offline ones. */
  readonly schemas?: Schemas
  readonly answers: Answers
  readonly evaluate: Evaluate
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly metrics: Metrics
  readonly tracing: Tracing
}

export const EVALUATOR_GROUP = 'aquifer.evaluator'
const CONCURRENCY = 4

export function createEvaluatorService(deps: EvaluatorDeps): EvaluatorService {
  const { log, logger, metrics, tracing, schemas = offlineSchemas } = deps
  const sampled = schemas.codec('answers.sampled')
  const evaluations = schemas.codec('evaluations')
  let subscription: Subscription | null = null

  async function score(record: LogRecord, signal: AbortSignal): Promise<void> {
    if (record.value === null) return
    const { tenant } = parseTopicKey(record.key)
    const answer = await sampled.decode(record.value)
    await tracing.span(
      'evaluate answer',
      record.headers['traceparent'],
      { 'gen_ai.response.id': answer.answerId },
      async (trace) => {
        const scores = await deps.evaluate(
          {
            question: answer.question,
            answer: answer.answer,
            contexts: answer.evidence.map(({ text }) => text),
          },
          { lane: 'interactive', signal },
        )
        const evaluation = toEvaluation(answer, scores, deps.clock.now())
        const key = topicKey(tenant, answer.answerId)
        await log.append(topics.evaluations.name, [
          { key, value: evaluations.encode(evaluation), headers: { traceparent: trace.traceparent } },
        ])
        metrics.groundedness.observe(
          { prompt: answer.prompt, model: answer.model },
          scores.scores.groundedness,
        )
        logger.info(
          { traceId: trace.traceId, answerId: answer.answerId, groundedness: scores.scores.groundedness },
          'answer evaluated',
        )
      },
    )
  }

  const steady = createSteady('evaluator', deps)

  async function scoreOrReject(batch: Batch, record: LogRecord): Promise<void> {
    try {
      await steady(batch.signal, async () => await score(record, batch.signal))
    } catch (error) {
      if (!isMessageFault(error)) throw error
      logger.warn(
        { err: error, topic: record.topic, partition: record.partition, offset: record.offset },
        'dead-lettered',
      )
      metrics.deadLetters.inc({ topic: topics.answersSampledDlq.name, code: error.code })
      await steady(
        batch.signal,
        async () => await deadLetter(log, topics.answersSampledDlq.name, record, error),
      )
    }
  }

  return {
    routes: [evaluationRoutes(deps)],
    async start() {
      subscription = await log.subscribe(
        {
          group: EVALUATOR_GROUP,
          topics: [topics.answersSampled.name, topics.answersSampledRetry.name],
          maxBatchRecords: 16,
          onError: (error: unknown) => logger.error({ err: error }, 'evaluator'),
        },
        async (batch) => {
          await mapLimited(batch.records, CONCURRENCY, async (record) => await scoreOrReject(batch, record))
          await batch.commit(batch.records.at(-1)!.offset)
        },
      )
    },
    async stop() {
      await subscription?.stop()
    },
  }
}

function toEvaluation(
  answer: SampledAnswer,
  { scores, grounded, claims, evaluator }: Scores,
  evaluatedAt: number,
): Evaluation {
  return {
    answerId: answer.answerId,
    conversationId: answer.conversationId,
    results: Object.entries(scores).flatMap(([name, scoreValue]) =>
      scoreValue === undefined || scoreValue === null
        ? []
        : [
            {
              name,
              scoreValue,
              scoreLabel: name === 'groundedness' ? (grounded ? 'grounded' : 'ungrounded') : null,
            },
          ],
    ),
    grounded,
    claims: claims.map(({ start, end, score, supportedBy }) => ({
      start,
      end,
      score,
      supportedBy: supportedBy.flatMap((index) => answer.evidence[index]?.chunkId ?? []),
    })),
    evaluator,
    prompt: answer.prompt,
    model: answer.model,
    route: answer.route,
    answeredAt: answer.createdAt,
    evaluatedAt,
    traceId: answer.traceId,
    answerRedacted: answer.answerRedacted,
  }
}
