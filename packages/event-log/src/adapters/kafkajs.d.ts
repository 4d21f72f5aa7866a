/**
 * What of kafkajs 2.2.4 the adapter stands on, below its consumer and producer (docs/decisions/2026-11-21-kafka-client.md
 * says why). The version is pinned, and the library is no longer developed.
 */
declare module 'kafkajs/src/cluster/index.js' {
  import type { Logger } from 'kafkajs/src/loggers/index.js'

  import type Encoder from 'kafkajs/src/protocol/encoder.js'

  export interface ApiCall<T> {
    readonly request: {
      readonly apiKey: number
      readonly apiVersion: number
      readonly apiName: string
      encode(): Promise<Encoder>
    }
    /** `parse` throws the first error that it finds in what was decoded. */
    readonly response: { decode(data: Buffer): Promise<unknown>; parse(decoded: unknown): Promise<T> }
    readonly requestTimeout?: number
  }
  export interface Connection {
    socket?: { readonly destroyed: boolean; destroy(): void }
    /** While it logs in. */
    readonly authHandlers: { onError(): void } | null
    connect: () => Promise<unknown>
    disconnect: () => Promise<unknown>
    rejectRequests(error: Error): void
  }
  export interface ConnectionPool {
    /** The second one is for Fetch alone, which may wait for records. */
    readonly pool: readonly Connection[]
    send<T>(call: ApiCall<T>): Promise<T>
  }
  export interface GroupProtocol {
    readonly name: string
    readonly metadata: Buffer
  }
  export interface PartitionMetadata {
    readonly partitionId: number
    readonly leader: number
  }
  export interface Broker {
    readonly connectionPool: ConnectionPool
    metadata(topics: readonly string[]): Promise<Metadata>
    initProducerId(request: {
      transactionalId: null
      transactionTimeout: number
    }): Promise<{ producerId: string; producerEpoch: number }>
    listOffsets(request: {
      replicaId: number
      isolationLevel: number
      topics: readonly { topic: string; partitions: readonly { partition: number; timestamp: number }[] }[]
    }): Promise<{ responses: readonly { partitions: readonly { partition: number; offset: string }[] }[] }>
    createTopics(request: {
      topics: readonly {
        topic: string
        numPartitions: number
        replicationFactor: number
        configEntries: readonly { name: string; value: string }[]
      }[]
      timeout: number
    }): Promise<unknown>
    describeConfigs(request: {
      resources: readonly { type: number; name: string; configNames: readonly string[] }[]
    }): Promise<{
      resources: readonly {
        resourceName: string
        configEntries: readonly { configName: string; configValue: string }[]
      }[]
    }>
    syncGroup(request: {
      groupId: string
      memberId: string
      generationId: number
      groupAssignment: readonly { memberId: string; memberAssignment: Buffer }[]
    }): Promise<{ memberAssignment: Buffer }>
    heartbeat(request: { groupId: string; memberId: string; groupGenerationId: number }): Promise<unknown>
    leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>
    offsetCommit(request: {
      groupId: string
      memberId: string
      groupGenerationId: number
      topics: readonly { topic: string; partitions: readonly { partition: number; offset: string }[] }[]
    }): Promise<unknown>
    offsetFetch(request: {
      groupId: string
      topics: readonly { topic: string; partitions: readonly { partition: number }[] }[]
    }): Promise<{ responses: readonly { partitions: readonly { partition: number; offset: string }[] }[] }>
  }
  export interface Produced {
    readonly topics: readonly {
      readonly partitions: readonly {
        readonly partition: number
        readonly baseOffset: string
        readonly logAppendTime: string
      }[]
    }[]
  }
  export interface Message {
    readonly key: Buffer | null
    readonly value: Buffer | null
    readonly headers: Readonly<Record<string, Buffer>>
  }
  export interface Metadata {
    readonly controllerId: number
    readonly topicMetadata: readonly {
      readonly topicErrorCode: number
      readonly topic: string
      readonly partitionMetadata: readonly PartitionMetadata[]
    }[]
  }
  export interface BrokerPool {
    createBroker: (options: unknown) => Broker
    readonly brokers: Readonly<Record<string, Broker>>
    readonly seedBroker?: Broker
    readonly metadata: Metadata | null
    /** Asks for those topics, and learns which brokers there are. */
    refreshMetadata(topics: readonly string[]): Promise<void>
  }
  export interface ClusterOptions {
    readonly logger: Logger
    readonly socketFactory: unknown
    readonly brokers: readonly string[]
    readonly clientId: string
    readonly ssl: object | null
    readonly sasl: object | null
    readonly connectionTimeout: number
    readonly authenticationTimeout: number
    readonly requestTimeout: number
    readonly metadataMaxAge: number
    readonly allowAutoTopicCreation: boolean
    readonly retry: {
      readonly retries: number
      readonly initialRetryTime: number
      readonly maxRetryTime: number
    }
  }
  export default class Cluster {
    constructor(options: ClusterOptions)
    readonly brokerPool: BrokerPool
    connect(): Promise<void>
    disconnect(): Promise<void>
    findBroker(of: { nodeId: string }): Promise<Broker>
    findGroupCoordinator(of: { groupId: string }): Promise<Broker>
  }
}

