import type { Schemas } from '@aquifer/contracts/avro'
import type { EventLog } from '@aquifer/event-log/port'
import type { Clock } from '@aquifer/runtime/clock'
import type { Turns } from '@aquifer/runtime/concurrency'
import type { Logger } from '@aquifer/runtime/logger'
import type { Metrics } from '@aquifer/runtime/metrics'
import type { Probe } from '@aquifer/runtime/probe'
import type { Tracing } from '@aquifer/runtime/tracing'
import type { Blobs } from '@aquifer/stores/blobs'
import type { Cache } from '@aquifer/stores/cache'
import type { DocumentFiles } from '@aquifer/stores/document-files'
import type { Registry } from '@aquifer/stores/registry'
import type { ParsePool } from './parse-pool.ts'

interface CommonDeps {
  readonly log: EventLog
  /** Left out: the offline ones. */
  readonly schemas?: Schemas
  readonly registry: Registry
  readonly blobs: Blobs
  readonly files: DocumentFiles
  readonly limits: ConnectorLimits
  readonly clock: Clock
  readonly random: () => number
  readonly uuid: () => string
  readonly logger: Logger
  readonly metrics: Metrics
  readonly tracing: Tracing
  readonly probe: Probe
}

/** What puts documents on the log. */
export interface PublisherDeps extends CommonDeps {
  /** Publications of one document take turns, among all doors; left out, within this process. */
  readonly turns?: Turns
  /** Registries of other generations: a deletion binds all of them at once. */
  readonly alsoDelete: () => readonly Registry[]
}

/** What the routes need. */
export interface DoorDeps extends PublisherDeps {
  readonly cache: Cache
  /** What `/v1/status` says of the parts that other services own. */
  readonly status: () => Promise<StatusParts>
}

/** What the consumer of the documents topics needs. */
export interface ConsumerDeps extends CommonDeps {
  readonly parsePool: ParsePool
  /** Hash of the parser, chunker and embedder settings: chunks of another build are other chunks. */
  readonly build: string
  /** Consumer group. */
  readonly group: string
}

export interface ConnectorLimits {
  readonly maxDocumentBytes: number
  /** Hosts that an https `uri` may name. */
  readonly uriHosts: readonly string[]
  /** A part of `chunks` is at most so long; default `MAX_INLINE_BYTES`. */
  readonly maxPartBytes?: number
}

export interface StatusParts {
  readonly lag: Readonly<Record<'connector' | 'embedder' | 'evaluator', number>>
  readonly embedder: string
  readonly generator: string
  readonly index: string
}
