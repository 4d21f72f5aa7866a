import { createCodec } from '@aquifer/contracts/avro'
import { topicKey } from '@aquifer/contracts/keys'
import { topics } from '@aquifer/contracts/topics'
import type { Evaluation } from '@aquifer/contracts/types'
import { unavailable } from '@aquifer/runtime/errors'
import { afterEach, describe, expect, test } from 'vitest'
import { ask, createWorld, says, TENANT, until, version } from '../world.fixture.ts'
import type { Completion, World, WorldOptions } from '../world.fixture.ts'

const sampledCodec = createCodec('answers.sampled')
const evaluationCodec = createCodec('evaluations')
let world: World
afterEach(async () => await world.close())

interface Shown {
  readonly answer: string
  readonly question: string
  readonly evidence: { documentId: string; text: string; title: string | null }[]
  readonly citations: { quote: string; title: string | null }[]
  readonly evaluation: Evaluation | null
  readonly feedback: { rating: number; comment: string | null }[]
}

async function start(options: WorldOptions = {}): Promise<void> {
  world = await createWorld({ script: says('The river rises in spring [1].'), ...options })
}
async function complete(
  content: string,
  headers: Record<string, string> = {},
): Promise<Completion['aquifer']> {
  const response = await world.call('POST', '/v1/chat/completions', ask(content), headers)
  expect(response.status).toBe(200)
  return ((await response.json()) as Completion).aquifer
}
const show = async (id: string, headers: Record<string, string> = {}) =>
  (await (await world.call('GET', `/v1/answers/${id}`, undefined, headers)).json()) as Shown
const sampled = async () =>
  (await world.read(topics.answersSampled.name)).map(({ value }) => sampledCodec.decode(value!))

describe('answers: the sampled topic', () => {
  test('carries the lineage and the trace under the conversation’s key, and no personal data in any text', async () => {
    await start({ script: says('Ask jane.doe@example.org about the river [1].') })
    const mail = 'jane.doe@example.org'
    await world.add('river', `The river keeper is ${mail}.`, { title: `Mail of ${mail}` })
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    const { answerId, conversationId } = await complete(`Is ${mail} at the river?`, { traceparent })
    const [record] = await world.read(topics.answersSampled.name)
    expect(record!.key?.toString()).toBe(topicKey(TENANT, conversationId))
    expect(record!.headers['traceparent']).toContain('4bf92f3577b34da6a3ce929d0e0e4736')
    const [answer] = await sampled()
    expect(answer).toMatchObject({
      answerId,
      prompt: 'answer@1',
      model: 'scripted',
      evidence: [{ documentId: 'river' }],
    })
    expect(record!.value!.includes(mail)).toBe(false)
    expect(JSON.stringify(answer)).toContain('[EMAIL_ADDRESS]')
    expect((await show(answerId)).question).toContain(mail)
  })

  test('none where the share is nothing, and a log that fails takes nothing from the person', async () => {
    await start({ deps: { sampleRate: 0 } })
    await world.add('river', 'The river rises in spring.')
    await complete('river?')
    expect(await sampled()).toEqual([])
    await world.close()
    await start({
      deps: {
        guard: {
          inspect: async () => ({
            injection: { score: 0, flagged: false, kind: null },
            personalData: [],
            unsafe: [],
            clean: '',
          }),
          redact: async () => {
            throw unavailable('guard_busy', 'busy')
          },
        },
      },
    })
    await world.add('river', 'The river rises in spring.')
    expect((await complete('river?')).citations).toHaveLength(1)
    expect(await sampled()).toEqual([])
  })
})

