import { parseVersion } from '@aquifer/contracts/version'
import { bandKeys, nearKeys } from '@aquifer/text/fingerprint'
import { MAX_PER_KEY } from './port.ts'
import type { Attempt, DocumentRecord, FlipResult, Registry, VisibleVersion } from './port.ts'
import { readable } from './readable.ts'

type Stand = Pick<DocumentRecord, 'visible' | 'floor' | 'latest'>
const UNKNOWN: Stand = { visible: null, floor: null, latest: null }

/** The registry in memory, for tests and simulation. Nothing survives the process. */
export function createMemoryRegistry(): Registry {
  const tenants = new Map<string, Map<string, Stand>>()

  function of(tenant: string): Map<string, Stand> {
    const documents = tenants.get(tenant) ?? new Map<string, Stand>()
    tenants.set(tenant, documents)
    return documents
  }
  function records(tenant: string): DocumentRecord[] {
    return [...of(tenant)].map(([documentId, stand]) =>
      Object.assign(structuredClone(stand), { tenant, documentId }),
    )
  }

  return {
    async lookUp(tenant, documentIds) {
      const found = new Map<string, DocumentRecord>()
      for (const documentId of documentIds) {
        const stand = of(tenant).get(documentId)
        if (stand) found.set(documentId, Object.assign(structuredClone(stand), { tenant, documentId }))
      }
      return found
    },
    async recordAttempt(tenant, documentId, attempt) {
      const stand = of(tenant).get(documentId) ?? UNKNOWN
      if (wins(attempt, stand.latest))
        of(tenant).set(documentId, { ...stand, latest: structuredClone(attempt) })
    },
    async flip(tenant, documentId, visible) {
      const stand = of(tenant).get(documentId) ?? UNKNOWN
      const result = flipped(stand, visible)
      if (result.flipped) {
        const { version, title, contentType, access, publishedAt } = visible
        const attempt: Attempt = { version, state: 'indexed', title, contentType, access, publishedAt }
        const latest = atMost(stand.latest?.version, version) ? attempt : stand.latest
        of(tenant).set(documentId, structuredClone({ ...stand, visible, latest }))
      }
      return result
    },
    async raiseFloor(tenant, documentId, version) {
      const { visible, floor, latest } = of(tenant).get(documentId) ?? UNKNOWN
      const deleted: Attempt = {
        version,
        state: 'deleted',
        title: null,
        contentType: null,
        access: latest?.access ?? null,
        publishedAt: latest?.publishedAt ?? parseVersion(version).appendTimeMs,
      }
      of(tenant).set(documentId, {
        floor: floor !== null && floor > version ? floor : version,
        visible: atMost(visible?.version, version) ? null : visible,
        latest: atMost(latest?.version, version) ? deleted : latest,
      })
    },
    async list(tenant, { state, cursor, limit, groups }) {
      const after = cursor === undefined ? Buffer.alloc(0) : Buffer.from(cursor, 'base64url')
      const listed = records(tenant)
        .filter(({ documentId }) => Buffer.compare(Buffer.from(documentId), after) > 0)
        .filter(({ latest }) => state === undefined || latest?.state === state)
        .filter(({ latest, visible }) => readable(latest, groups) && readable(visible, groups))
        .sort((a, b) => Buffer.compare(Buffer.from(a.documentId), Buffer.from(b.documentId)))
      const documents = listed.slice(0, limit)
      const last = documents.at(-1)
      return listed.length <= limit || !last
        ? { documents }
        : { documents, cursor: Buffer.from(last.documentId).toString('base64url') }
    },
    async candidates(tenant, fingerprint) {
      const near = new Set(nearKeys(fingerprint))
      const seen = new Map<string, number>()
      return [...of(tenant)].flatMap(([documentId, { visible }]) => {
        if (!visible?.fingerprint) return []
        const shared = bandKeys(visible.fingerprint).filter(
          (key) => near.has(key) && (seen.get(key) ?? 0) < MAX_PER_KEY,
        )
        for (const key of shared) seen.set(key, (seen.get(key) ?? 0) + 1)
        return shared.length > 0 ? { documentId, fingerprint: visible.fingerprint } : []
      })
    },
    async counts(tenant) {
      const counts = { queued: 0, indexed: 0, failed: 0, quarantined: 0, deleted: 0, chunks: 0 }
      for (const { latest, visible } of of(tenant).values()) {
        if (latest) counts[latest.state]++
        counts.chunks += visible?.chunks ?? 0
      }
      return counts
    },
    async recentLags(tenant) {
      const flips = [...of(tenant).values()].flatMap(({ visible }) => visible ?? [])
      flips.sort((a, b) => b.indexedAt - a.indexedAt)
      return flips.slice(0, 1000).map(({ indexedAt, publishedAt }) => indexedAt - publishedAt)
    },
    async queuedBefore(version, limit, after = '') {
      const waiting = [...tenants.keys()]
        .flatMap(records)
        .flatMap(({ tenant, documentId, latest }) =>
          latest?.state === 'queued' && latest.version < version && latest.version > after
            ? { tenant, documentId, version: latest.version }
            : [],
        )
      return waiting.sort((a, b) => (a.version < b.version ? -1 : 1)).slice(0, limit)
    },
    ping: async () => {},
    close: async () => {},
  }
}

function atMost(version: string | undefined, bound: string): boolean {
  return version === undefined || version <= bound
}

function wins(attempt: Attempt, latest: Attempt | null): boolean {
  if (latest === null || attempt.version !== latest.version)
    return latest === null || attempt.version > latest.version
  if (latest.state === 'deleted') return false
  const replayed = latest.state !== 'indexed' && (attempt.replayedAt ?? 0) > (latest.replayedAt ?? 0)
  return latest.state === 'queued' || attempt.state !== 'queued' || replayed
}

function flipped({ visible, floor }: Stand, { version, build }: VisibleVersion): FlipResult {
  if (floor !== null && version <= floor) return { flipped: false, reason: 'deleted', winner: floor }
  if (visible && (version < visible.version || (version === visible.version && build === visible.build))) {
    const reason = version === visible.version ? 'same' : 'superseded'
    return { flipped: false, reason, winner: visible.version }
  }
  return { flipped: true, previous: visible && { version: visible.version, build: visible.build } }
}
