import type { Schemas } from '@qdrant/js-client-rest'
import type { Clock } from '@aquifer/runtime/clock'
import type { Condition } from './qdrant-filter.ts'
import { documentWeights } from './qdrant-points.ts'
import { checkDone, type Request, statusOf } from './qdrant-requests.ts'

/** Until it is measured. Passages of Markdown documentation have 59 terms on average, of Wikipedia 81 (measured). */
export const ASSUMED_AVERAGE = 70_000
/** Weights for an average that is off by so much are off by under 4 in 100, all in the same direction. */
const TOLERANCE = 0.05
const REFRESH_MS = 60_000
const MAX_LENGTHS = 100_000
const PAGE = 256

/** What is kept with a collection, where `list` reads it. */
export interface CollectionMetadata {
  readonly fingerprint: string
  readonly dimensions: number
  readonly createdMs: number
  /** Mean number of terms a point, in thousandths, that BM25 weights are made for. */
  readonly average: number
}

/**
 * The average length that BM25 weights of a collection are made for.
 *
 *  W1  A point carries the average of its weights, so that `renew` finds those made for another, of whichever process.
 *  W2  Weights are made anew only when the measured average has left the tolerance: it rewrites the points.
 *  W3  Killed half-way, the next `renew` goes on.
 */
export function createWeighing(
  name: string,
  { request, clock, ordering }: { request: Request; clock: Clock; ordering: Schemas['WriteOrdering'] },
) {
  let known: { average: number; readAtMs: number } | null = null

  async function readAverage(): Promise<number> {
    const readAtMs = clock.now()
    const { config } = await request('look at', (client) => client.getCollection(name))
    const metadata = config.metadata as Partial<CollectionMetadata> | null | undefined
    known = { average: metadata?.average ?? ASSUMED_AVERAGE, readAtMs }
    return known.average
  }

  /** Other processes may have changed it: it is read again once a minute. */
  async function average(): Promise<number> {
    return known && clock.now() - known.readAtMs < REFRESH_MS ? known.average : await readAverage()
  }

  async function measured(): Promise<number | null> {
    const { hits } = await request('count lengths of', (client) =>
      client.facet(name, { key: 'length', limit: MAX_LENGTHS, exact: true }),
    )
    let [points, terms] = [0, 0]
    for (const { value, count } of hits) {
      points += count
      terms += Number(value) * count
    }
    return terms === 0 ? null : Math.round((1000 * terms) / points)
  }

  /** One page of points that are weighed for another average; false when there are none. */
  async function renewPage(current: number): Promise<boolean> {
    const isCurrent: Condition = { key: 'average', match: { value: current } }
    const filter = { must_not: [isCurrent] }
    const { points } = await request('list', (client) =>
      client.scroll(name, { filter, limit: PAGE, with_payload: ['terms'], with_vector: false }),
    )
    if (points.length === 0) return false
    const weighed = points.map(({ id, payload }) => ({
      id,
      vector: documentWeights(JSON.parse(String(payload!['terms'])) as string[], current),
    }))
    const withTerms = weighed.filter(({ vector }) => Object.keys(vector).length > 0)
    if (withTerms.length > 0) await update({ update_vectors: { points: withTerms, update_filter: filter } })
    // By filter: a point that was deleted in between is no error then.
    const ids: Condition = { has_id: points.map(({ id }) => id) }
    await update({ set_payload: { payload: { average: current }, filter: { must: [ids] } } })
    return true
  }

  async function update(operation: Schemas['UpdateOperation']): Promise<void> {
    try {
      const [done] = await request('weigh', (client) =>
        client.batchUpdate(name, { operations: [operation], wait: true, ordering }),
      )
      checkDone(`weights of ${name}`, done!)
    } catch (error) {
      // One of the points was deleted meanwhile: the others are written all the same.
      if (statusOf(error) !== 404) throw error
    }
  }

  return {
    average,
    async renew(): Promise<void> {
      const mean = await measured()
      if (mean === null) return
      let current = await readAverage()
      if (Math.abs(mean / current - 1) > TOLERANCE) {
        current = mean
        const metadata: Partial<CollectionMetadata> = { average: current }
        await request('change', (client) => client.updateCollection(name, { metadata: { ...metadata } }))
        known = { average: current, readAtMs: clock.now() }
      }
      while (await renewPage(current));
    },
  }
}
