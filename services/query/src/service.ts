import { offlineSchemas } from '@aquifer/contracts/avro'
import { parseTopicKey } from '@aquifer/contracts/keys'
import { topics } from '@aquifer/contracts/topics'
import type { Batch, LogRecord, Subscription } from '@aquifer/event-log/port'
import { isMessageFault } from '@aquifer/runtime/errors'
import type { Routes } from '@aquifer/runtime/http'
import { createSteady } from '@aquifer/runtime/retry'
import type { QueryDeps } from './deps.ts'
import { answersRoutes } from './http/answers.ts'
import { chatRoutes } from './http/chat.ts'
import { openaiRoutes } from './http/openai.ts'
import { searchRoutes } from './http/search.ts'
import { createSampler } from './sample.ts'

/** question → answer; and what comes back of it (evaluations, feedback), beside the answer it belongs to. */
export interface QueryService {
  readonly routes: readonly Routes[]
  start(): Promise<void>
  stop(): Promise<void>
}

const PROJECTION_GROUP = 'aquifer.answers'
const SAMPLING_DEADLINE_MS = 10_000

export function createQueryService(deps: QueryDeps): QueryService {
  const { log, answers, logger, schemas = offlineSchemas } = deps
  const evaluations = schemas.codec('evaluations')
  const feedback = schemas.codec('feedback')
  const sampler = createSampler(deps)
  let subscription: Subscription | null = null

  async function project(record: LogRecord): Promise<void> {
    if (record.value === null) return
    const { tenant } = parseTopicKey(record.key)
    if (record.topic === topics.evaluations.name)
      await answers.putEvaluation(tenant, await evaluations.decode(record.value))
    else await answers.putFeedback(tenant, await feedback.decode(record.value))
  }

  const steady = createSteady('query', deps)

  async function projectBatch(batch: Batch): Promise<void> {
    for (const record of batch.records) {
      try {
        await steady(batch.signal, () => project(record))
      } catch (error) {
        if (!isMessageFault(error)) throw error
        // Both topics are written by us alone, and stay as they are: the record can be read again once this is mended.
        logger.error(
          { err: error, topic: record.topic, offset: record.offset },
          'a record does not read; left in its topic',
        )
      }
    }
    await batch.commit(batch.records.at(-1)!.offset)
  }

  return {
    routes: [searchRoutes(deps), chatRoutes(deps, sampler), answersRoutes(deps), openaiRoutes(deps)],
    async start() {
      const options = {
        group: PROJECTION_GROUP,
        topics: [topics.evaluations.name, topics.feedback.name],
        onError: (error: unknown) => logger.error({ err: error }, 'answers'),
      }
      subscription = await log.subscribe(options, projectBatch)
    },
    async stop() {
      await sampler.stop(SAMPLING_DEADLINE_MS)
      await subscription?.stop()
    },
  }
}
