import { Worker } from 'node:worker_threads'
import { unavailable } from './errors.ts'
import { packRows, type PackedRows } from './sqlite-rows.ts'

/**
 * SQLite in a worker thread, so that no fsync ever stops the event loop. Writes that wait together share one commit.
 *
 *  S1  A `transaction` is all or nothing, and durable when it resolves.
 *  S2  Calls take effect in the order in which they were made.
 *  S3  Deleted content is overwritten on disk (`secure_delete`).
 */
export interface Database {
  /** Runs the statements in one transaction; each gives its rows (of a SELECT or RETURNING). */
  transaction(statements: readonly Statement[]): Promise<Row[][]>
  /** One statement outside a written transaction. */
  all<T extends Row = Row>(sql: string, ...values: SqlValue[]): Promise<T[]>
  close(): Promise<void>
}

export type SqlValue = null | number | bigint | string | Uint8Array
export type Row = Record<string, SqlValue>
export interface Statement {
  readonly sql: string
  readonly values?: readonly SqlValue[]
  /** Runs it once for each of these instead of `values`, and gives no rows. */
  readonly each?: readonly (readonly Exclude<SqlValue, bigint>[])[]
}
export interface DatabaseOptions {
  /** Path of the file, or `:memory:`. */
  readonly path: string
  /** Idempotent statements that make the tables. */
  readonly schema: string
  /**
   * `power-loss`: a commit reaches the disk before it resolves. `kill`: it survives the death of the process; for state
   * that can be built again from the log.
   */
  readonly survives: 'power-loss' | 'kill'
  /** A commit that finds so many pages in the write-ahead log copies them into the file. Default 1000, of 4 KiB. */
  readonly checkpointPages?: number
}

/** A request, as the worker takes it. `write` asks for a transaction. */
export interface SqliteRequest {
  readonly id: number
  readonly write: boolean
  readonly statements: readonly SentStatement[]
}
export type SentStatement = Omit<Statement, 'each'> & { readonly each?: PackedRows }
export type SqliteReply =
  | { readonly id: number; readonly rows: Row[][] }
  | { readonly id: number; readonly error: { message: string; code: string | undefined } }

const MAX_PENDING = 100_000
/** So many calls are handed over together at most. */
const MAX_POSTED = 512

export function openDatabase(options: DatabaseOptions): Database {
  const worker = new Worker(new URL('sqlite-worker.ts', import.meta.url), { workerData: options })
  const pending = new Map<number, { resolve: (rows: Row[][]) => void; reject: (error: Error) => void }>()
  const outbox: SqliteRequest[] = []
  let nextId = 0
  let closing = false
  let failure: Error | null = null
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()))

  function failAll(error: Error): void {
    failure ??= error
    for (const { reject } of pending.values()) reject(failure)
    pending.clear()
  }
  worker.on('message', (replies: SqliteReply[]) => {
    for (const reply of replies) {
      const waiting = pending.get(reply.id)
      pending.delete(reply.id)
      if ('rows' in reply) waiting?.resolve(reply.rows)
      else waiting?.reject(unavailable('sqlite_failed', `${options.path}: ${reply.error.message}`))
    }
    if (pending.size === 0 && !closing) worker.unref()
  })
  worker.on('error', (cause) =>
    failAll(unavailable('sqlite_failed', `${options.path}: ${String(cause)}`, cause)),
  )
  worker.on('exit', () => failAll(unavailable('sqlite_closed', `${options.path} is closed`)))
  worker.unref()

  async function send(write: boolean, statements: readonly Statement[]): Promise<Row[][]> {
    if (failure) throw failure
    if (pending.size >= MAX_PENDING)
      throw unavailable('sqlite_busy', `${options.path}: ${MAX_PENDING} calls are waiting`)
    const id = nextId++
    return await new Promise((resolve, reject) => {
      if (pending.size === 0) worker.ref()
      pending.set(id, { resolve, reject })
      // What is asked for in one turn goes together: the first of many must not get a commit to itself.
      if (outbox.push({ id, write, statements: statements.map(toSent) }) === 1) process.nextTick(post)
    })
  }

  function post(): void {
    while (outbox.length > 0) {
      const requests = outbox.splice(0, MAX_POSTED)
      worker.postMessage(requests, buffersOf(requests))
    }
  }

  return {
    transaction: (statements) => send(true, statements),
    async all<T extends Row>(sql: string, ...values: SqlValue[]) {
      const [rows] = await send(false, [{ sql, values }])
      return (rows ?? []) as T[]
    },
    async close() {
      if (failure) return
      closing = true
      worker.ref()
      post()
      worker.postMessage('close')
      await exited
    },
  }
}

function toSent({ each, ...statement }: Statement): SentStatement {
  return each ? { ...statement, each: packRows(each) } : statement
}

/** They are handed over instead of copied. */
function buffersOf(requests: readonly SqliteRequest[]): ArrayBuffer[] {
  const buffers: ArrayBuffer[] = []
  for (const { statements } of requests)
    for (const { each } of statements) if (each) buffers.push(each.buffer)
  return buffers
}
