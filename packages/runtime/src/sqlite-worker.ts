import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { unpackRows } from './sqlite-rows.ts'
import type { DatabaseOptions, Row, SentStatement, SqliteReply, SqliteRequest } from './sqlite.ts'

const MAX_GROUP = 512
const MAX_STATEMENTS = 256
/** A blob of so many bytes is handed over; a smaller one is copied in as little time. */
const HANDED_OVER_BYTES = 16 * 1024

const options = workerData as DatabaseOptions
const port = parentPort!
const database = new DatabaseSync(options.path)
database.exec(`
  PRAGMA busy_timeout = 5000;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = ${options.survives === 'power-loss' ? 'FULL' : 'NORMAL'};
  PRAGMA secure_delete = ON;
  PRAGMA wal_autocheckpoint = ${options.checkpointPages ?? 1000};
  PRAGMA temp_store = MEMORY;
`)
database.exec(options.schema)

const prepared = new Map<string, StatementSync>()

function prepare(sql: string): StatementSync {
  let statement = prepared.get(sql)
  if (!statement) {
    statement = database.prepare(sql)
    prepared.set(sql, statement)
    if (prepared.size > MAX_STATEMENTS) prepared.delete(prepared.keys().next().value!)
  }
  return statement
}

function run({ sql, values = [], each }: SentStatement): Row[] {
  const statement = prepare(sql)
  if (!each) return statement.all(...values)
  for (const row of unpackRows(each)) statement.run(...row)
  return []
}

function answer({ id, statements }: SqliteRequest): SqliteReply {
  return { id, rows: statements.map(run) }
}

/** A request that fails has changed nothing, and those beside it go on. */
function answerApart(request: SqliteRequest): SqliteReply {
  if (request.write) prepare('SAVEPOINT call').run()
  try {
    const reply = answer(request)
    if (request.write) prepare('RELEASE call').run()
    return reply
  } catch (error) {
    if (request.write) database.exec('ROLLBACK TO call; RELEASE call')
    return { id: request.id, error: describe(error) }
  }
}

function describe(error: unknown): { message: string; code: string | undefined } {
  return error instanceof Error
    ? { message: error.message, code: (error as { code?: string }).code }
    : { message: String(error), code: undefined }
}

/** Runs what waits in one transaction, so that many small writes share one fsync. */
function answerGroup(group: readonly SqliteRequest[]): SqliteReply[] {
  if (!group.some(({ write }) => write)) return group.map(answerApart)
  try {
    return inTransaction(() => group.map(answer))
  } catch (error) {
    if (group.length === 1) throw error
    // One of them is at fault, which happens seldom: savepoints for each are paid only then.
    return inTransaction(() => group.map(answerApart))
  }
}

function inTransaction<T>(work: () => T): T {
  database.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    database.exec('COMMIT')
    return result
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

port.on('message', (first: SqliteRequest[] | 'close') => {
  const group: SqliteRequest[] = []
  let closing = first === 'close'
  if (first !== 'close') group.push(...first)
  while (!closing && group.length < MAX_GROUP) {
    const next: { message: SqliteRequest[] | 'close' } | undefined = receiveMessageOnPort(port)
    if (!next) break
    if (next.message === 'close') closing = true
    else group.push(...next.message)
  }
  if (group.length > 0) {
    const replies = answerAll(group)
    port.postMessage(replies, replies.flatMap(largeBlobs))
  }
  if (closing) {
    database.close()
    port.close()
  }
})

function answerAll(group: readonly SqliteRequest[]): SqliteReply[] {
  try {
    return answerGroup(group)
  } catch (error) {
    return group.map(({ id }) => ({ id, error: describe(error) }))
  }
}

/** Of answers of one row, which is where a statement puts much together. */
function largeBlobs(reply: SqliteReply): ArrayBuffer[] {
  if ('error' in reply) return []
  return reply.rows.flatMap((rows) =>
    rows.length === 1
      ? Object.values(rows[0]!).flatMap((value) =>
          value instanceof Uint8Array && value.length >= HANDED_OVER_BYTES
            ? [value.buffer as ArrayBuffer]
            : [],
        )
      : [],
  )
}
