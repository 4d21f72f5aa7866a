import { createRoute, z } from '@hono/zod-openapi'
import type { Evaluation } from '@aquifer/contracts/types'
import { createRoutes } from '@aquifer/runtime/http'
import type { Routes } from '@aquifer/runtime/http'
import type { Answers, EvaluationQuery } from '@aquifer/stores/answers'
import type { Evaluate } from '../deps.ts'

const MAX_TEXT = 64 * 1024
const HOUR = 60 * 60 * 1000
/** A summary reads at most so many evaluations; beyond it, the window is to be narrowed. */
const MAX_SUMMARISED = 20_000
const PAGE = 1000

const evaluateRequest = z
  .strictObject({
    question: z.string().max(MAX_TEXT).optional(),
    answer: z.string().max(MAX_TEXT),
    contexts: z.array(z.string().max(MAX_TEXT)).max(64),
    reference: z.string().max(MAX_TEXT).optional(),
  })
  .openapi('EvaluateRequest', {
    example: {
      question: 'What happened in 2020?',
      answer: 'The wells fell dry.',
      contexts: ['In 2020 all wells of the valley fell dry.'],
    },
  })

const evaluateResponse = z
  .object({
    scores: z.record(z.string(), z.number()),
    grounded: z.boolean(),
    claims: z.array(
      z.object({
        text: z.string(),
        start: z.number(),
        end: z.number(),
        score: z.number(),
        supportedBy: z.array(z.number()),
      }),
    ),
    evaluator: z.string(),
  })
  .openapi('EvaluateResponse')

const time = z.iso.datetime({ offset: true }).or(z.iso.date())
const window = {
  from: time.optional(),
  to: time.optional(),
  prompt: z.string().optional(),
  model: z.string().optional(),
  below: z.coerce.number().min(0).max(1).optional(),
}

function json<S extends z.ZodType>(schema: S, description: string) {
  return { content: { 'application/json': { schema } }, description }
}

const evaluateRoute = createRoute({
  method: 'post',
  path: '/v1/evaluate',
  summary: 'Score an answer against the contexts it should rest on',
  request: { body: { content: { 'application/json': { schema: evaluateRequest } }, required: true } },
  responses: {
    200: json(evaluateResponse, 'Scores from 0 to 1, and each claim with the contexts that support it'),
  },
})
const shownEvaluation = z
  .looseObject({
    answerId: z.string(),
    conversationId: z.string(),
    results: z.array(
      z.object({ name: z.string(), scoreValue: z.number(), scoreLabel: z.string().nullable() }),
    ),
    grounded: z.boolean(),
    claims: z.array(
      z.object({
        start: z.number(),
        end: z.number(),
        score: z.number(),
        supportedBy: z.array(z.string()),
      }),
    ),
    evaluator: z.string(),
    prompt: z.string(),
    model: z.string(),
    route: z.string(),
    answeredAt: z.number(),
    evaluatedAt: z.number(),
    traceId: z.string(),
  })
  .openapi('Evaluation')
const shownWindow = z
  .looseObject({
    from: z.string(),
    group: z.string(),
    answers: z.number(),
    groundedShare: z.number(),
    means: z.record(z.string(), z.number()),
  })
  .openapi('EvaluationWindow')
const listRoute = createRoute({
  method: 'get',
  path: '/v1/evaluations',
  summary: 'Evaluations of sampled answers, newest first',
  request: {
    query: z.object({
      ...window,
      limit: z.coerce.number().int().min(1).max(1000).default(100),
      cursor: z.string().optional(),
    }),
  },
  responses: {
    200: json(
      z.object({
        evaluations: z.array(shownEvaluation),
        cursor: z.string().optional(),
      }),
      'A page',
    ),
  },
})
const summaryRoute = createRoute({
  method: 'get',
  path: '/v1/evaluations/summary',
  summary: 'Scores by window of time and group',
  request: {
    query: z.object({
      ...window,
      windowMs: z.coerce.number().int().min(60_000).default(HOUR),
      by: z.enum(['prompt', 'model', 'route']).default('prompt'),
    }),
  },
  responses: {
    200: json(z.object({ windows: z.array(shownWindow), truncated: z.boolean() }), 'Newest window first'),
  },
})

