import { createCodec } from '@aquifer/contracts/avro'
import { topicKey } from '@aquifer/contracts/keys'
import { topics } from '@aquifer/contracts/topics'
import type { Evaluation, SampledAnswer } from '@aquifer/contracts/types'
import { createMemoryEventLog } from '@aquifer/event-log/memory'
import type { EventLog } from '@aquifer/event-log/port'
import { createGroundednessScorer } from '@aquifer/models/groundedness'
import { createLexicalEmbedder } from '@aquifer/models/lexical-embedder'
import { systemClock } from '@aquifer/runtime/clock'
import { invalid, unavailable } from '@aquifer/runtime/errors'
import { startHttp } from '@aquifer/runtime/http'
import { createLogger } from '@aquifer/runtime/logger'
import { createMetrics } from '@aquifer/runtime/metrics'
import { openDatabase } from '@aquifer/runtime/sqlite'
import { createTracing } from '@aquifer/runtime/tracing'
import type { Answers } from '@aquifer/stores/answers'
import { answersSchema, createSqliteAnswers } from '@aquifer/stores/answers-sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Evaluate } from './deps.ts'
import { summarise } from './http/routes.ts'
import { createEvaluate } from './metrics/evaluate.ts'
import { createEvaluatorService, EVALUATOR_GROUP } from './service.ts'

const TENANT = 'acme'
const SAMPLED = topics.answersSampled.name
const sampledCodec = createCodec('answers.sampled')
const evaluationCodec = createCodec('evaluations')
const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
const NOW = Date.UTC(2026, 0, 2, 12, 30)

interface World {
  readonly log: EventLog
  readonly answers: Answers
  readonly url: string
  readonly restart: (evaluate?: Evaluate) => Promise<void>
}
let world: World
let closers: (() => Promise<unknown>)[]

async function start(wrap: (evaluate: Evaluate) => Evaluate = (evaluate) => evaluate): Promise<void> {
  const log = createMemoryEventLog({ clock: systemClock, maintainEveryMs: null })
  await log.ensureTopics(Object.values(topics).map((topic) => Object.assign({ partitions: 2 }, topic)))
  const embedder = createLexicalEmbedder()
  const database = openDatabase({ path: ':memory:', schema: answersSchema, survives: 'kill' })
  const answers = createSqliteAnswers(database)
  const evaluate = wrap(createEvaluate({ embedder, groundedness: createGroundednessScorer({ embedder }) }))
  const shared = {
    logger: createLogger('silent', 'test'),
    metrics: createMetrics(),
    tracing: createTracing(),
  }
  const create = () =>
    createEvaluatorService({
      ...shared,
      log,
      answers,
      evaluate,
      clock: { ...systemClock, now: () => NOW },
      random: () => 0,
    })
  const service = create()
  await service.start()
  const http = await startHttp({
    ...shared,
    host: '127.0.0.1',
    port: 0,
    routes: service.routes,
    localOnly: false,
    checks: {},
    onScrape: async () => {},
    warnings: [],
    welcome: '',
    authenticate: (head) => ({ tenant: head.header('x-tenant') ?? TENANT, groups: null, canWrite: true }),
  })
  closers.push(
    () => service.stop(),
    () => http.close(500),
    () => log.close(),
    () => database.close(),
  )
  world = {
    log,
    answers,
    url: http.url,
    async restart() {
      await service.stop()
      const next = create()
      await next.start()
      closers.unshift(() => next.stop())
    },
  }
}

function answerOf(answerId: string, more: Partial<SampledAnswer> = {}): SampledAnswer {
  const range = { documentId: 'rivers', version: 'v1', title: 'Secret title', page: null, start: 0, end: 27 }
  return {
    answerId,
    conversationId: 'talk',
    question: 'When does the secretriver rise?',
    answer: 'The secretriver rises in spring. 😀 It sings in winter.',
    abstained: false,
    evidence: [
      {
        ...range,
        chunkId: 'chunk-1',
        headings: ['Secret heading'],
        text: 'The secretriver rises in spring.',
        score: 1,
      },
    ],
    citations: [{ ...range, chunkId: 'chunk-1', marker: '[1]', quote: 'The secretriver rises' }],
    fresh: true,
    prompt: 'answer@1',
    model: 'extractive',
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
    createdAt: NOW - 1000,
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    answerRedacted: false,
    ...more,
  }
}
async function send(answer: SampledAnswer | Buffer): Promise<void> {
  const value = Buffer.isBuffer(answer) ? answer : sampledCodec.encode(answer)
  await world.log.append(SAMPLED, [
    { key: topicKey(TENANT, 'talk'), value, headers: { traceparent: TRACEPARENT } },
  ])
}
async function settled(): Promise<void> {
  const deadline = Date.now() + 15_000
  const lag = async (topic: string) => await world.log.lag(EVALUATOR_GROUP, topic)
  while ((await lag(SAMPLED)) + (await lag(topics.answersSampledRetry.name)) > 0) {
    if (Date.now() > deadline) throw new Error('not in time: the evaluator has read everything')
    await new Promise((resolve) => setImmediate(resolve))
  }
}
async function read(topic: string) {
  const partitions = await world.log.offsets(topic)
  return (
    await Promise.all(partitions.map(({ partition }) => world.log.read(topic, partition, 0, 1000)))
  ).flat()
}
const evaluations = async () =>
  (await read(topics.evaluations.name)).map(({ value }) => evaluationCodec.decode(value!))
