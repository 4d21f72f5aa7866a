import { join } from 'node:path'
import { createCodec } from '@aquifer/contracts/avro'
import { topicKey } from '@aquifer/contracts/keys'
import { topics } from '@aquifer/contracts/topics'
import type { SampledAnswer } from '@aquifer/contracts/types'
import { createEvaluate } from '@aquifer/evaluator/metrics'
import { createEvaluatorService } from '@aquifer/evaluator/service'
import { createSqliteEventLog } from '@aquifer/event-log/sqlite'
import { createGroundednessScorer } from '@aquifer/models/groundedness'
import { openEmbedder } from '@aquifer/models/open'
import { systemClock } from '@aquifer/runtime/clock'
import { mapLimited } from '@aquifer/runtime/concurrency'
import { createLogger } from '@aquifer/runtime/logger'
import { createMetrics } from '@aquifer/runtime/metrics'
import { openDatabase } from '@aquifer/runtime/sqlite'
import { createTracing } from '@aquifer/runtime/tracing'
import { answersSchema, createSqliteAnswers } from '@aquifer/stores/answers-sqlite'
import { newDataDir, removeDataDir } from '@aquifer/test/server'
import type { Bench } from '../comparison.ts'
import { readRows } from '../data.ts'

const ROW = 'evaluator'
/** As a system has it that nobody configured. */
const PARTITIONS = 4
/** How many the bare loop has under way; the best counts. The service has four of each partition. */
const AT_ONCE = [2, 4, 16]
const ANSWERS = 64
const SMOKE_ANSWERS = 4
const POLL_MS = 5

interface Row {
  readonly question: string
  readonly response: string
  readonly context: string
}

/** Sampled answers from the log to evaluations in the log, beside the scoring alone, with the same model on the same threads. */
export const evaluator: Bench = {
  rows: [
    {
      name: ROW,
      title: 'The evaluator: sampled answers of RAGTruth from the log, scored, to evaluations in the log',
      unit: 'answers/s',
      better: 'more',
      goal: 0.9,
      limit: 'The embeddings of claims and evidence; what the service adds is one durable append an answer.',
    },
  ],
  async open({ smoke }) {
    const rows = readRows<Row>('groundedness_ragtruth.jsonl').slice(0, smoke ? SMOKE_ANSWERS : ANSWERS)
    const dataDir = await newDataDir()
    const embedder = await openEmbedder('onnx:all-MiniLM-L6-v2', { dataDir, env: process.env })
    const evaluate = createEvaluate({ embedder, groundedness: createGroundednessScorer({ embedder }) })
    const log = createSqliteEventLog({ path: join(dataDir, 'log.db'), clock: systemClock })
    await log.ensureTopics(Object.values(topics).map((topic) => ({ ...topic, partitions: PARTITIONS })))
    const database = openDatabase({
      path: join(dataDir, 'answers.db'),
      schema: answersSchema,
      survives: 'kill',
    })
    const codec = createCodec('answers.sampled')

    const evaluated = async (): Promise<number> =>
      (await log.offsets(topics.evaluations.name)).reduce((sum, { next }) => sum + next, 0)
    /** Seconds from the start of a service that finds the answers in the log. */
    async function serve(answers: readonly Row[]): Promise<number> {
      const records = answers.map((row, i) => ({
        key: topicKey('bench', `talk-${i}`),
        value: codec.encode(toAnswer(row, i)),
      }))
      await log.append(topics.answersSampled.name, records)
      const wanted = (await evaluated()) + answers.length
      const service = createEvaluatorService({
        log,
        evaluate,
        answers: createSqliteAnswers(database),
        clock: systemClock,
        random: Math.random,
        logger: createLogger('silent', 'bench'),
        metrics: createMetrics(),
        tracing: createTracing(),
      })
      const started = performance.now()
      await service.start()
      while ((await evaluated()) < wanted) await systemClock.sleep(POLL_MS)
      const seconds = (performance.now() - started) / 1000
      await service.stop()
      return seconds
    }
    async function bare(answers: readonly Row[], atOnce: number): Promise<number> {
      const started = performance.now()
      await mapLimited(answers, atOnce, async ({ question, response, context }) =>
        evaluate({ question, answer: response, contexts: passages(context) }, { lane: 'interactive' }),
      )
      return (performance.now() - started) / 1000
    }
    await serve(rows.slice(0, SMOKE_ANSWERS))
    await bare(rows.slice(0, SMOKE_ANSWERS), 2)
    return {
      ours: { name: 'aquifer', run: async () => ({ [ROW]: rows.length / (await serve(rows)) }) },
      peers: AT_ONCE.map((atOnce) => ({
        name: `the same functions in a bare loop, ${atOnce} at once`,
        run: async () => ({ [ROW]: rows.length / (await bare(rows, atOnce)) }),
      })),
      async close() {
        await log.close()
        await database.close()
        await embedder.close()
        await removeDataDir(dataDir)
      },
    }
  },
}

const passages = (context: string): string[] => context.split(/\n\n(?=passage \d+:)/u)

function toAnswer({ question, response, context }: Row, index: number): SampledAnswer {
  const place = { documentId: 'ragtruth', version: '1', title: null, page: null, start: 0 }
  const evidence = passages(context).map((text, i) => ({
    ...place,
    chunkId: `${index}-${i}`,
    end: Array.from(text).length,
    headings: [],
    text,
    score: 1,
  }))
  return {
    answerId: `answer-${index}`,
    conversationId: `talk-${index}`,
    question,
    answer: response,
    abstained: false,
    evidence,
    citations: [],
    fresh: true,
    prompt: 'answer@1',
    model: 'bench',
    route: 'default',
    arm: null,
    cached: false,
    guard: [],
    promptTokens: 1,
    completionTokens: 1,
    costUsd: null,
    retrieveMs: 1,
    firstTokenMs: 1,
    totalMs: 1,
    groundedness: null,
    createdAt: Date.UTC(2026, 0, 1),
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    answerRedacted: false,
  }
}
