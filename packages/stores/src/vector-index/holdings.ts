import type { Point, PointSelector } from './port.ts'

/** Of so many documents at most is kept what they hold. */
const MAX_DOCUMENTS = 16_384

/** What a document holds: points of one version and build alone, or none. */
type Holding = Pick<Point, 'version' | 'build'> | 'nothing'
type Document = Pick<PointSelector, 'tenant' | 'documentId'>

const keyOf = ({ tenant, documentId }: Document): string => `${tenant}/${documentId}`

/**
 * What documents hold, as far as the only writer of a table knows it: most are new, and then there is nothing to look for, to
 * replace or to clean up, each of which would cost a pass through the files.
 *
 *  H1  Writes are told of in the order in which they take effect, before they do.
 *  H2  What a look at the table found counts only where nothing was written to the document since the look began.
 *  H3  A document of which nothing is known may hold anything.
 */
export function createHoldings() {
  const known = new Map<string, Holding>()
  const writing = new Map<string, number>()
  const looking = new Map<string, object>()

  function set(key: string, holding: Holding): void {
    known.delete(key)
    known.set(key, holding)
    if (known.size > MAX_DOCUMENTS) known.delete(known.keys().next().value!)
  }

  return {
    /** Whether it is known that the document has no point. */
    isEmpty: (document: Document): boolean => known.get(keyOf(document)) === 'nothing',
    isKnown: (document: Document): boolean => known.has(keyOf(document)),

    /** Points are about to be written: true where none of them can be there already. `done` is called when they are, or are not. */
    write(points: readonly Point[]): { isNew: boolean; done: (failed: boolean) => void } {
      const documents = Map.groupBy(points, keyOf)
      let isNew = true
      for (const [key, own] of documents) {
        const { version, build } = own[0]!
        const before = known.get(key)
        const same = (held: Pick<Point, 'version' | 'build'>) =>
          held.version === version && held.build === build
        isNew &&= before === 'nothing'
        if (before && (before === 'nothing' || same(before)) && own.every(same)) set(key, { version, build })
        else known.delete(key)
        looking.delete(key)
        writing.set(key, (writing.get(key) ?? 0) + 1)
      }
      return {
        isNew,
        done(failed) {
          for (const key of documents.keys()) {
            const left = writing.get(key)! - 1
            if (left > 0) writing.set(key, left)
            else writing.delete(key)
            if (failed) known.delete(key)
          }
        },
      }
    },

    /** Points are about to be deleted: false where there is none that the selector names. */
    delete(selector: PointSelector): boolean {
      const key = keyOf(selector)
      const held = known.get(key)
      if (!held) return true
      if (held === 'nothing' || !selects(selector, held)) return false
      known.delete(key)
      return true
    },

    /** A look at the table begins; the returned function is told which documents have points. */
    look(documents: readonly Document[]): (found: (document: Document) => boolean) => void {
      const token = {}
      for (const document of documents) {
        const key = keyOf(document)
        if (!known.has(key) && !writing.has(key)) looking.set(key, token)
      }
      return (found) => {
        for (const document of documents) {
          const key = keyOf(document)
          if (looking.get(key) !== token) continue
          looking.delete(key)
          if (!found(document)) set(key, 'nothing')
        }
      }
    },
  }
}

function selects({ version, build }: PointSelector, held: Pick<Point, 'version' | 'build'>): boolean {
  const order = (other: string) => Buffer.compare(Buffer.from(held.version), Buffer.from(other))
  if (version?.eq !== undefined && held.version !== version.eq) return false
  if (version?.lt !== undefined && order(version.lt) >= 0) return false
  if (version?.lte !== undefined && order(version.lte) > 0) return false
  if (build?.eq !== undefined && held.build !== build.eq) return false
  return build?.ne === undefined || held.build !== build.ne
}
