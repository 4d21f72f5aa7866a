import { systemClock } from '@aquifer/runtime/clock'
import { eventually, newDataDir, removeDataDir, request, startServer } from '@aquifer/test/server'
import type { Server } from '@aquifer/test/server'
import { readFolder } from './data.ts'
import { memoryMiB, metric, scrape } from './process-figures.ts'

/**
 * What stays resident while text goes through the whole system, with the lexical embedder, so that it is a matter of minutes: a
 * live set of documents is replaced again and again, every chunk of it altered.
 *
 *   node bench/memory.ts [MB of text, 1000 unless told]
 */
const wantedBytes = Number(process.argv[2] ?? 1000) * 1e6
/** Copies of the corpus that live at once: some 10 MB. */
const COPIES = 8
/** Files that make one document: a gigabyte of small ones would take an hour. */
const FILES_PER_DOCUMENT = 10
const REPORT_BYTES = 20e6
const POLL_MS = 250
const DEADLINE_MS = 900_000

const files = readFolder('corpus_md')
const corpus = Array.from({ length: Math.ceil(files.length / FILES_PER_DOCUMENT) }, (_, i) => {
  const own = files.slice(i * FILES_PER_DOCUMENT, (i + 1) * FILES_PER_DOCUMENT)
  return { name: `part-${i}.md`, text: own.map(({ bytes }) => bytes.toString()).join('\n\n') }
})

/** A word of this pass in every line of prose, so that no text and no vector is as it was. */
function alter(text: string, pass: string): string {
  return text
    .split('\n')
    .map((line, i) => (/\w{3}[^|`>{}]*$/.test(line) ? `${line} pass${pass}line${i}` : line))
    .join('\n')
}

/** Publishes one copy of the corpus and waits until all of it is visible. Returns its bytes. */
async function replace(server: Server, copy: number, pass: number): Promise<number> {
  let sizeBytes = 0
  const lines = corpus.map(({ name, text }) => {
    const content = alter(text, `${pass}x${copy}`)
    sizeBytes += Buffer.byteLength(content)
    return JSON.stringify({ id: `${copy}/${name}`, content, contentType: 'text/markdown' })
  })
  const headers = { 'Content-Type': 'application/x-ndjson' }
  const { body } = await request<string>(server, 'POST', '/v1/documents/bulk', {
    raw: lines.join('\n'),
    headers,
  })
  const refused = body.split('\n').find((line) => line.includes('"error"'))
  if (refused) throw new Error(refused)
  await eventually(
    'the copy is visible',
    async () => {
      const now = await request<{ documents: Record<string, number>; lag: Record<string, number> }>(
        server,
        'GET',
        '/v1/status',
      )
      const { documents, lag } = now.body
      if (documents['queued'] === 0 && lag['connector'] === 0 && lag['embedder'] === 0) return true
      await systemClock.sleep(POLL_MS)
      return null
    },
    DEADLINE_MS,
  )
  return sizeBytes
}

const dataDir = await newDataDir()
const server = await startServer(dataDir, { AQUIFER_EMBEDDER: 'lexical:', AQUIFER_SAMPLE_RATE: '0' })
try {
  let done = 0
  let told = 0
  const started = performance.now()
  for (let pass = 0; done < wantedBytes; pass++) {
    for (let copy = 0; copy < COPIES; copy++) done += await replace(server, copy, pass)
    if (done - told < REPORT_BYTES) continue
    told = done
    const { resident, peak } = memoryMiB(server.process.pid!)
    const text = await scrape(server)
    const heap = metric(text, 'nodejs_heap_size_used_bytes') / 2 ** 20
    const seconds = (performance.now() - started) / 1000
    console.log(
      `${(done / 1e6).toFixed(0)} MB in ${seconds.toFixed(0)} s: resident ${resident.toFixed(0)} MiB, peak ${peak.toFixed(0)}, main thread's heap ${heap.toFixed(0)}`,
    )
  }
} finally {
  await server.kill('SIGTERM')
  await removeDataDir(dataDir)
}