// What a body is, each test knows.
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters
async function call<T>(
  method: string,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: T }> {
  const response = await fetch(`${world.url}${path}`, {
    method,
    headers: { 'Content-Type': 'application/json', ...headers },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  return { status: response.status, body: (await response.json()) as T }
}

beforeEach(() => {
  closers = []
})
afterEach(async () => {
  for (const close of closers) await close()
})

describe('evaluator: a sampled answer', () => {
  test('becomes one record of ids, ranges and scores, under its own key and the answer’s trace', async () => {
    await start()
    await send(answerOf('a1'))
    await settled()
    const [record, ...others] = await read(topics.evaluations.name)
    expect(others).toEqual([])
    expect(record!.key?.toString()).toBe(topicKey(TENANT, 'a1'))
    expect(record!.headers['traceparent']).toContain('4bf92f3577b34da6a3ce929d0e0e4736')
    const [evaluation] = await evaluations()
    expect(evaluation).toMatchObject({
      answerId: 'a1',
      conversationId: 'talk',
      prompt: 'answer@1',
      model: 'extractive',
      route: 'default',
      answeredAt: NOW - 1000,
      evaluatedAt: NOW,
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    })
    const names = evaluation!.results.map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['groundedness', 'answerRelevance', 'contextPrecision']))
    for (const { scoreValue } of evaluation!.results) {
      expect(scoreValue).toBeGreaterThanOrEqual(0)
      expect(scoreValue).toBeLessThanOrEqual(1)
    }
    const said = Array.from(answerOf('a1').answer)
    const claims = evaluation!.claims.map(({ start: from, end }) => said.slice(from, end).join(''))
    expect(claims.at(-1)).toMatch(/It sings in winter\.$/)
    expect(evaluation!.claims[0]!.supportedBy).toEqual(['chunk-1'])
    await send(answerOf('a2', { answerRedacted: true }))
    await settled()
    const redacted = (await evaluations()).map(({ answerId, answerRedacted }) => [answerId, answerRedacted])
    expect(new Map(redacted as [string, boolean][])).toEqual(
      new Map([
        ['a1', false],
        ['a2', true],
      ]),
    )
  })

  test('no text of question, answer or evidence is anywhere in the value', async () => {
    await start()
    await send(answerOf('a1'))
    await settled()
    const [{ value } = { value: null }] = await read(topics.evaluations.name)
    expect(value!.toString('latin1').toLowerCase()).not.toMatch(/secret|rises|spring|sings|winter|when does/)
  })

  test('made again, it takes the place of itself', async () => {
    await start()
    await send(answerOf('a1'))
    await settled()
    await world.restart()
    await send(answerOf('a1'))
    await settled()
    const records = await read(topics.evaluations.name)
    expect(records).toHaveLength(2)
    expect(records[1]!.value).toEqual(records[0]!.value)
    expect(records[1]!.key).toEqual(records[0]!.key)
  })

  test('one that does not read is dead-lettered untouched, and the next one goes on', async () => {
    await start()
    const poison = Buffer.from([0, 1, 2, 3, 4, 5])
    await send(poison)
    await send(answerOf('next'))
    await settled()
    const [dead] = await read(topics.answersSampledDlq.name)
    expect(dead!.value).toEqual(poison)
    expect(dead!.headers).toMatchObject({
      traceparent: TRACEPARENT,
      '__connect.errors.topic': SAMPLED,
      '__connect.errors.exception.class.name': 'unknown_schema',
    })
    expect((await evaluations()).map(({ answerId }) => answerId)).toEqual(['next'])
  })

  test('one that is replayed is evaluated as it would have been', async () => {
    await start()
    const value = sampledCodec.encode(answerOf('again'))
    await world.log.append(topics.answersSampledRetry.name, [{ key: topicKey(TENANT, 'talk'), value }])
    await settled()
    expect((await evaluations()).map(({ answerId }) => answerId)).toEqual(['again'])
  })

  test('one that the scorer refuses is dead-lettered; a dependency that fails is waited for', async () => {
    let failures = 3
    await start((evaluate) => async (input, options) => {
      if (input.answer === 'refused') throw invalid('evaluation_too_large', 'too large', 413)
      if (failures-- > 0) throw failures % 2 ? unavailable('embedder_down', 'down') : new Error('reset')
      return await evaluate(input, options)
    })
    await send(answerOf('a1'))
    await send(answerOf('a2', { answer: 'refused' }))
    await settled()
    expect(failures).toBeLessThan(0)
    expect((await evaluations()).map(({ answerId }) => answerId)).toEqual(['a1'])
    expect(await read(topics.answersSampledDlq.name)).toHaveLength(1)
  })
})

