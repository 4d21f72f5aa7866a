import type { DocumentRecord, Registry } from './port.ts'

/** Some five megabytes. */
const MAX_REMEMBERED = 4096

/**
 * A registry that keeps what it looked up, so that a search need not wait for another thread. Only for one whose every write passes
 * through here, and whose calls take effect in the order in which they were made.
 *
 *  M1  `lookUp` answers as the registry itself would, of one state: what is kept was not written since, and what is not is read behind
 *      every write that was called before.
 *  M2  A look that was under way when its document was written is not kept.
 */
export function remembered(registry: Registry): Registry {
  const known = new Map<string, DocumentRecord>()
  /** Of each look under way, what was written since it began. */
  const looks = new Set<Set<string>>()

  function forget(tenant: string, documentId: string): void {
    const key = keyOf(tenant, documentId)
    known.delete(key)
    for (const written of looks) written.add(key)
  }

  async function read(tenant: string, documentIds: readonly string[]): Promise<Map<string, DocumentRecord>> {
    const written = new Set<string>()
    looks.add(written)
    try {
      const found = await registry.lookUp(tenant, documentIds)
      for (const [id, record] of found) {
        const key = keyOf(tenant, id)
        if (written.has(key)) continue
        known.set(key, record)
        if (known.size > MAX_REMEMBERED) known.delete(known.keys().next().value!)
      }
      return found
    } finally {
      looks.delete(written)
    }
  }

  return {
    ...registry,
    async lookUp(tenant, documentIds) {
      const found = new Map<string, DocumentRecord>()
      const missing: string[] = []
      for (const id of documentIds) {
        const key = keyOf(tenant, id)
        const record = known.get(key)
        if (!record) missing.push(id)
        else {
          found.set(id, record)
          // The last to be forgotten.
          known.delete(key)
          known.set(key, record)
        }
      }
      if (missing.length > 0) for (const [id, record] of await read(tenant, missing)) found.set(id, record)
      return found
    },
    recordAttempt(tenant, documentId, attempt) {
      forget(tenant, documentId)
      return registry.recordAttempt(tenant, documentId, attempt)
    },
    flip(tenant, documentId, visible) {
      forget(tenant, documentId)
      return registry.flip(tenant, documentId, visible)
    },
    raiseFloor(tenant, documentId, version) {
      forget(tenant, documentId)
      return registry.raiseFloor(tenant, documentId, version)
    },
  }
}

const keyOf = (tenant: string, documentId: string): string => `${tenant}/${documentId}`
