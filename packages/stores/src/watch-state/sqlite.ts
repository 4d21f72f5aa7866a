import { openDatabase } from '@aquifer/runtime/sqlite'
import type { WatchState } from './port.ts'

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS files (
    folder TEXT NOT NULL, path TEXT NOT NULL, mark TEXT NOT NULL, sha256 TEXT, access TEXT NOT NULL,
    PRIMARY KEY (folder, path)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS folders (folder TEXT PRIMARY KEY, identity TEXT NOT NULL) WITHOUT ROWID;`

type FileRow = { path: string; mark: string; sha256: string | null; access: string }

/** `path` is the SQLite file's. */
export function openSqliteWatchState(path: string): WatchState {
  const database = openDatabase({ path, schema: SCHEMA, survives: 'kill' })
  return {
    async load(folder) {
      const rows = await database.all<FileRow>(
        'SELECT path, mark, sha256, access FROM files WHERE folder = ?',
        folder,
      )
      return new Map(rows.map(({ path: of, mark, sha256, access }) => [of, { mark, sha256, access }]))
    },
    async save(folder, of, { mark, sha256, access }) {
      await database.transaction([
        {
          sql: 'INSERT OR REPLACE INTO files (folder, path, mark, sha256, access) VALUES (?, ?, ?, ?, ?)',
          values: [folder, of, mark, sha256, access],
        },
      ])
    },
    async forget(folder, of) {
      await database.transaction([
        { sql: 'DELETE FROM files WHERE folder = ? AND path = ?', values: [folder, of] },
      ])
    },
    async identity(folder) {
      const [row] = await database.all<{ identity: string }>(
        'SELECT identity FROM folders WHERE folder = ?',
        folder,
      )
      return row?.identity ?? null
    },
    async setIdentity(folder, identity) {
      await database.transaction([
        {
          sql: 'INSERT OR REPLACE INTO folders (folder, identity) VALUES (?, ?)',
          values: [folder, identity],
        },
      ])
    },
    close: () => database.close(),
  }
}
