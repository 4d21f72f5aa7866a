import { createRoute, z } from '@hono/zod-openapi'
import { offlineSchemas } from '@aquifer/contracts/avro'
import { parseTopicKey } from '@aquifer/contracts/keys'
import { deadLetterTopics } from '@aquifer/contracts/topics'
import { listDeadLetters, toDeadLetter } from '@aquifer/event-log/dead-letters'
import type { DeadLetter, DeadLetterPage } from '@aquifer/event-log/dead-letters'
import type { LogRecord } from '@aquifer/event-log/port'
import { requireAdmin } from '@aquifer/runtime/auth'
import type { Identity } from '@aquifer/runtime/auth'
import { mapLimited } from '@aquifer/runtime/concurrency'
import { AquiferError, invalid } from '@aquifer/runtime/errors'
import { createRoutes } from '@aquifer/runtime/http'
import type { Routes } from '@aquifer/runtime/http'
import { idempotent } from '@aquifer/runtime/idempotency'
import type { DoorDeps } from '../deps.ts'
import { createReplayer } from '../replay.ts'
import type { Refusal } from '../replay.ts'
import { showValue } from './dead-letter-value.ts'
import type { Decodes } from './dead-letter-value.ts'

/** Replays of one request under way at once. */
const CONCURRENCY = 8
const MAX_IDS = 1000

const time = z.iso.datetime({ offset: true }).or(z.iso.date())
const selection = {
  /** With or without `aquifer.` and `.dlq`. */
  topic: z.string().optional(),
  cause: z.string().optional(),
  from: time.optional(),
  to: time.optional(),
  /** A record's key, or what follows the tenant in it. */
  key: z.string().optional(),
}
type Selection = { readonly [K in keyof typeof selection]?: string | undefined }
const limit = z.coerce.number().int().min(1).max(1000).default(100)

const refusal = z.object({ code: z.string(), message: z.string() })
const origin = z.object({ topic: z.string(), partition: z.number(), offset: z.number(), time: z.string() })
const shownDeadLetter = z
  .object({
    id: z.string(),
    key: z.string().nullable(),
    /** Null of a record that someone else wrote there. */
    origin: origin.nullable(),
    cause: z.string().nullable(),
    message: z.string().nullable(),
    attempts: z.number().nullable(),
    deadLetteredAt: z.string(),
    sizeBytes: z.number(),
  })
  .openapi('DeadLetter')
const wholeDeadLetter = shownDeadLetter
  .extend({
    headers: z.record(z.string(), z.string()),
    value: z.object({
      encoding: z.enum(['none', 'avro', 'json', 'text', 'hex']),
      value: z.unknown(),
      sizeBytes: z.number(),
      truncated: z.boolean(),
    }),
    /** Why it would not be replayed; null where it would. */
    refusal: refusal.nullable(),
  })
  .openapi('WholeDeadLetter')

const listRoute = createRoute({
  method: 'get',
  path: '/v1/dead-letters',
  summary: 'Records that were at fault, newest first (admin)',
  request: { query: z.object({ ...selection, cursor: z.string().optional(), limit }) },
  responses: ok(
    z.object({ deadLetters: z.array(shownDeadLetter), cursor: z.string().optional() }),
    'A page; one may be empty while there is more to look at',
  ),
})
const showRoute = createRoute({
  method: 'get',
  path: '/v1/dead-letters/{topic}/{partition}/{offset}',
  summary: 'One of them with its headers and its value (admin)',
  request: {
    params: z.object({
      topic: z.string(),
      partition: z.coerce.number().int().min(0),
      offset: z.coerce.number().int().min(0),
    }),
  },
  responses: ok(wholeDeadLetter, 'The dead letter'),
})
const replayRoute = createRoute({
  method: 'post',
  path: '/v1/dead-letters/replay',
  summary: 'Put dead letters on their retry topics, at their origins’ versions (admin)',
  request: {
    body: {
      content: {
        'application/json': {
          example: { selection: { topic: 'documents', cause: 'too_large' }, dryRun: true },
          schema: z
            .strictObject({
              ids: z.array(z.string()).min(1).max(MAX_IDS).optional(),
              selection: z.strictObject(selection).optional(),
              cursor: z.string().optional(),
              limit,
              /** Say what would be done. */
              dryRun: z.boolean().default(false),
            })
            .refine(({ ids, selection: selected }) => (ids === undefined) !== (selected === undefined), {
              message: 'exactly one of ids and selection is needed',
            }),
        },
      },
      required: true,
    },
  },
  responses: ok(
    z.object({
      replayed: z.number(),
      skipped: z.array(refusal.extend({ id: z.string() })),
      cursor: z.string().optional(),
    }),
    'How many were replayed, which were not and why, and a cursor while the selection has more',
  ),
})

function ok<S extends z.ZodType>(schema: S, description: string) {
  return { 200: { content: { 'application/json': { schema } }, description } }
}

