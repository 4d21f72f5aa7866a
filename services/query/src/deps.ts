import type { Schemas } from '@aquifer/contracts/avro'
import type { EventLog } from '@aquifer/event-log/port'
import type { Embedder } from '@aquifer/models/embedder'
import type { Generator } from '@aquifer/models/generator'
import type { Clock } from '@aquifer/runtime/clock'
import type { Logger } from '@aquifer/runtime/logger'
import type { Metrics } from '@aquifer/runtime/metrics'
import type { Tracing } from '@aquifer/runtime/tracing'
import type { Answers } from '@aquifer/stores/answers'
import type { Cache } from '@aquifer/stores/cache'
import type { Registry } from '@aquifer/stores/registry'
import type { VectorIndex } from '@aquifer/stores/vector-index'
import type { Prompt } from './gateway/prompt.ts'

export interface QueryDeps {
  readonly log: EventLog
  /** Left out: the offline ones. */
  readonly schemas?: Schemas
  readonly index: VectorIndex
  readonly registry: Registry
  readonly answers: Answers
  readonly cache: Cache
  readonly embedder: Embedder
  readonly generator: Generator
  readonly groundedness: GroundednessScorer
  readonly guard: Guard
  readonly prompt: Prompt
  /** Name of the way that questions take to the generator. */
  readonly route: string
  /** Share of answers that go to the sampled topic. */
  readonly sampleRate: number
  readonly redactSampled: boolean
  readonly clock: Clock
  readonly random: () => number
  readonly uuid: () => string
  readonly logger: Logger
  readonly metrics: Metrics
  readonly tracing: Tracing
}

export interface GroundednessScorer {
  readonly name: string
  score(
    input: { question?: string; answer: string; contexts: readonly string[] },
    options: { lane: 'query' | 'interactive'; signal?: AbortSignal },
  ): Promise<{ groundedness: number; grounded: boolean }>
}

/** The detectors, as the query service needs them; they compute elsewhere. Ranges are code points. */
export interface Guard {
  inspect(text: string, as: 'input' | 'document' | 'output', signal?: AbortSignal): Promise<Inspection>
  /** The texts with personal data replaced by typed marks, in their order. */
  redact(texts: readonly string[], signal?: AbortSignal): Promise<string[]>
}

export interface Inspection {
  readonly injection: { readonly score: number; readonly flagged: boolean; readonly kind: string | null }
  readonly personalData: readonly { type: string; start: number; end: number; score: number }[]
  readonly unsafe: readonly { kind: string; start: number; end: number }[]
  readonly clean: string
}
