import type { MetadataFilter } from '@aquifer/contracts/filter'
import type { Embedder } from '@aquifer/models/embedder'
import type { Clock } from '@aquifer/runtime/clock'
import { mayRead } from '@aquifer/runtime/auth'
import type { Identity } from '@aquifer/runtime/auth'
import type { DocumentRecord, Registry, VisibleVersion } from '@aquifer/stores/registry'
import type { IndexHit, VectorIndex } from '@aquifer/stores/vector-index'
import { terms } from '@aquifer/text/terms'
import { fuse } from './fuse.ts'
import type { FusedHit } from './fuse.ts'

export type Mode = 'hybrid' | 'dense' | 'lexical'

export interface RetrieveRequest {
  readonly identity: Identity
  readonly query: string
  readonly limit: number
  readonly mode: Mode
  readonly filter?: MetadataFilter | undefined
  readonly signal: AbortSignal
}

/** What each list brings at first; more do not make the answer better. */
const CANDIDATES = 50
/** The lists are asked again, each time for twice as many, when the registry's word leaves too few. */
const MAX_ROUNDS = 4
/** The clocks of two hosts differ by less. */
const CLOCK_SKEW_MS = 2_000

/**
 * Passages for a question, best first, of visible versions that the caller may read.
 *
 *  R1  Every hit is checked against one consistent state of the registry, so that no two versions of a document are ever mixed.
 *  R2  What a search brought of a version counts only if the search began when all its points were there; else it is repeated. So
 *      no answer rests on a part of a version whose other part was still to be written.
 */
export function createRetriever({
  index,
  registry,
  embedder,
  clock,
}: {
  index: VectorIndex
  registry: Registry
  embedder: Embedder
  clock: Clock
}) {
  return async (request: RetrieveRequest): Promise<FusedHit[]> => {
    const { identity, query, mode, filter, signal } = request
    const [embedding] =
      mode === 'lexical'
        ? []
        : await embedder.embed([{ text: query }], { lane: 'query', signal, words: 'vectors' })
    const lexical = mode === 'dense' ? [] : terms(query)
    let limit = Math.min(Math.max(CANDIDATES, request.limit), index.limits.maxSearchLimit)
    let known: ReadonlyMap<string, VisibleVersion> = new Map()
    for (let round = 1; ; round++) {
      signal.throwIfAborted()
      const startedAt = clock.now()
      const lists = await index.search({
        tenant: identity.tenant,
        groups: identity.groups,
        ...(embedding ? { vector: embedding.vector } : {}),
        ...(lexical.length > 0 ? { terms: lexical } : {}),
        ...(filter ? { filter } : {}),
        limit,
      })
      // Almost always all of them are visible: their fusion does not wait for the registry.
      const [checked, fusedAll] = await Promise.all([
        checkLists(registry, identity, lists),
        fuse({ query, embedding, ...lists }),
      ])
      const torn = [...checked.visible].some(
        ([id, visible]) => !isSame(visible, known.get(id)) && mayBeTorn(visible, startedAt),
      )
      // Visible by now: the next search finds all of them.
      known = checked.visible
      const isWhole =
        checked.dense.length === lists.dense.length && checked.lexical.length === lists.lexical.length
      const fused = isWhole ? fusedAll : await fuse({ query, embedding, ...checked })
      const hits = fused.slice(0, request.limit)
      const exhausted = lists.dense.length < limit && lists.lexical.length < limit
      const enough = hits.length >= request.limit || exhausted || limit === index.limits.maxSearchLimit
      if ((enough && !checked.overtaken && !torn) || round === MAX_ROUNDS) return hits
      if (!enough || checked.overtaken) limit = Math.min(limit * 2, index.limits.maxSearchLimit)
    }
  }
}

interface Lists {
  readonly dense: IndexHit[]
  readonly lexical: IndexHit[]
}

/**
 * Drops what is not the visible (version, build) or not the caller's to read. `overtaken`: a document was dropped whose newer
 * version is visible but not among the hits, because it became so after the search; the next search finds it.
 */
async function checkLists(
  registry: Registry,
  identity: Identity,
  lists: Lists,
): Promise<Lists & { overtaken: boolean; visible: Map<string, VisibleVersion> }> {
  const ids = [...new Set([...lists.dense, ...lists.lexical].map(({ documentId }) => documentId))]
  const records =
    ids.length > 0 ? await registry.lookUp(identity.tenant, ids) : new Map<string, DocumentRecord>()
  const dense = lists.dense.filter((hit) => isVisible(hit, records.get(hit.documentId), identity))
  const lexical = lists.lexical.filter((hit) => isVisible(hit, records.get(hit.documentId), identity))
  const kept = new Set([...dense, ...lexical].map(({ documentId }) => documentId))
  const visible = new Map<string, VisibleVersion>()
  for (const id of ids) {
    const current = records.get(id)?.visible
    if (current && mayRead(current.access, identity.groups)) visible.set(id, current)
  }
  return { dense, lexical, overtaken: [...visible.keys()].some((id) => !kept.has(id)), visible }
}

/** Its points were all there when it was indexed; a search begun before that may have met a part of them. */
function mayBeTorn({ indexedAt, chunks }: VisibleVersion, startedAt: number): boolean {
  return chunks > 1 && indexedAt > startedAt - CLOCK_SKEW_MS
}

function isSame(a: VisibleVersion, b: VisibleVersion | undefined): boolean {
  return a.version === b?.version && a.build === b.build
}

export function isVisible(
  hit: { version: string; build?: string },
  record: DocumentRecord | undefined,
  identity: Pick<Identity, 'groups'>,
): boolean {
  const visible = record?.visible
  if (!visible || visible.version !== hit.version) return false
  return (hit.build === undefined || hit.build === visible.build) && mayRead(visible.access, identity.groups)
}
