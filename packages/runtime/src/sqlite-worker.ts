import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { DatabaseOptions, Row, SqliteReply, SqliteRequest, Statement } from './sqlite.ts'

const MAX_GROUP = 512
const MAX_STATEMENTS = 256

const options = workerData as DatabaseOptions
const port = parentPort!
const database = new DatabaseSync(options.path)
database.exec(`
  PRAGMA busy_timeout = 5000;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = ${options.survives === 'power-loss' ? 'FULL' : 'NORMAL'};
  PRAGMA secure_delete = ON;
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

function run({ sql, values = [], each, upTo }: Statement): Row[] {
  const statement = prepare(sql)
  if (upTo) return take(statement.iterate(...values), upTo)
  if (!each) return statement.all(...values)
  for (const some of each) statement.run(...some)
  return []
}

function take(rows: Iterable<Row>, { column, sum }: Statement['upTo'] & object): Row[] {
  const taken: Row[] = []
  let total = 0
  for (const row of rows) {
    total += Number(row[column])
    if (taken.length > 0 && total > sum) break
    taken.push(row)
  }
  share(taken)
  return taken
}

/** One buffer crosses to the other thread in less time than one for each blob. */
function share(rows: readonly Row[]): void {
  const names = Object.keys(rows[0] ?? {})
  let sizeBytes = 0
  for (const row of rows)
    for (const name of names) {
      const value = row[name]
      if (value instanceof Uint8Array) sizeBytes += value.length
    }
  const all = new Uint8Array(sizeBytes)
  let at = 0
  for (const row of rows)
    for (const name of names) {
      const value = row[name]
      if (!(value instanceof Uint8Array)) continue
      all.set(value, at)
      row[name] = all.subarray(at, (at += value.length))
    }
}

function attempt(request: SqliteRequest): SqliteReply {
  const savepoint = request.write ? 'call' : null
  try {
    if (savepoint) prepare(`SAVEPOINT ${savepoint}`).run()
    const rows = request.statements.map(run)
    if (savepoint) prepare(`RELEASE ${savepoint}`).run()
    return { id: request.id, rows }
  } catch (error) {
    if (savepoint) database.exec(`ROLLBACK TO ${savepoint}; RELEASE ${savepoint}`)
    return { id: request.id, error: describe(error) }
  }
}

function describe(error: unknown): { message: string; code: string | undefined } {
  return error instanceof Error
    ? { message: error.message, code: (error as { code?: string }).code }
    : { message: String(error), code: undefined }
}

/** Runs what waits in one outer transaction, so that many small writes share one fsync. */
function runGroup(group: readonly SqliteRequest[]): SqliteReply[] {
  if (!group.some(({ write }) => write)) return group.map(attempt)
  database.exec('BEGIN IMMEDIATE')
  try {
    const replies = group.map(attempt)
    database.exec('COMMIT')
    return replies
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    return group.map(({ id }) => ({ id, error: describe(error) }))
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
  if (group.length > 0) port.postMessage(answer(group))
  if (closing) {
    database.close()
    port.close()
  }
})

function answer(group: readonly SqliteRequest[]): SqliteReply[] {
  try {
    return runGroup(group)
  } catch (error) {
    return group.map(({ id }) => ({ id, error: describe(error) }))
  }
}