declare module 'kafkajs/src/loggers/index.js' {
  export interface Logger {
    namespace(name: string): Logger
  }
  const loggers: {
    readonly LEVELS: { readonly WARN: number; readonly ERROR: number }
    createLogger(options: {
      level: number
      logCreator: (
        level: number,
      ) => (entry: {
        level: number
        namespace: string
        log: { message: string } & Record<string, unknown>
      }) => void
    }): Logger
  }
  export default loggers
}

declare module 'kafkajs/src/network/socketFactory.js' {
  export default function createSocketFactory(): unknown
}

declare module 'kafkajs/src/network/requestQueue/index.js' {
  export default class RequestQueue {
    pending: readonly unknown[]
    throttledUntil: number
    scheduleCheckPendingRequests: (this: RequestQueue) => void
  }
}

declare module 'kafkajs/src/protocol/requests/index.js' {
  import type { ApiCall, GroupProtocol, Metadata, Produced } from 'kafkajs/src/cluster/index.js'

  const protocol: {
    readonly requests: {
      readonly Metadata: {
        protocol(of: { version: 6 }): (request: { topics: readonly string[] }) => ApiCall<Metadata>
      }
      readonly JoinGroup: {
        protocol(of: { version: 5 }): (request: {
          groupId: string
          memberId: string
          sessionTimeout: number
          rebalanceTimeout: number
          protocolType: string
          groupProtocols: readonly GroupProtocol[]
        }) => ApiCall<{
          memberId: string
          leaderId: string
          generationId: number
          members: readonly { memberId: string; memberMetadata: Buffer }[]
        }>
      }
      readonly Produce: {
        protocol(of: { version: 7 }): (request: { topicData: readonly [] }) => ApiCall<Produced>
      }
      readonly Fetch: {
        protocol(of: { version: 11 }): (request: {
          isolationLevel: number
          maxWaitTime: number
          minBytes: number
          maxBytes: number
          topics: readonly {
            topic: string
            partitions: readonly { partition: number; fetchOffset: string; maxBytes: number }[]
          }[]
        }) => ApiCall<unknown>
      }
    }
  }
  export default protocol
}

declare module 'kafkajs/src/protocol/encoder.js' {
  export default class Encoder {
    writeArray(values: readonly (string | Encoder)[]): this
    writeBoolean(value: boolean): this
    writeEncoder(value: Encoder): this
    writeInt16(value: number): this
    writeInt32(value: number): this
    writeString(value: string | null): this
    size(): number
  }
}

declare module 'kafkajs/src/protocol/decoder.js' {
  export default class Decoder {
    constructor(buffer: Buffer)
    offset: number
    readonly buffer: Buffer
    readInt16(): number
    readInt32(): number
    readInt64(): bigint
    readString(): string
    readBytes(): Buffer | null
    readArray<T>(read: (decoder: Decoder) => T): T[]
  }
}

declare module 'kafkajs/src/protocol/recordBatch/record/v0/index.js' {
  import type { Message } from 'kafkajs/src/cluster/index.js'
  import type Encoder from 'kafkajs/src/protocol/encoder.js'

  export default function encodeRecord(
    record: Message & { offsetDelta: number; timestampDelta: number },
  ): Encoder
}

declare module 'kafkajs/src/protocol/recordBatch/v0/index.js' {
  import type Encoder from 'kafkajs/src/protocol/encoder.js'

  export function RecordBatch(batch: {
    compression: number
    records: readonly Encoder[]
    firstTimestamp: number
    maxTimestamp: number
    producerId: string
    producerEpoch: number
    firstSequence: number
    lastOffsetDelta: number
  }): Promise<Encoder>
}

declare module 'kafkajs/src/protocol/recordBatch/v0/decoder.js' {
  import type Decoder from 'kafkajs/src/protocol/decoder.js'

  export interface DecodedBatch {
    readonly firstOffset: string
    readonly lastOffsetDelta: number
    readonly producerId: string
    readonly inTransaction: boolean
    readonly isControlBatch: boolean
    readonly records: readonly {
      readonly offset: string
      readonly timestamp: string
      readonly key: Buffer | null
      readonly value: Buffer | null
      readonly headers: Readonly<Record<string, unknown>>
    }[]
  }
  export default function decodeRecordBatch(decoder: Decoder): Promise<DecodedBatch>
}

declare module 'kafkajs/src/protocol/message/compression/index.js' {
  export interface Codec {
    compress(encoder: { buffer: Buffer }): Promise<Buffer>
    decompress(buffer: Buffer): Promise<Buffer>
  }
  const compression: {
    readonly Types: {
      readonly None: 0
      readonly GZIP: 1
      readonly Snappy: 2
      readonly LZ4: 3
      readonly ZSTD: 4
    }
    readonly Codecs: Record<number, () => Codec>
  }
  export default compression
}

declare module 'kafkajs/src/consumer/assignerProtocol.js' {
  const assigner: {
    readonly MemberMetadata: {
      encode(of: { version: number; topics: readonly string[]; userData: Buffer }): Buffer
      decode(buffer: Buffer): { topics: string[]; userData: Buffer | null }
    }
    readonly MemberAssignment: {
      encode(of: { version: number; assignment: Readonly<Record<string, readonly number[]>> }): Buffer
      decode(buffer: Buffer): { assignment: Record<string, number[]> } | null
    }
  }
  export default assigner
}

declare module 'kafkajs/src/protocol/error.js' {
  const errors: { createErrorFromCode(code: number): Error & { readonly type: string } }
  export default errors
}
