import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '@aquifer/runtime/clock'

/** While it stands in a watched folder, whatever is gone from it is removed. */
export const CONFIRM_FILE = '.aquifer-confirm'

/** So few may always go. */
const FEW = 20
/** Where more go, this share of the most files that were there within this time has to stay: else it looks like a mistake. */
const SHARE = 0.5
const WITHIN_MS = 10 * 60 * 1000
/** Counts that are remembered for it. */
const MAX_COUNTS = 1000

/** Says whether what is gone from a folder was deleted, or is rather a share that is not mounted, or a mistake. */
export function createDeletionGuard(clock: Clock) {
  let replaced = false
  let counts: { readonly at: number; readonly known: number }[] = []

  return {
    setReplaced(now: boolean): void {
      replaced = now
    },
    isReplaced: () => replaced,
    isMany: (missing: number) => missing > FEW,
    /** Why nothing is to be removed, null to go on: of `known` files, when `left` will be there afterwards. */
    check({ root, known, left }: { root: string; known: number; left: number }): string | null {
      counts = [
        ...counts.filter(({ at }) => at >= clock.now() - WITHIN_MS),
        { at: clock.now(), known },
      ].slice(-MAX_COUNTS)
      const most = Math.max(...counts.map((count) => count.known))
      const many = most - left > FEW && left < SHARE * most
      if ((!many && !replaced) || existsSync(join(root, CONFIRM_FILE))) return null
      return replaced ? 'and another folder is in its place' : 'most of it within a short time'
    },
  }
}
