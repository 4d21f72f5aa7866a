/**
 * The services that a process can run. `query` is the door: it serves the whole HTTP contract, since every route only uses stores
 * that all share. The others consume, and serve their health and metrics.
 */
export const SERVICES = ['connector', 'embedder', 'query', 'evaluator'] as const
export type ServiceName = (typeof SERVICES)[number]
