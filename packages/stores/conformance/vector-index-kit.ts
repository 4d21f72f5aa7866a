import type { IndexQuery, VectorIndex, VectorIndexAdmin } from '@aquifer/stores/vector-index'
import { unit } from './points.ts'

export interface VectorIndexAdapter {
  /** A place for an index, with nothing in it. */
  fresh(): Promise<string>
  open(location: string): Promise<VectorIndexAdmin>
  /** URL of the module that exports this object as `adapter`, for a process that is killed. */
  readonly module?: string
  /** Where its files lie, if it has some here. */
  directory?(location: string): string
  /** Cases that it cannot pass, and why. */
  readonly skips?: Readonly<Record<string, string>>
}

export interface Context {
  readonly admin: VectorIndexAdmin
  readonly location: string
  readonly adapter: VectorIndexAdapter
}
/** Declares a case; it gets an empty collection. */
export type Behaviour = (title: string, run: (index: VectorIndex, context: Context) => Promise<void>) => void

export const ALL = 1000
/** Finds every point of a tenant whose terms are those of `point()`, by both lists. */
export const everything: Omit<IndexQuery, 'tenant'> = {
  groups: null,
  vector: unit([1]),
  terms: ['passag'],
  limit: ALL,
}
