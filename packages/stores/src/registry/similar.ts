import { fingerprintDistance, NEAR_DISTANCE } from '@aquifer/text/fingerprint'
import type { DocumentRecord, Registry } from './port.ts'
import { readable } from './readable.ts'

/** A document that says nearly the same; `distance`: in how many of 64 bits the fingerprints differ, 0 to `NEAR_DISTANCE`. */
export interface Similar {
  readonly id: string
  readonly title: string | null
  readonly distance: number
}

const MAX_SIMILAR = 10
/** So many of the nearest are looked up for those that the caller may see. */
const MAX_LOOKED_UP = 200

/**
 * The visible documents that are near-identical to the visible version of one, nearest first, at most ten: those alone that someone of
 * these groups (null: an admin) may see by what is visible and by what is about to be. Each is looked up last of all, so that one
 * that is deleted or changed by then is not named.
 */
export async function findSimilar(
  registry: Registry,
  { tenant, documentId, visible }: DocumentRecord,
  groups: readonly string[] | null,
): Promise<Similar[]> {
  const own = visible?.fingerprint
  if (!own) return []
  const near = (await registry.candidates(tenant, own))
    .map((candidate) => ({ ...candidate, distance: fingerprintDistance(own, candidate.fingerprint) }))
    .filter((candidate) => candidate.distance <= NEAR_DISTANCE && candidate.documentId !== documentId)
    .sort((a, b) => a.distance - b.distance || (a.documentId < b.documentId ? -1 : 1))
    .slice(0, MAX_LOOKED_UP)
  if (near.length === 0) return []
  const records = await registry.lookUp(
    tenant,
    near.map((candidate) => candidate.documentId),
  )
  return near
    .flatMap(({ documentId: id, fingerprint, distance }) => {
      const record = records.get(id)
      if (record?.visible?.fingerprint !== fingerprint) return []
      if (!readable(record.visible, groups) || !readable(record.latest, groups)) return []
      return { id, title: record.visible.title, distance }
    })
    .slice(0, MAX_SIMILAR)
}
