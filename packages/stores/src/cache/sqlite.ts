import type { Clock } from '@aquifer/runtime/clock'
import type { Database } from '@aquifer/runtime/sqlite'
import type { Cache } from './port.ts'

export const cacheSchema = `
  CREATE TABLE IF NOT EXISTS cache (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS cache_by_time ON cache (expires_at);
`

const MAX_ENTRIES = 20_000
/** Writes between two times that what has expired, or is too much, is thrown out. */
const WRITES_PER_SWEEP = 200

const SET = `
  INSERT INTO cache VALUES (?, ?, ?)
  ON CONFLICT DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at`
const ADD = `${SET} WHERE expires_at <= ? RETURNING 1`
/** Beyond the bound, what would expire first goes first. */
const SWEEP = `
  DELETE FROM cache WHERE expires_at <= ?
    OR key IN (SELECT key FROM cache ORDER BY expires_at DESC LIMIT -1 OFFSET ${MAX_ENTRIES})`

/** The cache in a database whose schema includes `cacheSchema`. */
export function createSqliteCache(database: Database, { clock }: { clock: Clock }): Cache {
  let writes = 0
  async function write(sql: string, values: readonly (string | number | Buffer)[]): Promise<boolean> {
    const statements = [{ sql, values }]
    if (++writes % WRITES_PER_SWEEP === 0) statements.push({ sql: SWEEP, values: [clock.now()] })
    const [rows] = await database.transaction(statements)
    return rows!.length > 0
  }
  return {
    async get(key) {
      const [row] = await database.all(
        'SELECT value FROM cache WHERE key = ? AND expires_at > ?',
        key,
        clock.now(),
      )
      return row ? Buffer.from(row.value as Uint8Array) : null
    },
    async set(key, value, ttlMs) {
      await write(SET, [key, value, clock.now() + ttlMs])
    },
    async add(key, value, ttlMs) {
      const now = clock.now()
      return await write(ADD, [key, value, now + ttlMs, now])
    },
    async delete(key) {
      await write('DELETE FROM cache WHERE key = ?', [key])
    },
    async ping() {
      await database.all('SELECT 1')
    },
    close: async () => {},
  }
}
