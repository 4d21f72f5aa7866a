import OpenAI, { APIConnectionError, APIConnectionTimeoutError, APIError } from 'openai'
import { type AquiferError, invalid, unavailable } from '@aquifer/runtime/errors'

/** A server that speaks OpenAI's API, and one of its models. */
export interface OpenaiServer {
  /** Such as `https://host/v1`. */
  readonly baseUrl: string
  readonly model: string
  readonly apiKey?: string | undefined
  /** Until the answer's headers are there. */
  readonly timeoutMs?: number
  /** After 408, 409, 429, 5xx and broken connections; `Retry-After` up to a minute is honoured. */
  readonly maxRetries?: number
}

const TIMEOUT_MS = 60_000
const MAX_RETRIES = 2

export function openaiClient({ baseUrl, apiKey, timeoutMs, maxRetries }: OpenaiServer): OpenAI {
  return new OpenAI({
    baseURL: baseUrl,
    // Without one the library looks into the environment; a server that wants none takes no notice.
    apiKey: apiKey || 'none',
    organization: null,
    project: null,
    timeout: timeoutMs ?? TIMEOUT_MS,
    maxRetries: maxRetries ?? MAX_RETRIES,
    logLevel: 'off',
  })
}

/** Reads `openai:https://host/v1?name=number#model`. Throws `invalid_config`. */
export function parseOpenaiUrl(
  url: string,
  numbers: readonly string[],
): OpenaiServer & { readonly numbers: Readonly<Record<string, number>> } {
  const wrong = (what: string) =>
    invalid('invalid_config', `openai: URL: ${what}; it reads openai:https://host/v1#model`)
  const parsed = URL.parse(url.slice('openai:'.length))
  if (!parsed || !/^https?:$/.test(parsed.protocol)) throw wrong('no http or https address follows openai:')
  if (parsed.username || parsed.password)
    throw wrong('the key has a setting of its own, it does not go into the URL')
  const model = decodeURIComponent(parsed.hash.slice(1))
  if (model === '') throw wrong('the model after # is missing')
  const found: Record<string, number> = {}
  for (const [name, value] of parsed.searchParams) {
    if (!numbers.includes(name)) throw wrong(`${name} is none of ${numbers.join(', ')}`)
    if (!/^[1-9]\d{0,6}$/.test(value)) throw wrong(`${name}=${value} is not a whole number above 0`)
    found[name] = Number(value)
  }
  return { baseUrl: parsed.origin + parsed.pathname.replace(/\/$/, ''), model, numbers: found }
}

/**
 * What a failed call means to the caller. Neither the key nor any text goes into the error: servers quote both in theirs,
 * so of theirs only the status and the code are kept.
 */
export function openaiError(error: unknown, { baseUrl, model }: OpenaiServer): AquiferError {
  const where = `${model} at ${new URL(baseUrl).origin}`
  if (error instanceof APIConnectionTimeoutError)
    return unavailable('model_timeout', `${where} did not answer in time`)
  if (error instanceof APIConnectionError)
    return unavailable('model_unreachable', `${where} cannot be reached: ${causeCode(error)}`)
  if (!(error instanceof APIError) || error.status === undefined)
    return unavailable('model_bad_answer', `${where} sent an answer that cannot be read or broke it off`)
  const status = Number(error.status)
  const said = `${where} answered ${status}${serverCode(error)}`
  if (status === 401 || status === 403)
    return unavailable(
      'model_key_refused',
      `${said}: the key is missing, wrong or not allowed to. The configuration is at fault, not what was sent.`,
    )
  if (status === 404)
    return unavailable(
      'model_not_found',
      `${said}: address or model is wrong. The configuration is at fault, not what was sent.`,
    )
  if (status === 408 || status === 409 || status === 429 || status >= 500)
    return unavailable(status === 429 ? 'model_rate_limited' : 'model_server_failed', said)
  return invalid('model_refused_input', said)
}

function causeCode(error: APIConnectionError): string {
  for (let cause: unknown = error.cause; cause instanceof Error; cause = cause.cause)
    if ('code' in cause && typeof cause.code === 'string') return cause.code
  return 'the connection failed'
}

function serverCode({ code }: APIError): string {
  return typeof code === 'string' && /^[\w.-]{1,64}$/.test(code) ? ` (${code})` : ''
}
