import type { Clock } from '@aquifer/runtime/clock'
import { LRUCache } from 'lru-cache'
import type { PublishLane } from './publish.ts'

/** So many documents of a tenant may come at once before they count as a bulk load, and how fast that allowance returns. */
const BURST = 16
const REFILL_PER_SECOND = 2
const MAX_TENANTS = 10_000

interface Bucket {
  left: number
  at: number
}

/**
 * Whoever publishes many documents one by one fills the usual way as a bulk load would. Beyond a burst they take the bulk topic, so
 * that one urgent edit stays quick; versions order across both. Edits of visible documents have an allowance of their own, since it
 * is them that people wait for.
 */
export function createLanes(clock: Clock) {
  const buckets = new LRUCache<string, Bucket>({ max: MAX_TENANTS })

  return {
    choose(tenant: string, isEdit: boolean): PublishLane {
      const name = `${isEdit ? 'edit' : 'new'}:${tenant}`
      const now = clock.now()
      const bucket = buckets.get(name) ?? { left: BURST, at: now }
      const left = Math.min(BURST, bucket.left + ((now - bucket.at) / 1000) * REFILL_PER_SECOND)
      buckets.set(name, { left: left >= 1 ? left - 1 : left, at: now })
      return left >= 1 ? 'interactive' : 'bulk'
    },
  }
}