/** Dead letters of the caller's tenant, for its admins. What names no tenant is shown to operators alone. */
export function deadLetterRoutes(deps: DoorDeps): Routes {
  const { log, schemas = offlineSchemas } = deps
  const codecs = new Map<string, Decodes>(
    deadLetterTopics.map(({ dlq, subject }) => [dlq, schemas.codec(subject)]),
  )
  const replayer = createReplayer(deps)

  async function find(identity: Identity, id: string): Promise<LogRecord | null> {
    const [, name = '', partition, offset] = /^([\w.-]{1,249})\/(\d{1,5})\/(\d{1,15})$/.exec(id) ?? []
    const about = aboutOf(name)
    if (!about) return null
    try {
      const [record] = await log.read(about.dlq, Number(partition), Number(offset), 1)
      return record?.offset === Number(offset) && isFor(identity, record) ? record : null
    } catch (error) {
      if (error instanceof AquiferError && error.code === 'unknown_partition') return null
      throw error
    }
  }

  async function list(
    identity: Identity,
    { topic, cause, from, to, key }: Selection,
    page: { limit: number; cursor?: string | undefined },
  ): Promise<DeadLetterPage> {
    const about = topic === undefined ? null : aboutOf(topic)
    if (about === undefined) {
      const known = deadLetterTopics.map(({ dlq }) => dlq).join(', ')
      throw invalid('invalid_request', `topic: ${JSON.stringify(topic)} is none of ${known}`)
    }
    const keys = key === undefined ? null : [key, `${identity.tenant}/${key}`]
    return await listDeadLetters(log, {
      ...page,
      topics: about ? [about.dlq] : deadLetterTopics.map(({ dlq }) => dlq),
      fromMs: from === undefined ? undefined : Date.parse(from),
      toMs: to === undefined ? undefined : Date.parse(to),
      matches: (dead) =>
        isFor(identity, dead) &&
        (cause === undefined || dead.cause === cause) &&
        (keys === null || keys.includes(dead.key?.toString() ?? '')),
    })
  }

  async function replay(identity: Identity, ids: readonly string[], dryRun: boolean) {
    const skipped: (Refusal & { id: string })[] = []
    const sent = new Set<string>()
    const replayed = await mapLimited(ids, CONCURRENCY, async (id) => {
      const record = await find(identity, id)
      const planned = record ? await replayer.plan(record) : { refusal: UNKNOWN }
      if ('refusal' in planned) {
        skipped.push({ id, ...planned.refusal })
        return 0
      }
      // One version may have left several dead letters.
      const { version } = planned.replay
      const name = version ? JSON.stringify(version) : id
      if (!dryRun && !sent.has(name)) {
        sent.add(name)
        await replayer.send(planned.replay)
      }
      return 1
    })
    return { replayed: replayed.reduce<number>((sum, one) => sum + one, 0), skipped }
  }

  const routes = createRoutes()
  routes.use('/v1/dead-letters/*', idempotent(deps.cache, deps.clock))
  return routes
    .openapi(listRoute, async (c) => {
      const identity = c.get('identity')
      requireAdmin(identity)
      const { limit: most, cursor, ...selected } = c.req.valid('query')
      const page = await list(identity, selected, { limit: most, cursor })
      return c.json({ ...page, deadLetters: page.deadLetters.map(show) }, 200)
    })
    .openapi(showRoute, async (c) => {
      const identity = c.get('identity')
      requireAdmin(identity)
      const { topic, partition, offset } = c.req.valid('param')
      const record = await find(identity, `${topic}/${partition}/${offset}`)
      if (!record) throw invalid(UNKNOWN.code, UNKNOWN.message, 404)
      const planned = await replayer.plan(record)
      const value = await showValue(codecs.get(record.topic), record.value)
      return c.json(
        {
          ...show(toDeadLetter(record)),
          headers: { ...record.headers },
          value: { ...value, value: value.value ?? null },
          refusal: 'refusal' in planned ? planned.refusal : null,
        },
        200,
      )
    })
    .openapi(replayRoute, async (c) => {
      const identity = c.get('identity')
      requireAdmin(identity)
      const { ids, selection: selected, dryRun, limit: most, cursor } = c.req.valid('json')
      const page = selected ? await list(identity, selected, { limit: most, cursor }) : null
      const chosen = ids ?? page!.deadLetters.map(idOf)
      const result = await replay(identity, [...new Set(chosen)], dryRun)
      c.get('logger').info(
        { tenant: identity.tenant, replayed: result.replayed, skipped: result.skipped.length, dryRun },
        'dead letters replayed',
      )
      return c.json({ ...result, ...(page?.cursor === undefined ? {} : { cursor: page.cursor }) }, 200)
    })
}

const UNKNOWN: Refusal = {
  code: 'unknown_dead_letter',
  message: 'there is no such dead letter: an id is topic/partition/offset, as the list shows it',
}

/** Undefined where no dead-letter topic is called so. */
function aboutOf(name: string) {
  return deadLetterTopics.find(({ dlq, subject }) => [dlq, `${subject}.dlq`, subject].includes(name))
}

function isFor(identity: Identity, { key }: { key: Buffer | null }): boolean {
  try {
    return parseTopicKey(key).tenant === identity.tenant
  } catch {
    return identity.operator === true
  }
}

function idOf({ topic, partition, offset }: DeadLetter): string {
  return `${topic}/${partition}/${offset}`
}

function show(dead: DeadLetter): z.infer<typeof shownDeadLetter> {
  const { origin: from, cause, message, attempts } = dead
  return {
    id: idOf(dead),
    key: dead.key?.toString() ?? null,
    origin: from && {
      topic: from.topic,
      partition: from.partition,
      offset: from.offset,
      time: isoTime(from.appendTimeMs),
    },
    cause,
    message,
    attempts,
    deadLetteredAt: isoTime(dead.appendTimeMs),
    sizeBytes: dead.sizeBytes ?? 0,
  }
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
