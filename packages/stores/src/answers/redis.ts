import type { AnswerRecord, Evaluation, Feedback } from '@aquifer/contracts/types'
import { script } from '../redis.ts'
import type { RedisConnection } from '../redis.ts'
import { formatCursor, parseCursor } from './cursor.ts'
import type { Answers, EvaluationQuery } from './port.ts'
import { SCORES_KEPT_MS, TEXT_KEPT_MS } from './retention.ts'

/** Of one conversation; nothing asks for more. */
const MAX_TURNS = 1000
/** What one step of a list or of a clean-up takes. */
const PAGE = 200
/** Evaluations that one list looks through for those that the filters want: so many pages; then it answers with what it has. */
const LIST_PAGES = 50

/** KEYS: answer, conversation, ages. ARGV: answer's id, time, place in the conversation, its bound, kept for ms, answer. */
const PUT = script(`
  redis.call('HSET', KEYS[1], 'answer', ARGV[6])
  redis.call('PEXPIRE', KEYS[1], ARGV[5], 'NX')
  redis.call('ZADD', KEYS[2], 0, ARGV[3])
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -ARGV[4] - 1)
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
  redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])`)

/** KEYS: answer, ages. ARGV: answer's id, feedback's id, time, kept for ms, feedback. */
const PUT_FEEDBACK = script(`
  redis.call('HSET', KEYS[1], 'feedback:' .. ARGV[2], ARGV[5])
  redis.call('PEXPIRE', KEYS[1], ARGV[4], 'NX')
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1] .. '\\n' .. ARGV[2])`)

/** KEYS: evaluations, their places by id, their order. ARGV: answer's id, place, evaluation. */
const PUT_EVALUATION = script(`
  local before = redis.call('HGET', KEYS[2], ARGV[1])
  if before then redis.call('ZREM', KEYS[3], before) end
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
  redis.call('ZADD', KEYS[3], 0, ARGV[2])`)

/**
 * Answers on Redis. What belongs to one tenant lies in one hash slot. Texts also expire by themselves, so that they go although
 * nobody calls \`expire\`.
 */
