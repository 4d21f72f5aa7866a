import { parseVersion } from '@aquifer/contracts/version'
import { CHUNKS_RETENTION_MS } from '@aquifer/contracts/topics'
import type { Clock } from '@aquifer/runtime/clock'
import type { Logger } from '@aquifer/runtime/logger'
import { createPeriodic } from '@aquifer/runtime/periodic'
import type { DocumentRecord, Registry } from '@aquifer/stores/registry'
import type { DocumentPoints, VectorIndex } from '@aquifer/stores/vector-index'

const PAGE = 500

export interface SweepDeps {
  readonly index: VectorIndex
  readonly registry: Registry
  readonly clock: Clock
  readonly logger: Logger
  readonly sweepEveryMs: number
}

/** Points that can never be seen again: not the visible build, and not of a version that may still become it. */
export function isOrphan(
  build: { version: string; build: string },
  record: Pick<DocumentRecord, 'visible' | 'floor' | 'latest'> | undefined,
  now: number,
): boolean {
  const visible = record?.visible ?? null
  if (visible && build.version === visible.version && build.build === visible.build) return false
  if (visible && build.version <= visible.version) return true
  if (record?.floor && build.version <= record.floor) return true
  // A queued version is on its way, however old: a replay, or one whose chunks were made again.
  if (record?.latest?.version === build.version) return record.latest.state !== 'queued'
  // Chunks are kept for so long: what has not become visible by then cannot be completed any more.
  return now - parseVersion(build.version).appendTimeMs > CHUNKS_RETENTION_MS
}

/** Goes through the index now and then and removes orphans. Returns how many builds went, when run at once. */
export function createSweeper({ index, registry, clock, logger, sweepEveryMs }: SweepDeps) {
  async function sweepPage(page: readonly DocumentPoints[]): Promise<number> {
    let removed = 0
    for (const [tenant, documents] of Map.groupBy(page, (document) => document.tenant)) {
      const records = await registry.lookUp(
        tenant,
        documents.map(({ documentId }) => documentId),
      )
      for (const { documentId, builds } of documents) {
        for (const { version, build } of builds) {
          if (!isOrphan({ version, build }, records.get(documentId), clock.now())) continue
          await index.delete({ tenant, documentId, version: { eq: version }, build: { eq: build } })
          removed++
        }
      }
    }
    return removed
  }

  async function sweep(signal?: AbortSignal): Promise<number> {
    let removed = 0
    let after: { tenant: string; documentId: string } | undefined
    for (;;) {
      const page = await index.scan({ ...(after ? { after } : {}), limit: PAGE })
      removed += await sweepPage(page)
      const last = page.at(-1)
      if (!last || page.length < PAGE || signal?.aborted) return removed
      after = { tenant: last.tenant, documentId: last.documentId }
    }
  }

  const periodic = createPeriodic('the sweep', sweepEveryMs, { clock, logger }, async (signal) => {
    const removed = await sweep(signal)
    if (removed > 0) logger.info({ removed }, 'swept builds that nothing shows')
  })
  return { sweep, ...periodic }
}
