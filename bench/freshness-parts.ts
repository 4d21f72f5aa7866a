import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createParsePool } from '@aquifer/connector/parse-pool'
import { createCodec } from '@aquifer/contracts/avro'
import { topics } from '@aquifer/contracts/topics'
import type { Batch, EventLog } from '@aquifer/event-log/port'
import { createSqliteEventLog } from '@aquifer/event-log/sqlite'
import { openEmbedder } from '@aquifer/models/open'
import { systemClock } from '@aquifer/runtime/clock'
import { openDatabase } from '@aquifer/runtime/sqlite'
import { openFileBlobs } from '@aquifer/stores/blobs-file'
import { createDocumentFiles } from '@aquifer/stores/document-files'
import { openLanceDb } from '@aquifer/stores/lancedb'
import type { Attempt } from '@aquifer/stores/registry'
import { createSqliteRegistry, registrySchema } from '@aquifer/stores/registry-sqlite'
import { passageContext } from '@aquifer/text/passage'
import { terms } from '@aquifer/text/terms'

const TENANT = 'default'
const BUILD = 'bench'

/** The parts of a document's way from its record on the log to its being visible, each by itself, on stores of their own. */
export interface FreshnessParts {
  /** Milliseconds of each part. */
  measure(id: string, text: string): Promise<Record<string, number>>
  close(): Promise<void>
}

export async function openFreshnessParts(embedderUrl: string, dir: string): Promise<FreshnessParts> {
  await mkdir(dir, { recursive: true })
  const clock = systemClock
  const log = createSqliteEventLog({ path: join(dir, 'log.db'), clock })
  const embedder = await openEmbedder(embedderUrl, { dataDir: dir, env: process.env })
  const parser = createParsePool({ tokenizerPath: embedder.tokenizerPath })
  const database = openDatabase({ path: join(dir, 'registry.db'), schema: registrySchema, survives: 'kill' })
  const registry = createSqliteRegistry(database)
  const files = createDocumentFiles(await openFileBlobs({ path: join(dir, 'blobs') }))
  const admin = await openLanceDb({ path: join(dir, 'vectors'), clock, onUpkeepFailure: () => {} })
  const { fingerprint, dimensions } = embedder
  const index = await admin.open({ fingerprint, dimensions })
  const codec = createCodec('chunks')
  const delivered = await subscribeBoth(log)

  return {
    async measure(id, text) {
      const took: Record<string, number> = {}
      async function timed<T>(part: string, step: () => Promise<T>): Promise<T> {
        const started = performance.now()
        const result = await step()
        took[part] = performance.now() - started
        return result
      }
      const key = `${TENANT}/${id}`
      const bytes = Buffer.from(text)
      // What is appended is part of the answer to its publisher.
      await log.append(topics.documents.name, [{ key, value: bytes }])
      const record = await timed('fetch', delivered)
      const version = `${String(record.appendTimeMs).padStart(13, '0')}-${id}`
      const about = { version, title: null, contentType: 'text/markdown', access: null, publishedAt: 0 }
      const attempt: Attempt = { ...about, state: 'queued' }
      await timed('attempt', () => registry.recordAttempt(TENANT, id, attempt))
      const place = { tenant: TENANT, documentId: id, version }
      const meta = { contentType: 'text/markdown', filename: null, upload: null }
      await timed('source', () => files.putSource(place, { ...meta, bytes }))
      const parsed = await timed('parse', () =>
        parser.parse({ bytes, contentType: 'text/markdown', filename: null, title: null }),
      )
      const { chunks, title } = parsed
      await timed('text', () => files.putText(place, parsed.text))
      const { language, fingerprint: near } = parsed
      const document = { ...about, title, build: BUILD, metadata: {}, guard: [], language, fingerprint: near }
      const value = codec.encode({ ...document, totalChunks: chunks.length, part: 0, parts: 1, chunks })
      await timed('append', () => log.append(topics.chunks.name, [{ key, value }]))
      await timed('fetch chunks', delivered)
      const passages = chunks.map((chunk) => {
        const context = passageContext(title, chunk.headings)
        return { text: context + chunk.text, contextLength: context.length }
      })
      const embedded = await timed('embed', () =>
        embedder.embed(passages, { lane: 'interactive', words: 'bits' }),
      )
      const points = chunks.map((chunk, i) => ({
        ...chunk,
        ...place,
        id: `${id}/${chunk.index}`,
        build: BUILD,
        title,
        access: null,
        metadata: {},
        terms: terms(chunk.text),
        vector: embedded[i]!.vector,
        wordBits: embedded[i]!.words!.bits!,
      }))
      await timed('index', () => index.upsert(points))
      await timed('flip', () =>
        registry.flip(TENANT, id, { ...document, chunks: chunks.length, indexedAt: clock.now() }),
      )
      return took
    },
    async close() {
      await index.close()
      await admin.close()
      await log.close()
      await parser.close()
      await embedder.close()
      await database.close()
    },
  }
}

/** Waits for the next record of either topic. */
async function subscribeBoth(log: EventLog): Promise<() => Promise<{ appendTimeMs: number }>> {
  const both = [topics.documents, topics.chunks]
  await log.ensureTopics(both.map((topic) => ({ ...topic, partitions: 4 })))
  const waiting: Batch[] = []
  let wake = () => {}
  const names = both.map(({ name }) => name)
  await log.subscribe({ group: 'bench', topics: names, maxBatchRecords: 1 }, async (batch) => {
    waiting.push(batch)
    wake()
    await batch.commit(batch.records.at(-1)!.offset)
  })
  return async () => {
    while (waiting.length === 0) await new Promise<void>((resolve) => (wake = resolve))
    return waiting.shift()!.records[0]!
  }
}
