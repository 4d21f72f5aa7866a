import { Worker } from 'node:worker_threads'
import { unavailable } from './errors.ts'

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
  /** The same of a statement with more to it. */
  query(statement: Statement): Promise<Row[]>
  close(): Promise<void>
}

export type SqlValue = null | number | bigint | string | Uint8Array
export type Row = Record<string, SqlValue>
export interface Statement {
  readonly sql: string
  readonly values?: readonly SqlValue[]
  /** Runs it once for each of these instead of `values`, and gives no rows. */
  readonly each?: readonly (readonly SqlValue[])[]
  /** Gives rows as long as the sum of this column stays within `sum`, the first one always; their blobs share one buffer. */
  readonly upTo?: { readonly column: string; readonly sum: number }
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
}

/** A request, as the worker takes it. `write` asks for a transaction. */
export interface SqliteRequest {
  readonly id: number
  readonly write: boolean
  readonly statements: readonly Statement[]
}
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
    if (pending.size === 0) worker.unref()
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
      pending.set(id, { resolve, reject })
      worker.ref()
      // What is asked for in one turn goes together: the first of many must not get a commit to itself.
      if (outbox.push({ id, write, statements }) === 1) process.nextTick(post)
    })
  }

  async function query(statement: Statement): Promise<Row[]> {
    const [rows] = await send(false, [statement])
    return rows ?? []
  }

  function post(): void {
    while (outbox.length > 0) worker.postMessage(outbox.splice(0, MAX_POSTED))
  }

  return {
    transaction: (statements) => send(true, statements),
    async all<T extends Row>(sql: string, ...values: SqlValue[]) {
      return (await query({ sql, values })) as T[]
    },
    query,
    async close() {
      if (failure) return
      worker.ref()
      post()
      worker.postMessage('close')
      await exited
    },
  }
}
