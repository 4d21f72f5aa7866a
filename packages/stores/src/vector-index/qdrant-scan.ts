import type { Clock } from '@aquifer/runtime/clock'
import type { DocumentPoints } from './port.ts'
import { BUCKETS, parseSource } from './qdrant-points.ts'

/** So many documents are read ahead: a walk of a million documents passes fifty times over the sources. */
const AHEAD = 20_000
const MAX_AGE_MS = 600_000
/** Points counted in one request. */
const PIECE_POINTS = 5000

type Place = Pick<DocumentPoints, 'tenant' | 'documentId'>
interface Window {
  readonly after: Place
  readonly documents: readonly DocumentPoints[]
  /** Behind the last one there is no other. */
  readonly complete: boolean
  readonly readAtMs: number
}

export interface ScanDeps {
  readonly clock: Clock
  readonly count: () => Promise<number>
  /** Points of each source (`sourceKey`) in the buckets from `from` to, not including, `to`. */
  readonly sources: (from: number, to: number) => Promise<{ source: string; points: number }[]>
}

/**
 * Walks documents in order. Qdrant can put points in no order of texts, so each pass asks for the sources of all points,
 * bucket by bucket (from the keyword index: no payload is read), and keeps the first that come after the place. What a
 * pass finds beyond one page answers the pages that follow, within ten minutes: a page may be as old as its walk.
 */
export function createScan({ clock, count, sources }: ScanDeps) {
  let ahead: Window | null = null

  async function pass(
    after: Place | undefined,
    wanted: number,
  ): Promise<Pick<Window, 'documents' | 'complete'>> {
    const piece = Math.ceil((BUCKETS * PIECE_POINTS) / Math.max(PIECE_POINTS, await count()))
    let found: DocumentPoints[] = []
    let complete = true
    for (let from = 0; from < BUCKETS; from += piece) {
      for (const document of documentsOf(await sources(from, Math.min(BUCKETS, from + piece)))) {
        if (!after || inOrder(document, after) > 0) found.push(document)
      }
      if (found.length <= 2 * wanted && from + piece < BUCKETS) continue
      found.sort(inOrder)
      if (found.length > wanted) complete = false
      found = found.slice(0, wanted)
    }
    return { documents: found, complete }
  }

  return async ({ after, limit }: { after?: Place; limit: number }): Promise<DocumentPoints[]> => {
    const held = ahead
    const goesOn =
      held !== null &&
      after !== undefined &&
      inOrder(held.after, after) === 0 &&
      (held.complete || held.documents.length >= limit) &&
      clock.now() - held.readAtMs < MAX_AGE_MS
    const readAtMs = goesOn ? held.readAtMs : clock.now()
    const { documents, complete } = goesOn ? held : await pass(after, Math.max(limit, AHEAD))
    const page = documents.slice(0, limit)
    const last = page.at(-1)
    ahead = last ? { after: last, documents: documents.slice(limit), complete, readAtMs } : null
    return page
  }
}

/** All points of a document are in one bucket. */
function documentsOf(counted: readonly { source: string; points: number }[]): DocumentPoints[] {
  const documents = new Map<
    string,
    DocumentPoints & { builds: { version: string; build: string; points: number }[] }
  >()
  for (const { source, points } of counted) {
    const { tenant, documentId, version, build } = parseSource(source)
    const key = JSON.stringify([tenant, documentId])
    const document = documents.get(key) ?? { tenant, documentId, builds: [] }
    document.builds.push({ version, build, points })
    documents.set(key, document)
  }
  for (const { builds } of documents.values()) {
    builds.sort((a, b) => bytewise(a.version, b.version) || bytewise(a.build, b.build))
  }
  return [...documents.values()]
}

function inOrder(a: Place, b: Place): number {
  return bytewise(a.tenant, b.tenant) || bytewise(a.documentId, b.documentId)
}

/** As the UTF-8 of both compares, without making it: UTF-16 has its surrogates below U+E000, UTF-8 above. */
export function bytewise(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)]
    if (x !== y) return codePointOrder(x) - codePointOrder(y)
  }
  return a.length - b.length
}

function codePointOrder(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit
}
