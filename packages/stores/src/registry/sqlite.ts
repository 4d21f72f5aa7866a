import { parseVersion } from '@aquifer/contracts/version'
import type { Database, Row, SqlValue, Statement } from '@aquifer/runtime/sqlite'
import { nearKeys } from '@aquifer/text/fingerprint'
import { MAX_PER_KEY } from './port.ts'
import { remembered } from './remembered.ts'
import type { Attempt, DocumentRecord, FlipResult, Registry, VisibleVersion } from './port.ts'

const FINGERPRINT = "visible ->> 'fingerprint'"
/** As `bandKeys` has them. */
const BAND_KEYS = [0, 1, 2, 3].map((band) => `'${band}' || substr(${FINGERPRINT}, ${1 + 4 * band}, 4)`)

/**
 * One row a document. `visible` and `latest` are JSON; what is compared or listed by is read out of them. Versions and
 * ids compare bytewise, as TEXT does.
 */
export const registrySchema = `
  CREATE TABLE IF NOT EXISTS registry (
    tenant TEXT NOT NULL,
    document_id TEXT NOT NULL,
    floor TEXT,
    visible TEXT,
    latest TEXT NOT NULL,
    visible_version TEXT AS (visible ->> 'version'),
    visible_build TEXT AS (visible ->> 'build'),
    chunks INTEGER AS (visible ->> 'chunks'),
    indexed_at INTEGER AS (visible ->> 'indexedAt'),
    lag_ms INTEGER AS (visible ->> 'indexedAt' - visible ->> 'publishedAt'),
    latest_version TEXT AS (latest ->> 'version'),
    state TEXT AS (latest ->> 'state'),
    PRIMARY KEY (tenant, document_id)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS registry_by_state ON registry (tenant, state, document_id, chunks);
  CREATE INDEX IF NOT EXISTS registry_by_time ON registry (tenant, indexed_at, lag_ms) WHERE indexed_at IS NOT NULL;
  CREATE INDEX IF NOT EXISTS registry_queued ON registry (latest_version) WHERE state = 'queued';
${BAND_KEYS.map(
  (key, band) =>
    `CREATE INDEX IF NOT EXISTS registry_band_${band} ON registry (tenant, ${key}) WHERE ${FINGERPRINT} IS NOT NULL;`,
).join('\n')}
`

const MAX_LAGS = 1000
const COLUMNS = 'document_id, floor, visible, latest'

/** A settled state wins over `queued` of the same version, but for a later replay of what failed; and nothing over `deleted`. */
const RECORD_ATTEMPT = `
  INSERT INTO registry (tenant, document_id, latest) VALUES (?, ?, ?)
  ON CONFLICT DO UPDATE SET latest = excluded.latest
  WHERE latest_version < excluded.latest_version
     OR (latest_version = excluded.latest_version AND state <> 'deleted'
         AND (state = 'queued' OR excluded.state <> 'queued'
              OR (state <> 'indexed' AND excluded.latest ->> 'replayedAt' > coalesce(latest ->> 'replayedAt', 0))))`

const STAND = `
  SELECT visible_version AS version, visible_build AS build, floor, floor >= ? AS deleted
  FROM registry WHERE tenant = ? AND document_id = ?`

const FLIP = `
  INSERT INTO registry (tenant, document_id, visible, latest) VALUES (?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET
    visible = excluded.visible,
    latest = iif(latest_version <= excluded.latest_version, excluded.latest, latest)
  WHERE (floor IS NULL OR floor < excluded.visible_version)
    AND (visible IS NULL OR visible_version < excluded.visible_version
         OR (visible_version = excluded.visible_version AND visible_build <> excluded.visible_build))
  RETURNING 1`

/** Who might read the document before may know that it is gone; its title is no longer kept. */
const RAISE_FLOOR = `
  INSERT INTO registry (tenant, document_id, floor, latest) VALUES (?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET
    floor = max(coalesce(floor, ''), excluded.floor),
    visible = iif(visible_version <= excluded.floor, NULL, visible),
    latest = iif(latest_version <= excluded.floor,
      json_set(excluded.latest, '$.access', json(latest -> 'access'), '$.publishedAt', latest -> 'publishedAt'),
      latest)`

const READABLE = ['latest', 'visible'].map(
  (column) => `(${column} IS NULL OR ${column} ->> 'access' IS NULL OR EXISTS (
    SELECT 1 FROM json_each(${column}, '$.access') AS held, json_each(?4) AS given WHERE held.value = given.value))`,
)
const LIST = `
  SELECT ${COLUMNS} FROM registry
  WHERE tenant = ?1 AND document_id > ?2 AND (?3 IS NULL OR state = ?3)
    AND (?4 IS NULL OR (${READABLE.join(' AND ')}))
  ORDER BY document_id LIMIT ?5`

/** Each key on its own: a crowd behind one takes no other's room. */
const CANDIDATES = BAND_KEYS.map(
  (bandKey, band) => `
  SELECT found.document_id, found.${FINGERPRINT} AS fingerprint
  FROM json_each(?2) AS near CROSS JOIN registry AS found
  WHERE near.value LIKE '${band}%' AND found.tenant = ?1 AND found.document_id IN (
    SELECT document_id FROM registry
    WHERE tenant = ?1 AND ${FINGERPRINT} IS NOT NULL AND ${bandKey} = near.value LIMIT ${MAX_PER_KEY})`,
).join(' UNION ')