export function createRedisAnswers(redis: RedisConnection): Answers {
  const user = redis.as('state_unavailable')
  const tenants = `${redis.prefix}:answers:tenants`
  const keyOf = (tenant: string, ...path: string[]): string =>
    [`{${redis.prefix}:answers:${tenant}}`, ...path].join(':')

  async function remember(tenant: string): Promise<void> {
    await user.run(async (client) => await client.sadd(tenants, tenant))
  }

  /** Evaluations in their order, newest first, from a place on. */
  async function pageOf(tenant: string, from: string, to: string): Promise<Evaluation[]> {
    return await user.run(async (client) => {
      const order = keyOf(tenant, 'evaluations', 'order')
      const places = await client.zrevrangebylex(order, from, to, 'LIMIT', 0, PAGE)
      if (places.length === 0) return []
      const texts = await client.hmget(keyOf(tenant, 'evaluations'), ...places.map(idAt))
      return texts.flatMap((text) => (text === null ? [] : (JSON.parse(text) as Evaluation)))
    })
  }

  async function expireTexts(tenant: string, beforeMs: number): Promise<void> {
    const ages = keyOf(tenant, 'ages')
    await inPages(async () => {
      const old = await user.run(async (client) =>
        client.zrangebyscore(ages, '-inf', `(${beforeMs}`, 'LIMIT', 0, PAGE),
      )
      for (const member of old) {
        const [answerId, feedbackId] = member.split('\n') as [string, string?]
        const field = feedbackId === undefined ? 'answer' : `feedback:${feedbackId}`
        await user.run(async (client) => await client.hdel(keyOf(tenant, 'answer', answerId), field))
        await user.run(async (client) => await client.zrem(ages, member))
      }
      return old.length
    })
  }

  async function expireScores(tenant: string, beforeMs: number): Promise<void> {
    const [evaluations, order] = [keyOf(tenant, 'evaluations'), keyOf(tenant, 'evaluations', 'order')]
    await inPages(async () => {
      const old = await user.run(
        async (client) => await client.zrangebylex(order, '-', `(${timeOf(beforeMs)}`, 'LIMIT', 0, PAGE),
      )
      if (old.length === 0) return 0
      await user.run(async (client) => {
        await client.hdel(evaluations, ...old.map(idAt))
        await client.hdel(keyOf(tenant, 'evaluations', 'places'), ...old.map(idAt))
        await client.zrem(order, ...old)
      })
      return old.length
    })
  }

  return {
    async put(answer) {
      const { tenant, answerId, conversationId, createdAt } = answer
      await remember(tenant)
      await user.script(
        PUT,
        [keyOf(tenant, 'answer', answerId), keyOf(tenant, 'talk', conversationId), keyOf(tenant, 'ages')],
        [answerId, createdAt, placeOf(createdAt, answerId), MAX_TURNS, TEXT_KEPT_MS, JSON.stringify(answer)],
      )
    },
    async get(tenant, answerId) {
      const [held, evaluation] = await user.run(
        async (client) =>
          await Promise.all([
            client.hgetall(keyOf(tenant, 'answer', answerId)),
            client.hget(keyOf(tenant, 'evaluations'), answerId),
          ]),
      )
      if (held['answer'] === undefined) return null
      const feedback = Object.entries(held).flatMap(([name, text]) =>
        name.startsWith('feedback:') ? (JSON.parse(text) as Feedback) : [],
      )
      return {
        answer: JSON.parse(held['answer']) as AnswerRecord,
        evaluation: evaluation === null ? null : (JSON.parse(evaluation) as Evaluation),
        feedback: feedback.sort((a, b) => a.createdAt - b.createdAt),
      }
    },
    async putEvaluation(tenant, evaluation) {
      const { answerId, answeredAt } = evaluation
      await remember(tenant)
      await user.script(
        PUT_EVALUATION,
        [
          keyOf(tenant, 'evaluations'),
          keyOf(tenant, 'evaluations', 'places'),
          keyOf(tenant, 'evaluations', 'order'),
        ],
        [answerId, placeOf(answeredAt, answerId), JSON.stringify(evaluation)],
      )
    },
    async putFeedback(tenant, feedback) {
      const { answerId, feedbackId, createdAt } = feedback
      await remember(tenant)
      await user.script(
        PUT_FEEDBACK,
        [keyOf(tenant, 'answer', answerId), keyOf(tenant, 'ages')],
        [answerId, feedbackId, createdAt, TEXT_KEPT_MS, JSON.stringify(feedback)],
      )
    },
    async listEvaluations(tenant, query) {
      const { fromMs = 0, toMs, limit, cursor } = query
      let from = '+'
      if (cursor !== undefined) from = `(${placeOf(...parseCursor(cursor))}`
      else if (toMs !== undefined) from = `(${timeOf(toMs)}`
      const evaluations: Evaluation[] = []
      let last: Evaluation | undefined
      for (let page = 0; page < LIST_PAGES && evaluations.length <= limit; page++) {
        const read = await pageOf(tenant, from, `[${timeOf(fromMs)}`)
        evaluations.push(...read.filter((evaluation) => isWanted(evaluation, query)))
        last = read.length < PAGE ? undefined : read.at(-1)
        if (!last) break
        from = `(${placeOf(last.answeredAt, last.answerId)}`
      }
      if (evaluations.length > limit) last = evaluations[limit - 1]
      const listed = evaluations.slice(0, limit)
      return last
        ? { evaluations: listed, cursor: formatCursor(last.answeredAt, last.answerId) }
        : { evaluations: listed }
    },
    async conversation(tenant, conversationId, limit) {
      return await user.run(async (client) => {
        const places = await client.zrevrange(keyOf(tenant, 'talk', conversationId), 0, limit - 1)
        const texts = await Promise.all(
          places.map(async (place) => await client.hget(keyOf(tenant, 'answer', idAt(place)), 'answer')),
        )
        return texts.flatMap((text) => (text === null ? [] : (JSON.parse(text) as AnswerRecord))).reverse()
      })
    },
    async expire(nowMs) {
      for (const tenant of await user.run(async (client) => await client.smembers(tenants))) {
        await expireTexts(tenant, nowMs - TEXT_KEPT_MS)
        await expireScores(tenant, nowMs - SCORES_KEPT_MS)
      }
    },
    async ping() {
      await user.run(async (client) => await client.ping())
    },
    close: async () => {},
  }
}

/** Sorts bytewise by time, then by id. */
function placeOf(timeMs: number, id: string): string {
  return `${timeOf(timeMs)}\n${id}`
}

/** 15 digits hold milliseconds until the year 33658. */
function timeOf(timeMs: number): string {
  return String(Math.max(0, Math.floor(timeMs))).padStart(15, '0')
}

function idAt(place: string): string {
  return place.slice(place.indexOf('\n') + 1)
}

function isWanted(
  { answeredAt, prompt, model, results }: Evaluation,
  wanted: Pick<EvaluationQuery, 'toMs' | 'prompt' | 'model' | 'below'>,
): boolean {
  const score = results.find(({ name }) => name === 'groundedness')?.scoreValue
  return (
    (wanted.toMs === undefined || answeredAt < wanted.toMs) &&
    (wanted.prompt === undefined || prompt === wanted.prompt) &&
    (wanted.model === undefined || model === wanted.model) &&
    (wanted.below === undefined || (score != null && score < wanted.below))
  )
}

/** Until a step found nothing to do. */
async function inPages(step: () => Promise<number>): Promise<void> {
  for (let done = await step(); done === PAGE; done = await step());
}