interface Window {
  from?: string | undefined
  to?: string | undefined
  prompt?: string | undefined
  model?: string | undefined
  below?: number | undefined
}

function toQuery({ from, to, prompt, model, below }: Window): Omit<EvaluationQuery, 'limit'> {
  return {
    ...(from === undefined ? {} : { fromMs: Date.parse(from) }),
    ...(to === undefined ? {} : { toMs: Date.parse(to) }),
    ...(prompt === undefined ? {} : { prompt }),
    ...(model === undefined ? {} : { model }),
    ...(below === undefined ? {} : { below }),
  }
}

export function evaluationRoutes({ answers, evaluate }: { answers: Answers; evaluate: Evaluate }): Routes {
  return createRoutes()
    .openapi(evaluateRoute, async (c) => {
      const { question, reference, answer, contexts } = c.req.valid('json')
      const input = {
        answer,
        contexts,
        ...(question === undefined ? {} : { question }),
        ...(reference === undefined ? {} : { reference }),
      }
      const { scores, grounded, claims, evaluator } = await evaluate(input, {
        lane: 'query',
        signal: c.req.raw.signal,
      })
      const shown = claims.map((claim) => Object.assign({}, claim, { supportedBy: [...claim.supportedBy] }))
      return c.json({ scores: present(scores), grounded, claims: shown, evaluator }, 200)
    })
    .openapi(listRoute, async (c) => {
      const { limit, cursor, ...rest } = c.req.valid('query')
      const page = await answers.listEvaluations(c.get('identity').tenant, {
        ...toQuery(rest),
        limit,
        ...(cursor ? { cursor } : {}),
      })
      return c.json(page as never, 200)
    })
    .openapi(summaryRoute, async (c) => {
      const { windowMs, by, ...rest } = c.req.valid('query')
      const { evaluations, truncated } = await readAll(answers, c.get('identity').tenant, toQuery(rest))
      return c.json({ windows: summarise(evaluations, windowMs, by), truncated }, 200)
    })
}

function present(scores: Readonly<Record<string, number | undefined>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(scores).flatMap(([name, score]) => (score === undefined ? [] : [[name, score]])),
  )
}

async function readAll(
  answers: Answers,
  tenant: string,
  query: Omit<EvaluationQuery, 'limit'>,
): Promise<{ evaluations: Evaluation[]; truncated: boolean }> {
  const evaluations: Evaluation[] = []
  let cursor: string | undefined
  do {
    const page = await answers.listEvaluations(tenant, {
      ...query,
      limit: PAGE,
      ...(cursor ? { cursor } : {}),
    })
    evaluations.push(...page.evaluations)
    cursor = page.cursor
  } while (cursor && evaluations.length < MAX_SUMMARISED)
  return { evaluations, truncated: cursor !== undefined }
}

export interface WindowSummary {
  readonly from: string
  readonly group: string
  readonly answers: number
  /** Share of answers judged grounded. */
  readonly groundedShare: number
  /** Mean of each score. */
  readonly means: Readonly<Record<string, number>>
  readonly [extra: string]: unknown
}

/** Newest window first, groups by name. */
export function summarise(
  evaluations: readonly Evaluation[],
  windowMs: number,
  by: 'prompt' | 'model' | 'route',
): WindowSummary[] {
  const groups = Map.groupBy(
    evaluations,
    (evaluation) => `${Math.floor(evaluation.answeredAt / windowMs)} ${evaluation[by]}`,
  )
  return [...groups.values()]
    .map((members) => {
      const scores = Map.groupBy(
        members.flatMap(({ results }) => results),
        ({ name }) => name,
      )
      const mean = (values: readonly number[]) =>
        values.reduce((sum, value) => sum + value, 0) / values.length
      return {
        from: new Date(Math.floor(members[0]!.answeredAt / windowMs) * windowMs).toISOString(),
        group: members[0]![by],
        answers: members.length,
        groundedShare: mean(members.map(({ grounded }) => (grounded ? 1 : 0))),
        means: Object.fromEntries(
          [...scores].map(([name, results]) => [name, mean(results.map(({ scoreValue }) => scoreValue))]),
        ),
      }
    })
    .sort((a, b) => b.from.localeCompare(a.from) || a.group.localeCompare(b.group))
}