describe('answers: read again', () => {
  test('evaluation and feedback come beside the answer', async () => {
    await start()
    await world.add('river', 'The river rises in spring.')
    const { answerId, conversationId, traceId } = await complete('river?')
    const evaluation: Evaluation = {
      answerId,
      conversationId,
      traceId,
      grounded: true,
      claims: [],
      evaluator: 'e',
      prompt: 'answer@1',
      model: 'scripted',
      route: 'default',
      answeredAt: 1,
      evaluatedAt: 2,
      answerRedacted: false,
      results: [{ name: 'groundedness', scoreValue: 0.5, scoreLabel: null }],
    }
    await world.log.append(topics.evaluations.name, [
      { key: topicKey(TENANT, 'x'), value: Buffer.from([0, 9, 9, 9, 9, 9]) },
      { key: topicKey(TENANT, answerId), value: evaluationCodec.encode(evaluation) },
    ])
    const given = await world.call('POST', '/v1/feedback', {
      answerId,
      rating: 1,
      rubric: { clear: 5 },
      comment: 'good',
    })
    expect(given.status).toBe(202)
    const shown = await until('both are there', async () => {
      const now = await show(answerId)
      return now.evaluation && now.feedback.length === 1 && now
    })
    expect(shown.evaluation).toEqual(evaluation)
    expect(shown.feedback).toMatchObject([{ rating: 1, comment: 'good' }])
  })

  test('claims are shown beside the text that was scored, and beside no other', async () => {
    await start({ script: says('Ask jane.doe@example.org about the river [1].') })
    await world.add('river', 'The river keeper is away.')
    const claims = [{ start: 0, end: 3, score: 0.5, supportedBy: [] }]
    const evaluated = async (answerId: string) => {
      const { conversationId, prompt, model, route, createdAt, traceId, answerRedacted } = (
        await sampled()
      ).find((answer) => answer.answerId === answerId)!
      const scores = { results: [], grounded: true, claims, evaluator: 'e', evaluatedAt: 2 }
      const lineage = { answerId, conversationId, prompt, model, route, traceId, answerRedacted }
      await world.answers.putEvaluation(TENANT, { ...lineage, ...scores, answeredAt: createdAt })
      return (await show(answerId)).evaluation
    }
    const redacted = (await complete('river?')).answerId
    expect(await evaluated(redacted)).toMatchObject({ claims: [], claimsOmitted: 'answer_redacted' })
    await world.close()
    await start()
    await world.add('river', 'The river rises in spring.')
    const whole = (await complete('river?')).answerId
    expect(await evaluated(whole)).toMatchObject({ claims, answerRedacted: false })
    expect((await show(whole)).evaluation).not.toHaveProperty('claimsOmitted')
    await world.remove('river', version(1))
    expect((await show(whole)).evaluation).toMatchObject({ claims: [], claimsOmitted: 'source_withdrawn' })
  })

  test('feedback with an Idempotency-Key counts once; of an unknown answer, or out of range, it is refused', async () => {
    await start()
    await world.add('river', 'The river rises in spring.')
    const { answerId } = await complete('river?')
    const headers = { 'Idempotency-Key': 'k' }
    const first = await (await world.call('POST', '/v1/feedback', { answerId, rating: 1 }, headers)).json()
    const second = await (await world.call('POST', '/v1/feedback', { answerId, rating: 1 }, headers)).json()
    expect(second).toEqual(first)
    expect(await world.read(topics.feedback.name)).toHaveLength(1)
    expect((await world.call('POST', '/v1/feedback', { answerId: 'none', rating: 1 })).status).toBe(404)
    expect((await world.call('POST', '/v1/feedback', { answerId, rating: 2 })).status).toBe(400)
    expect(
      (await world.call('POST', '/v1/feedback', { answerId, rating: 1, rubric: { clear: 6 } })).status,
    ).toBe(400)
  })

  test('once a source is deleted its text is gone from the answer, cited or not; what is left stays', async () => {
    await start({ script: says('The secret word is xylophone.') })
    await world.add('secret', 'the secret word is xylophone', { title: 'Secrets' })
    await world.add('river', 'the secret river rises')
    const { answerId } = await complete('secret word river?')
    expect((await show(answerId)).evidence.map(({ documentId }) => documentId).sort()).toEqual([
      'river',
      'secret',
    ])
    await world.remove('secret', version(1))
    const shown = await show(answerId)
    expect(JSON.stringify(shown)).not.toMatch(/xylophone|Secrets/)
    expect(shown.answer).toBe('[redacted]')
    expect(shown.evidence.find(({ documentId }) => documentId === 'river')!.text).toBe(
      'the secret river rises',
    )
  })

  test('who may not read a source sees none of it; another tenant sees no answer at all', async () => {
    await start()
    await world.add('river', 'The river rises in spring.', { access: ['hr'] })
    const { answerId } = await complete('river?', { 'X-Groups': 'hr' })
    expect((await show(answerId, { 'X-Groups': 'hr' })).answer).toContain('river rises')
    expect(JSON.stringify(await show(answerId, { 'X-Groups': 'ops' }))).not.toContain('rises')
    expect(
      (await world.call('GET', `/v1/answers/${answerId}`, undefined, { 'X-Tenant': 'other' })).status,
    ).toBe(404)
  })

  test('a version that was restricted stays so when a newer one is open', async () => {
    await start()
    await world.add('river', 'The river rises in spring.', { access: ['hr'] })
    const { answerId } = await complete('river?', { 'X-Groups': 'hr' })
    await world.add('river', 'Open now.', { version: version(1) })
    expect(JSON.stringify(await show(answerId, { 'X-Groups': 'ops' }))).not.toContain('rises')
    expect((await show(answerId, { 'X-Groups': 'hr,ops' })).answer).toContain('rises')
    expect((await show(answerId)).answer).toContain('rises')
  })
})

describe('the other routes', () => {
  test('embeddings and models in OpenAI’s shape, errors too', async () => {
    await start()
    const response = await world.call('POST', '/v1/embeddings', { input: ['one', 'two'] })
    const { data, usage } = (await response.json()) as { data: { embedding: number[] }[]; usage: object }
    expect(data.map(({ embedding }) => embedding.length)).toEqual([384, 384])
    expect(usage).toMatchObject({ prompt_tokens: 2 })
    const encoded = await world.call('POST', '/v1/embeddings', { input: 'one', encoding_format: 'base64' })
    const [first] = ((await encoded.json()) as { data: { embedding: string }[] }).data
    const bytes = Buffer.from(first!.embedding, 'base64')
    expect(bytes.readFloatLE(0)).toBeCloseTo(data[0]!.embedding[0]!, 6)
    const wrong = await world.call('POST', '/v1/embeddings', { input: [] })
    expect([wrong.status, Object.keys((await wrong.json()) as object)]).toEqual([400, ['error']])
    expect(((await (await world.call('GET', '/v1/models')).json()) as { data: object[] }).data).toHaveLength(
      2,
    )
  })

  test('inspect tells ranges and a clean text; errors elsewhere are problem+json', async () => {
    await start()
    const text = '😀 Mail jane.doe@example.org'
    const found = (await (await world.call('POST', '/v1/inspect', { text, as: 'input' })).json()) as {
      personalData: { type: string; start: number; end: number }[]
      clean: string
    }
    const mail = found.personalData.find(({ type }) => type === 'EMAIL_ADDRESS')!
    expect(Array.from(text).slice(mail.start, mail.end).join('')).toBe('jane.doe@example.org')
    expect(found.clean).not.toContain('jane.doe')
    const wrong = await world.call('POST', '/v1/inspect', { text, as: 'other' })
    expect([wrong.status, wrong.headers.get('content-type')]).toEqual([400, 'application/problem+json'])
    expect(await wrong.json()).toMatchObject({
      code: 'invalid_request',
      status: 400,
      errors: [{ path: 'as' }],
    })
  })
})
