import { z } from 'zod'
import { errorMessage, invalid, unavailable } from '@aquifer/runtime/errors'

/**
 * The part of Confluent's schema registry API that a producer and consumer of Avro needs. What the registry says of a schema is
 * an answer; whatever else happens (refused, denied, 5xx, an address that is no registry's) is `schema_registry_unavailable`.
 * https://docs.confluent.io/platform/current/schema-registry/develop/api.html
 */
export interface SchemaRegistry {
  /** null where the registry has no schema of that id. */
  schema(id: number): Promise<RegisteredSchema | null>
  /** A schema that another refers to; null where there is none. */
  version(subject: string, version: number): Promise<RegisteredSchema | null>
  /** The schema's id where the subject holds it already. */
  find(subject: string, schema: string): Promise<number | null>
  /** Returns the id. Throws `incompatible_schema` with the registry's words where the subject's level forbids it. */
  register(subject: string, schema: string): Promise<number>
  /** Whether a compatibility level is set for the subject itself. */
  hasLevel(subject: string): Promise<boolean>
  /** False where the registry wants a schema of the subject first. */
  setLevel(subject: string, compatibility: string): Promise<boolean>
}

const references = z.array(z.object({ name: z.string(), subject: z.string(), version: z.number().int() }))
const registered = z.object({
  schema: z.string(),
  /** Left out: AVRO. */
  schemaType: z.string().nullish(),
  references: references.nullish(),
})
export type RegisteredSchema = z.infer<typeof registered>
const identified = z.object({ id: z.number().int().min(0).max(0xff_ff_ff_ff) })
const refused = z.object({ error_code: z.number(), message: z.string().default('') })

const CONTENT_TYPE = 'application/vnd.schemaregistry.v1+json'
const MAX_ANSWER_BYTES = 2 * 1024 * 1024

/** Statuses that speak of what was asked; the rest speak of the registry or the way to it. */
const ANSWERS = new Set([404, 409, 422])

/**
 * `url` is the registry's base address. `https://user:password@host` is basic authentication, `https://:token@host` sends the
 * token as bearer.
 */
export function createSchemaRegistry({
  url,
  timeoutMs = 10_000,
}: {
  url: string
  timeoutMs?: number
}): SchemaRegistry {
  const { base, authorization } = parseRegistryUrl(url)

  async function ask<T>(method: string, path: string, answer: z.ZodType<T>, body?: object) {
    const failed = (what: string, cause?: unknown) =>
      unavailable(
        'schema_registry_unavailable',
        `the schema registry at ${base}: ${method} ${path}: ${what}`,
        cause,
      )
    let status: number
    let text: string
    try {
      const response = await fetch(`${base}${path}`, {
        method,
        headers: {
          Accept: `${CONTENT_TYPE}, application/json;q=0.9`,
          ...(authorization !== null && { Authorization: authorization }),
          ...(body && { 'Content-Type': CONTENT_TYPE }),
        },
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(timeoutMs),
      })
      status = response.status
      text = await readText(response)
    } catch (cause) {
      throw failed(errorMessage((cause as Error).cause ?? cause), cause)
    }
    const json = parseJson(text)
    if (status === 200) {
      const parsed = answer.safeParse(json)
      if (!parsed.success) throw failed(`an answer that is none of a schema registry: ${text.slice(0, 200)}`)
      return { ok: true as const, value: parsed.data }
    }
    const parsed = refused.safeParse(json)
    if (!ANSWERS.has(status) || !parsed.success) throw failed(`${status} ${text.slice(0, 200)}`)
    return { ok: false as const, status, code: parsed.data.error_code, message: parsed.data.message }
  }

  /** null for what is not there: the subject (40401), its version (40402), the schema (40403), its level (40408). */
  async function askForOne<T>(
    method: string,
    path: string,
    answer: z.ZodType<T>,
    body?: object,
  ): Promise<T | null> {
    const said = await ask(method, path, answer, body)
    if (said.ok) return said.value
    if (said.status === 404) return null
    throw invalid('schema_refused', `${method} ${path}: ${said.code} ${said.message}`)
  }

  const pathOf = (subject: string) => `/subjects/${encodeURIComponent(subject)}`
  const configOf = (subject: string) => `/config/${encodeURIComponent(subject)}`

  return {
    schema: async (id) => await askForOne('GET', `/schemas/ids/${id}`, registered),
    version: async (subject, version) =>
      await askForOne('GET', `${pathOf(subject)}/versions/${version}`, registered),
    find: async (subject, schema) =>
      (await askForOne('POST', pathOf(subject), identified, { schema }))?.id ?? null,
    async register(subject, schema) {
      const path = `${pathOf(subject)}/versions`
      const said = await ask('POST', path, identified, { schema })
      if (said.ok) return said.value.id
      throw invalid(
        said.status === 409 ? 'incompatible_schema' : 'schema_refused',
        `the schema registry takes no schema of ours for ${subject}: ${said.code} ${said.message}`,
      )
    },
    hasLevel: async (subject) => (await askForOne('GET', configOf(subject), z.looseObject({}))) !== null,
    setLevel: async (subject, compatibility) =>
      (await askForOne('PUT', configOf(subject), z.looseObject({}), { compatibility })) !== null,
  }
}

/** Throws `invalid_config`, without the password. */
function parseRegistryUrl(url: string): { base: string; authorization: string | null } {
  const wrong = invalid(
    'invalid_config',
    'AQUIFER_SCHEMA_REGISTRY: expected https://host, https://user:password@host or https://:token@host',
  )
  if (!URL.canParse(url)) throw wrong
  const { protocol, origin, pathname, username, password, search } = new URL(url)
  if (!/^https?:$/.test(protocol) || search !== '') throw wrong
  const [user, secret] = [decodeURIComponent(username), decodeURIComponent(password)]
  const basic = () => `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`
  return {
    base: `${origin}${pathname.replace(/\/+$/, '')}`,
    authorization: secret === '' && user === '' ? null : user === '' ? `Bearer ${secret}` : basic(),
  }
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of response.body ?? []) {
    sizeBytes += chunk.length
    if (sizeBytes > MAX_ANSWER_BYTES) throw new Error(`an answer of more than ${MAX_ANSWER_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
