import { invalid, unavailable } from '@aquifer/runtime/errors'

export interface ClientOptions {
  readonly url: string
  readonly key?: string
}

/** Options that every command has which talks to a running Aquifer. */
export function addClientOptions<
  T extends { option(flags: string, description: string, fallback?: string): T },
>(command: T): T {
  return command
    .option('--url <url>', 'where Aquifer serves', 'http://127.0.0.1:8080')
    .option('--key <key>', 'API key, where keys are set (or AQUIFER_KEY)')
    .option('--json', 'print JSON')
}

/** Calls the running Aquifer. A refusal or an error of it is thrown with its own words. */
export async function call(
  { url, key = process.env['AQUIFER_KEY'] }: ClientOptions,
  path: string,
  init: RequestInit = {},
): Promise<Response> {
  const headers = new Headers(init.headers)
  if (key) headers.set('Authorization', `Bearer ${key}`)
  let response: Response
  try {
    response = await fetch(`${url}${path}`, { ...init, headers })
  } catch (cause) {
    throw unavailable(
      'not_running',
      `nothing answers at ${url}: start it with pnpm start, or name its address with --url`,
      cause,
    )
  }
  if (response.ok) return response
  const problem = (await response.json().catch(() => ({}))) as {
    code?: string
    detail?: string
    error?: { code?: string; message?: string }
  }
  const { code, detail } = problem.error
    ? { code: problem.error.code, detail: problem.error.message }
    : problem
  throw invalid(code ?? `http_${response.status}`, detail ?? `${url}${path} answered ${response.status}`)
}
