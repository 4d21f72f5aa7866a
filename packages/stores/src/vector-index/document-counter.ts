import type { DocumentPoints, Point } from './port.ts'

/** Counts points, given in the order of tenant, document, version and build, by these; at most `limit` documents. */
export function documentCounter(limit: number): {
  /** False: the point is of a document beyond the limit, and was not counted. */
  add(point: Pick<Point, 'tenant' | 'documentId' | 'version' | 'build'>): boolean
  readonly counted: DocumentPoints[]
} {
  const counted: { tenant: string; documentId: string; builds: Counted[] }[] = []
  return {
    counted,
    add({ tenant, documentId, version, build }) {
      let document = counted.at(-1)
      if (document?.tenant !== tenant || document.documentId !== documentId) {
        if (counted.length === limit) return false
        document = { tenant, documentId, builds: [] }
        counted.push(document)
      }
      const last = document.builds.at(-1)
      if (last?.version === version && last.build === build) last.points++
      else document.builds.push({ version, build, points: 1 })
      return true
    },
  }
}

interface Counted {
  version: string
  build: string
  points: number
}
