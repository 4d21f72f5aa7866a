import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createCodec } from '@aquifer/contracts/avro'
import type { Schemas } from '@aquifer/contracts/avro'
import { topics } from '@aquifer/contracts/topics'
import type { Chunks, Document } from '@aquifer/contracts/types'
import { createMemoryDisk, createMemoryEventLog } from '@aquifer/event-log/memory'
import type { EventLog, Headers, LogRecord, Position } from '@aquifer/event-log/port'
import { systemClock } from '@aquifer/runtime/clock'
import type { Clock } from '@aquifer/runtime/clock'
import { createLogger } from '@aquifer/runtime/logger'
import { createMetrics } from '@aquifer/runtime/metrics'
import { createTracing } from '@aquifer/runtime/tracing'
import type { Blobs } from '@aquifer/stores/blobs'
import { openFileBlobs } from '@aquifer/stores/blobs-file'
import { createDocumentFiles } from '@aquifer/stores/document-files'
import type { DocumentFiles } from '@aquifer/stores/document-files'
import type { DocumentRecord, Registry } from '@aquifer/stores/registry'
import { createMemoryRegistry } from '@aquifer/stores/registry-memory'
import type { ConsumerDeps } from './deps.ts'
import type { ParsePool } from './parse-pool.ts'
import { createConnectorService } from './service.ts'

export const TENANT = 'acme'
export const chunksCodec = createCodec('chunks')
export const documentsCodec = createCodec('documents')

/** Pauses between attempts take no time. */
export const hastyClock: Clock = {
  now: () => Date.now(),
  sleep: async (_ms, signal) => {
    await nextTurn()
    signal?.throwIfAborted()
  },
}

export interface World {
  log: EventLog
  readonly registry: Registry
  readonly blobs: Blobs
  readonly files: DocumentFiles
  /** Named writes in their order, as the probe was told. */
  readonly writes: string[]
  /** Starts the service; `wrap` stands before a store. */
  start(options: StartOptions): Promise<void>
  /** Opens the log anew, as after the death of the process: what ran on it can do nothing any more. */
  crash(): void
  send(topic: string, id: string, value: Buffer | object | null, headers?: Headers): Promise<Position>
  /** All records of a topic, partition by partition. */
  read(topic: string): Promise<LogRecord[]>
  chunksOf(id: string, topic?: string): Promise<(Chunks | null)[]>
  record(id: string): Promise<DocumentRecord | undefined>
  /** Everything appended so far is committed. */
  settled(): Promise<void>
  close(): Promise<void>
}

export interface StartOptions {
  readonly parsePool: ParsePool
  readonly registry?: (registry: Registry) => Registry
  readonly blobs?: (blobs: Blobs) => Blobs
  readonly schemas?: Schemas
  readonly limits?: Partial<ConsumerDeps['limits']>
  readonly onWrite?: (write: string) => void
}

export async function until(what: string, probe: () => Promise<boolean>, withinMs = 20_000): Promise<void> {
  const deadline = Date.now() + withinMs
  while (!(await probe())) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`)
    await nextTurn()
  }
}

export async function createWorld(): Promise<World> {
  const dir = await mkdtemp(join(tmpdir(), 'aquifer-connector-'))
  const disk = createMemoryDisk()
  const openLog = () => createMemoryEventLog({ clock: systemClock, maintainEveryMs: null, disk })
  const registry = createMemoryRegistry()
  const blobs = await openFileBlobs({ path: dir })
  const writes: string[] = []
  const stops: (() => Promise<void>)[] = []
  const world: World = {
    log: openLog(),
    registry,
    blobs,
    files: createDocumentFiles(blobs),
    writes,
    async start({ parsePool, onWrite, limits, schemas, ...wrap }) {
      const usedBlobs = wrap.blobs?.(blobs) ?? blobs
      const service = createConnectorService({
        log: world.log,
        ...(schemas && { schemas }),
        registry: wrap.registry?.(registry) ?? registry,
        blobs: usedBlobs,
        files: createDocumentFiles(usedBlobs),
        limits: { maxDocumentBytes: 8 * 1024 * 1024, uriHosts: [], ...limits },
        clock: {
          ...hastyClock,
          sleep: (ms, signal) => (ms > 60_000 ? systemClock : hastyClock).sleep(ms, signal),
        },
        random: () => 0,
        uuid: () => crypto.randomUUID(),
        logger: createLogger('silent', 'test'),
        metrics: createMetrics(),
        tracing: createTracing(),
        probe: (write, id) => {
          writes.push(`${write} ${id}`)
          onWrite?.(write)
        },
        parsePool,
        build: 'build-1',
        group: 'connector',
      })
      await service.start()
      stops.push(() => service.stop())
    },
    crash() {
      const dead = world.log
      world.log = openLog()
      stops.push(async () => await dead.close().catch(() => {}))
    },
    async send(topic, id, value, headers = {}) {
      const bytes = value === null || Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value))
      const [position] = await world.log.append(topic, [{ key: `${TENANT}/${id}`, value: bytes, headers }])
      return position!
    },
    async read(topic) {
      const partitions = await world.log.offsets(topic)
      const all = partitions.map(({ partition, earliest }) =>
        world.log.read(topic, partition, earliest, 1000),
      )
      return (await Promise.all(all)).flat()
    },
    async chunksOf(id, topic = topics.chunks.name) {
      const records = await world.read(topic)
      return records
        .filter(({ key }) => key?.toString() === `${TENANT}/${id}`)
        .map(({ value }) => value && chunksCodec.decode(value))
    },
    record: async (id) => (await registry.lookUp(TENANT, [id])).get(id),
    async settled() {
      const sources = [topics.documents.name, topics.documentsBulk.name, topics.documentsRetry.name]
      await until('the connector has read everything', async () => {
        const lags = await Promise.all(sources.map((topic) => world.log.lag('connector', topic)))
        return lags.every((lag) => lag === 0)
      })
    },
    async close() {
      for (const stop of stops.reverse()) await stop()
      await world.log.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
  await world.log.ensureTopics(Object.values(topics).map((topic) => Object.assign({ partitions: 2 }, topic)))
  return world
}

export function avroDocument(id: string, content: string, more: Partial<Document> = {}): Buffer {
  return documentsCodec.encode({
    id,
    content: Buffer.from(content),
    blob: null,
    contentType: 'text/plain',
    filename: null,
    title: null,
    metadata: {},
    access: null,
    open: false,
    publishedAt: 1,
    ...more,
  })
}

/** Id, version, text, content type and filename. */
export type ShownVersion = [
  id: string,
  version: string,
  text: string,
  contentType?: string,
  filename?: string | null,
]

/** Makes a version visible, as the embedder would. */
export async function showVersion(
  { files, registry }: { files: DocumentFiles; registry: Registry },
  ...[id, version, text, contentType = 'text/plain', filename = null]: ShownVersion
): Promise<void> {
  const key = { tenant: TENANT, documentId: id, version }
  await files.putSource(key, { bytes: Buffer.from(text), upload: null, contentType, filename })
  await files.putText(key, text)
  await registry.flip(TENANT, id, {
    version,
    build: 'b',
    chunks: 1,
    title: null,
    contentType,
    access: null,
    metadata: {},
    guard: [],
    language: null,
    fingerprint: null,
    publishedAt: 0,
    indexedAt: 0,
  })
}