/** The registry in a database whose schema includes `registrySchema`, and which nothing else writes to. */
export function createSqliteRegistry(database: Database): Registry {
  return remembered(inDatabase(database))
}

function inDatabase(database: Database): Registry {
  async function write(sql: string, ...values: SqlValue[]): Promise<void> {
    await database.transaction([{ sql, values }])
  }
  return {
    async lookUp(tenant, documentIds) {
      const rows = await database.all(
        `SELECT ${COLUMNS} FROM registry WHERE tenant = ? AND document_id IN (SELECT value FROM json_each(?))`,
        tenant,
        JSON.stringify(documentIds),
      )
      return new Map(rows.map((row) => [String(row.document_id), toRecord(tenant, row)]))
    },
    recordAttempt: (tenant, documentId, attempt) =>
      write(RECORD_ATTEMPT, tenant, documentId, JSON.stringify(attempt)),
    async flip(tenant, documentId, visible) {
      const { version, build, title, contentType, access, publishedAt } = visible
      const latest: Attempt = { version, state: 'indexed', title, contentType, access, publishedAt }
      const flip: Statement = {
        sql: FLIP,
        values: [tenant, documentId, JSON.stringify(visible), JSON.stringify(latest)],
      }
      const [before, flipped] = await database.transaction([
        { sql: STAND, values: [version, tenant, documentId] },
        flip,
      ])
      return outcome(version, build, before![0], flipped!.length > 0)
    },
    raiseFloor(tenant, documentId, version) {
      const latest: Attempt = {
        version,
        state: 'deleted',
        title: null,
        contentType: null,
        access: null,
        publishedAt: parseVersion(version).appendTimeMs,
      }
      return write(RAISE_FLOOR, tenant, documentId, version, JSON.stringify(latest))
    },
    async list(tenant, { state, cursor, limit, groups }) {
      const rows = await database.all(
        LIST,
        tenant,
        cursor === undefined ? '' : Buffer.from(cursor, 'base64url').toString(),
        state ?? null,
        groups && JSON.stringify(groups),
        limit + 1,
      )
      const documents = rows.slice(0, limit).map((row) => toRecord(tenant, row))
      const last = documents.at(-1)
      return rows.length <= limit || !last
        ? { documents }
        : { documents, cursor: Buffer.from(last.documentId).toString('base64url') }
    },
    async candidates(tenant, fingerprint) {
      const rows = await database.all(CANDIDATES, tenant, JSON.stringify(nearKeys(fingerprint)))
      return rows.map((row) => ({
        documentId: String(row.document_id),
        fingerprint: String(row.fingerprint),
      }))
    },
    async counts(tenant) {
      const rows = await database.all(
        'SELECT state, count(*) AS documents, sum(chunks) AS chunks FROM registry WHERE tenant = ? GROUP BY state',
        tenant,
      )
      const counts = { queued: 0, indexed: 0, failed: 0, quarantined: 0, deleted: 0, chunks: 0 }
      for (const { state, documents, chunks } of rows) {
        counts[state as Attempt['state']] = Number(documents)
        counts.chunks += Number(chunks)
      }
      return counts
    },
    async recentLags(tenant) {
      const rows = await database.all(
        'SELECT lag_ms FROM registry WHERE tenant = ? AND indexed_at IS NOT NULL ORDER BY indexed_at DESC LIMIT ?',
        tenant,
        MAX_LAGS,
      )
      return rows.map(({ lag_ms: lagMs }) => Number(lagMs))
    },
    async queuedBefore(version, limit, after = '') {
      const rows = await database.all(
        "SELECT tenant, document_id, latest_version FROM registry WHERE state = 'queued' AND latest_version < ? AND latest_version > ? ORDER BY latest_version LIMIT ?",
        version,
        after,
        limit,
      )
      return rows.map((row) => ({
        tenant: String(row.tenant),
        documentId: String(row.document_id),
        version: String(row.latest_version),
      }))
    },
    async ping() {
      await database.all('SELECT 1')
    },
    close: async () => {},
  }
}

function outcome(version: string, build: string, before: Row | undefined, flipped: boolean): FlipResult {
  const visible =
    before?.version == null ? null : { version: String(before.version), build: String(before.build) }
  if (flipped) return { flipped, previous: visible }
  if (before?.deleted) return { flipped, reason: 'deleted', winner: String(before.floor) }
  const same = visible?.version === version && visible.build === build
  return { flipped, reason: same ? 'same' : 'superseded', winner: visible!.version }
}

function toRecord(tenant: string, row: Row): DocumentRecord {
  return {
    tenant,
    documentId: String(row.document_id),
    visible: row.visible === null ? null : (JSON.parse(String(row.visible)) as VisibleVersion),
    floor: row.floor === null ? null : String(row.floor),
    latest: JSON.parse(String(row.latest)) as Attempt,
  }
}
