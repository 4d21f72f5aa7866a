import { openDatabase } from '@aquifer/runtime/sqlite'

/** What a folder's file was when it was last dealt with. */
export interface KnownFile {
  /** As `Found` has it: unchanged means that the file need not be read. */
  readonly mark: string
  /** Of the content that was published last; null where none of it ever was. */
  readonly sha256: string | null
  /** The access list that it was published with. */
  readonly access: string
}

/** What was published of watched folders. Losing it costs only that everything is published once more. */
export interface WatchState {
  load(folder: string): Promise<Map<string, KnownFile>>
  save(folder: string, path: string, file: KnownFile): Promise<void>
  forget(folder: string, path: string): Promise<void>
  /** Device and inode of the folder at the last look. */
  identity(folder: string): Promise<string | null>
  setIdentity(folder: string, identity: string): Promise<void>
  close(): Promise<void>
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS files (
    folder TEXT NOT NULL, path TEXT NOT NULL, mark TEXT NOT NULL, sha256 TEXT, access TEXT NOT NULL,
    PRIMARY KEY (folder, path)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS folders (folder TEXT PRIMARY KEY, identity TEXT NOT NULL) WITHOUT ROWID;`

type FileRow = { path: string; mark: string; sha256: string | null; access: string }

/** `path` is the SQLite file's. */
export function openWatchState(path: string): WatchState {
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
