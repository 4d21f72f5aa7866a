import { InvalidArgumentError, Option } from 'commander'
import type { Command } from 'commander'
import { AquiferError, invalid, unavailable } from '@aquifer/runtime/errors'

export interface ClientOptions {
  readonly url: string
  readonly key?: string
  readonly json?: boolean
}

const DEFAULT_URL = 'http://127.0.0.1:8080'

/** Options that every command has which talks to a running Aquifer. */
export function addClientOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--url <url>', 'where Aquifer serves')
        .env('AQUIFER_URL')
        .default(DEFAULT_URL)
        .argParser(toUrl),
    )
    .addOption(new Option('--key <key>', 'API key, where keys are set').env('AQUIFER_API_KEY'))
    .option('--json', 'print JSON')
}

function toUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw new InvalidArgumentError(`expected an address such as ${DEFAULT_URL}.`)
  return url.href.replace(/\/+$/, '')
}

/** Calls the running Aquifer. A refusal or an error of it is thrown with its own words, and with what to do. */
export async function call(
  { url, key }: ClientOptions,
  path: string,
  init: RequestInit = {},
): Promise<Response> {
  const headers = new Headers(init.headers)
  if (key) headers.set('Authorization', `Bearer ${key}`)
  let response: Response
  try {
    response = await fetch(`${url}${path}`, { ...init, headers })
  } catch (error) {
    throw notAnswered(url, error)
  }
  if (!response.ok) throw await refusal(url, path, response)
  return response
}

export async function callJson<T>(
  client: ClientOptions,
  path: string,
  init: { method?: string; body?: unknown; signal?: AbortSignal } = {},
): Promise<T> {
  const { body, ...rest } = init
  const response = await call(client, path, {
    ...rest,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }),
  })
  return (await response.json()) as T
}

function notAnswered(url: string, error: unknown): AquiferError {
  const { cause } = error as { cause?: { code?: string; message?: string } }
  const refused = cause?.code === 'ECONNREFUSED' || cause?.code === 'ENOTFOUND'
  return unavailable(
    refused ? 'not_running' : 'connection_failed',
    refused
      ? `nothing answers at ${url}: start it with npx -y pnpm@12 start, or name its address with --url or AQUIFER_URL`
      : `the connection to ${url} failed (${cause?.code ?? cause?.message ?? String(error)}): look at the server's log, and try again`,
    error,
  )
}

interface Problem {
  readonly code?: string
  readonly detail?: string
  readonly error?: { readonly code?: string; readonly message?: string }
}

async function refusal(url: string, path: string, response: Response): Promise<AquiferError> {
  const problem = (await response.json().catch(() => ({}))) as Problem
  const code = problem.error?.code ?? problem.code
  const message = problem.error?.message ?? problem.detail
  const { status } = response
  if (code === undefined || message === undefined) {
    return invalid(
      `http_${status}`,
      `${url}${path} answered ${status}, but not as Aquifer does: is --url right?`,
      status,
    )
  }
  const hint = HINTS[status]
  return new AquiferError(code, hint === undefined ? message : `${message.replace(/\.$/, '')}. ${hint}`, {
    status,
    retryable: status >= 500,
  })
}

/** What a person can do, where the server cannot say it because it does not know who asks with what. */
const HINTS: Readonly<Record<number, string>> = {
  401: 'Name a key with --key or AQUIFER_API_KEY; whoever runs the server makes one with: aquifer keys add',
  403: 'The key does not allow this: aquifer keys list shows its tenant, groups and roles to whoever runs the server',
  413: 'Whoever runs the server sets the limit: AQUIFER_MAX_DOCUMENT_BYTES',
  429: 'Try again a little later',
  503: 'Try again; what the server waits for stands at /readyz',
}