describe('evaluator: over HTTP', () => {
  test('/v1/evaluate scores claim by claim, and leaves out what the input does not allow', async () => {
    await start()
    const contexts = ['The river rises in spring.', 'Reeds bend in the wind.']
    const { status, body } = await call<{
      scores: Record<string, number>
      claims: { text: string; start: number; end: number; supportedBy: number[] }[]
      evaluator: string
    }>('POST', '/v1/evaluate', { answer: '😀 The river rises in spring.', contexts })
    expect([status, Object.keys(body.scores).sort()]).toEqual([200, ['contextPrecision', 'groundedness']])
    expect(body.claims[0]!.supportedBy[0]).toBe(0)
    for (const { text, start: from, end } of body.claims)
      expect(Array.from('😀 The river rises in spring.').slice(from, end).join('')).toBe(text)
    const whole = await call<{ scores: object }>('POST', '/v1/evaluate', {
      question: 'When?',
      answer: 'In spring.',
      contexts,
      reference: 'In spring.',
    })
    expect(Object.keys(whole.body.scores).sort()).toEqual([
      'answerRelevance',
      'contextPrecision',
      'contextRecall',
      'groundedness',
    ])
    expect((await call('POST', '/v1/evaluate', { answer: 'x' })).status).toBe(400)
    expect((await call('POST', '/v1/evaluate', { answer: 'x', contexts: Array(65).fill('x') })).status).toBe(
      400,
    )
  })

  test('the list: newest first, filtered, page by page, of one tenant', async () => {
    await start()
    const put = async (id: string, more: Partial<Evaluation>, groundedness: number, tenant = TENANT) =>
      await world.answers.putEvaluation(tenant, {
        answerId: id,
        conversationId: 'c',
        results: [{ name: 'groundedness', scoreValue: groundedness, scoreLabel: null }],
        grounded: groundedness > 0.5,
        claims: [],
        evaluator: 'e',
        prompt: 'answer@1',
        model: 'm',
        route: 'default',
        answeredAt: NOW,
        evaluatedAt: NOW,
        traceId: 't',
        answerRedacted: false,
        ...more,
      })
    await put('old', { answeredAt: NOW - 3_600_000 }, 0.9)
    await put('new', { answeredAt: NOW }, 0.2)
    await put('other-model', { answeredAt: NOW - 1000, model: 'n' }, 0.8)
    await put('foreign', {}, 0.1, 'other')
    interface Page {
      evaluations: Evaluation[]
      cursor?: string
    }
    const list = async (query: string) => {
      const { body } = await call<Page>('GET', `/v1/evaluations?${query}`)
      return body.evaluations.map(({ answerId }) => answerId)
    }
    expect(await list('')).toEqual(['new', 'other-model', 'old'])
    expect(await list('below=0.5')).toEqual(['new'])
    expect(await list('model=n')).toEqual(['other-model'])
    expect(await list('prompt=answer@2')).toEqual([])
    expect(
      await list(`from=${new Date(NOW - 2000).toISOString()}&to=${new Date(NOW).toISOString()}`),
    ).toEqual(['other-model'])
    const first = await call<Page>('GET', '/v1/evaluations?limit=2')
    expect(await list(`limit=2&cursor=${first.body.cursor}`)).toEqual(['old'])
    for (const wrong of ['below=2', 'limit=0', 'from=yesterday', 'cursor=nonsense'])
      expect((await call('GET', `/v1/evaluations?${wrong}`)).status).toBe(400)
    const { body } = await call<{
      windows: { group: string; answers: number; groundedShare: number; means: object }[]
    }>('GET', '/v1/evaluations/summary?by=model&windowMs=3600000')
    expect(
      body.windows.map(({ group, answers, groundedShare, means }) => [group, answers, groundedShare, means]),
    ).toEqual([
      ['m', 1, 0, { groundedness: 0.2 }],
      ['n', 1, 1, { groundedness: 0.8 }],
      ['m', 1, 1, { groundedness: 0.9 }],
    ])
  })

  test('a summary of nothing is empty', () => {
    expect(summarise([], 60_000, 'prompt')).toEqual([])
  })
})
