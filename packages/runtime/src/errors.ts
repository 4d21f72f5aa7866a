/**
 * One error type for everything that crosses a boundary.
 *
 * `code` is stable and documented; `retryable` decides between the only two fates of a message off the log:
 * retried (a dependency failed) or dead-lettered (the message itself is at fault).
 */
export class AquiferError extends Error {
  readonly code: string
  readonly retryable: boolean
  /** HTTP status that this error answers with at the edge. */
  readonly status: number

  constructor(
    code: string,
    message: string,
    options: { retryable?: boolean; status?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'AquiferError'
    this.code = code
    this.retryable = options.retryable ?? false
    this.status = options.status ?? (this.retryable ? 503 : 400)
  }
}

/** The input is at fault: no retry can help. `status` is the HTTP answer, 400 unless said otherwise. */
export function invalid(code: string, message: string, status = 400, cause?: unknown): AquiferError {
  return new AquiferError(code, message, { status, cause })
}

/** A dependency (index, registry, log, model, blob store) failed: the same call may succeed later. */
export function unavailable(code: string, message: string, cause?: unknown): AquiferError {
  return new AquiferError(code, message, { retryable: true, status: 503, cause })
}

/** Only a message's own failure is dead-lettered; whatever is not known to be that is retried. */
export function isMessageFault(error: unknown): error is AquiferError {
  return error instanceof AquiferError && !error.retryable
}

export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
