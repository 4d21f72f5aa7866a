/** What went wrong with a request. `status` 0: there was no answer at all. */
export class Failure extends Error {
  readonly status: number
  readonly code: string
  /** After so long the same request may work. */
  readonly retryAfterMs: number | null

  constructor({ status, code, message, retryAfterMs = null }: FailureFields) {
    super(message)
    this.name = 'Failure'
    this.status = status
    this.code = code
    this.retryAfterMs = retryAfterMs
  }
}

interface FailureFields {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly retryAfterMs?: number | null
}

export function toFailure(error: unknown): Failure {
  if (error instanceof Failure) return error
  const message = error instanceof Error ? error.message : String(error)
  return new Failure({ status: 0, code: 'unreachable', message })
}

/** Of an answer that is not what was asked for: problem+json, or OpenAI's shape. */
export function failureOf(status: number, body: string, retryAfter: string | null): Failure {
  const seconds = Number(retryAfter ?? Number.NaN)
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : null
  try {
    const problem = JSON.parse(body) as {
      code?: string
      detail?: string
      error?: { code?: string; message?: string }
    }
    const code = problem.code ?? problem.error?.code ?? 'unknown'
    return new Failure({
      status,
      code,
      message: problem.detail ?? problem.error?.message ?? '',
      retryAfterMs,
    })
  } catch {
    return new Failure({ status, code: 'unknown', message: '', retryAfterMs })
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError'
}
