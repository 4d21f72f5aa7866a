import { EventEmitter, once } from 'node:events'
import { join } from 'node:path'
import { createParsePool } from '@aquifer/connector/parse-pool'
import { topics } from '@aquifer/contracts/topics'
import { openKafkaEventLog } from '@aquifer/event-log/kafka'
import { startKafka } from '@aquifer/infra/kafka'
import { PartMissing } from '@aquifer/infra/part'
import { startTestPart } from '@aquifer/infra/test-part'
import type { Passage } from '@aquifer/models/embedder'
import { openEmbedder } from '@aquifer/models/open'
import { systemClock } from '@aquifer/runtime/clock'
import { newDataDir, publish, removeDataDir, request, search, startServer } from '@aquifer/test/server'
import type { Server } from '@aquifer/test/server'
import { passageContext } from '@aquifer/text/passage'
import type { Bench } from '../comparison.ts'
import { readFolder } from '../data.ts'
import type { DataFile } from '../data.ts'
import { apart } from '../cores.ts'
import { openEmbedderAlone } from '../embedder-alone.ts'
import { cpuByThread, cpuSince } from '../process-figures.ts'

const EMBEDDER = 'onnx:all-MiniLM-L6-v2'
/** Every so many documents of the corpus: some 0.6 MB, so that five rounds take minutes. */
const CORPUS_SHARE = 2
const SMOKE_DOCUMENTS = 3
const DEADLINE_MS = 300_000

/** What the embedder is given of the documents. */
async function passagesOf(sources: readonly DataFile[], dataDir: string): Promise<Passage[]> {
  const embedder = await openEmbedder(EMBEDDER, { dataDir, env: process.env })
  const parser = createParsePool({ tokenizerPath: embedder.tokenizerPath })
  try {
    const passages: Passage[] = []
    for (const { bytes } of sources) {
      const input = { bytes, contentType: 'text/markdown', filename: null, title: null }
      const { title, chunks } = await parser.parse(input)
      for (const { headings, text } of chunks) {
        const context = passageContext(title, headings)
        passages.push({ text: context + text, contextLength: context.length })
      }
    }
    return passages
  } finally {
    await parser.close()
    await embedder.close()
  }
}

async function indexed(server: Server): Promise<number> {
  const { body } = await request<{ documents: Record<string, number> }>(server, 'GET', '/v1/status')
  const { indexed: count = 0, failed = 0, quarantined = 0 } = body.documents
  if (failed + quarantined > 0) throw new Error(`${failed} failed, ${quarantined} quarantined`)
  return count
}

/**
 * Plain JSON on Kafka's bulk topic until the last document is visible, beside the embedder alone on the same passages and cores; the
 * broker and the publisher have a core of their own.
 */
export const ingestion: Bench = {
  rows: [
    {
      name: 'ingestion',
      title: 'ingestion, Kafka to visible, beside the embedder alone on the same cores',
      unit: 'chunks/s',
      better: 'more',
      goal: 0.9,
      limit:
        'CPU: the model alone fills every core, so that whatever else a document needs is paid in chunks.',
    },
  ],
  async open(options) {
    const { smoke } = options
    const corpus = readFolder('corpus_md').filter((_, i) => i % CORPUS_SHARE === 0)
    const sources = smoke ? corpus.slice(0, SMOKE_DOCUMENTS) : corpus
    const dataDir = await newDataDir()
    const cores = apart(options.say)
    const threads = { AQUIFER_EMBED_THREADS: String(cores.count) }
    const [started, passages, alone] = await Promise.all([
      startTestPart('kafka', startKafka),
      passagesOf(sources, dataDir),
      openEmbedderAlone(EMBEDDER, dataDir, threads),
    ])
    if ('missing' in started) {
      await alone.close()
      cores.close()
      throw new PartMissing(started.missing)
    }
    const { part: kafka, stop: stopKafka } = started
    const server = await startServer(join(dataDir, 'server'), {
      AQUIFER_EVENT_LOG: kafka.url,
      AQUIFER_SAMPLE_RATE: '0',
      ...threads,
    })
    for (const pid of [server.process.pid!, alone.pid]) cores.give(pid)
    const log = await openKafkaEventLog({ url: kafka.url, clock: systemClock })
    const after = await publish(server, 'first', '# Warm\n\nA first document.')
    await search(server, 'first', { after, timeoutMs: 30_000 })
    const bytes = sources.reduce((sum, source) => sum + source.bytes.length, 0)
    options.say(`  ${sources.length} documents, ${(bytes / 1e6).toFixed(2)} MB, ${passages.length} chunks`)

    // The topic that is told of each document once it is visible: to listen there puts nothing on the server.
    const told = Object.assign(new EventEmitter(), { count: 0 })
    await log.subscribe(
      { group: 'bench', topics: [topics.indexed.name], onError: (error) => told.emit('error', error) },
      async (batch) => {
        told.count += batch.records.length
        told.emit('more')
        await batch.commit(batch.records.at(-1)!.offset)
      },
    )
    const untilTold = async (count: number, signal: AbortSignal): Promise<void> => {
      while (told.count < count) await once(told, 'more', { signal })
    }
    await untilTold(1, AbortSignal.timeout(DEADLINE_MS))

    /** Seconds until all of them are visible, under ids of their own, so that no vector is there already. */
    async function ingest(name: string): Promise<number> {
      const before = await indexed(server)
      const wanted = told.count + sources.length
      const records = sources.map((source) => ({
        key: `default/${name}/${source.name}`,
        value: Buffer.from(
          JSON.stringify({ content: source.bytes.toString(), contentType: 'text/markdown' }),
        ),
      }))
      const cpu = cpuByThread(server.process.pid!)
      const began = performance.now()
      await log.append(topics.documentsBulk.name, records)
      await untilTold(wanted, AbortSignal.timeout(DEADLINE_MS))
      const seconds = (performance.now() - began) / 1000
      const visible = (await indexed(server)) - before
      if (visible !== sources.length) throw new Error(`${visible} of ${sources.length} are visible`)
      const spent = cpuSince(server.process.pid!, cpu)
      options.say(`  ${spent.cpuSeconds.toFixed(1)} s of CPU: ${spent.cpu}`)
      return seconds
    }

    if (!smoke) await ingest('warm')
    await alone.measure(passages.slice(0, 64))
    return {
      ours: {
        name: 'Aquifer',
        run: async (round) => ({ ingestion: passages.length / (await ingest(`round-${round}`)) }),
      },
      peers: [
        {
          name: 'the embedder alone',
          run: async () => ({ ingestion: passages.length / (await alone.measure(passages)) }),
        },
      ],
      async close() {
        await alone.close()
        await log.close()
        await server.kill('SIGTERM')
        await stopKafka()
        await removeDataDir(dataDir)
        cores.close()
      },
    }
  },
}
