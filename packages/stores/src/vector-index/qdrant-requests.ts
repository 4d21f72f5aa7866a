import { QdrantClient, type Schemas } from '@qdrant/js-client-rest'
import { AquiferError, errorMessage, unavailable } from '@aquifer/runtime/errors'
import { gate } from './gate.ts'
import type { QdrantSettings } from './qdrant-settings.ts'

const AT_ONCE = 32
const MAX_WAITING = 1024
/** What is wrong with the request itself. The rest (401, 404, 429 …) may be put right while the caller waits. */
const REFUSED = new Set([400, 413, 422])

/**
 * Sends what `send` sends, and makes every failure an `AquiferError` that says what was asked for: `index_unavailable`,
 * which a retry may help, or `index_refused`, which it does not.
 */
export type Request = <T>(asked: string, send: (client: QdrantClient) => Promise<T>) => Promise<T>

export function createRequests({ host, port, https, prefix, apiKey, timeoutMs }: QdrantSettings): Request {
  const client = new QdrantClient({
    host,
    port,
    https,
    prefix,
    timeout: timeoutMs,
    maxConnections: AT_ONCE,
    // As a header, for the client prints a line on the console where a key goes over http.
    ...(apiKey !== null && { headers: { 'api-key': apiKey } }),
    // It would print one on the console too; `openQdrant` looks for itself.
    checkCompatibility: false,
  })
  const turn = gate(AT_ONCE, MAX_WAITING)
  return async (asked, send) => {
    try {
      return await turn(async () => {
        try {
          return await send(client)
        } catch (error) {
          // A server closes connections that are idle: one that was just then taken is no failure. Nothing that is sent
          // here does harm when it is carried out twice.
          if (!isClosedConnection(error)) throw error
          return await send(client)
        }
      })
    } catch (error) {
      throw failure(asked, error)
    }
  }
}

function isClosedConnection(error: unknown): boolean {
  const { cause } = error as { cause?: { code?: unknown } }
  return ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(String(cause?.code))
}

/** The HTTP status of an answer that was an error, else null. */
export function statusOf(error: unknown): number | null {
  const { cause } = error as { cause?: { status?: unknown } }
  return typeof cause?.status === 'number' ? cause.status : null
}

/** Throws `index_unavailable` for a write that Qdrant has taken but not carried out in its time. */
export function checkDone(asked: string, { status }: Pick<Schemas['UpdateResult'], 'status'>): void {
  if (status !== 'completed') throw unavailable('index_unavailable', `Qdrant: ${asked} is only ${status}`)
}

function failure(asked: string, error: unknown): AquiferError {
  if (error instanceof AquiferError) return error
  const { status, data } = error as { status?: number; data?: { status?: { error?: string } } }
  if (status === undefined) {
    const { cause } = error as { cause?: unknown }
    const why = cause === undefined ? errorMessage(error) : `${errorMessage(error)}: ${errorMessage(cause)}`
    return unavailable('index_unavailable', `Qdrant: ${asked}: ${why}`, error)
  }
  const message = `Qdrant: ${asked} was answered with ${status}: ${data?.status?.error ?? errorMessage(error)}`
  return REFUSED.has(status)
    ? new AquiferError('index_refused', message, { status: 500, cause: error })
    : unavailable('index_unavailable', message, error)
}
