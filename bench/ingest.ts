import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { systemClock } from '@aquifer/runtime/clock'
import {
  eventually,
  newDataDir,
  publish,
  removeDataDir,
  request,
  search,
  startServer,
} from '@aquifer/test/server'
import type { Server } from '@aquifer/test/server'
import { readFolder } from './data.ts'
import { memoryMiB, metric, scrape } from './process-figures.ts'
import { mean, quantile } from './statistics.ts'

/**
 * A real documentation corpus through the door into the index, then again and again with every chunk altered, with searches and urgent
 * edits meanwhile. Its rate beside the embedder alone is the row `ingestion` of `pnpm bench`.
 *
 *   node bench/ingest.ts [--passes 3] [--quick N]     N: the first N documents
 *
 * BENCH_NODE_OPTIONS goes to the server as NODE_OPTIONS, `--cpu-prof --cpu-prof-dir=…` for one.
 */
interface Source {
  readonly id: string
  readonly text: string
}
interface Progress {
  readonly documents: Record<string, number>
  readonly lag: Record<string, number>
}

const { quick, passes } = parseArgs({
  options: { quick: { type: 'string' }, passes: { type: 'string', default: '3' } },
}).values
const ALTERED_PASSES = Number(passes)
const POLL_MS = 250
/** A small document that everybody waits for. */
const EDITED = 'bench/edited'
const EDITS_PER_PASS = 5
const SEARCH_PAUSE_MS = 200
const SETTLE_MS = 6_000

const sleep = async (ms: number) => await systemClock.sleep(ms)
const load = () => `(load average ${loadavg()[0]!.toFixed(1)})`

function readCorpus(): Source[] {
  const files = readFolder('corpus_md').map(({ name, bytes }) => ({ id: name, text: bytes.toString() }))
  return files.slice(0, quick === undefined ? files.length : Number(quick))
}

/** A word of this pass in every line of prose, so that no text and no vector is as it was. */
function alter(text: string, pass: number): string {
  return text
    .split('\n')
    .map((line, i) => (/\w{3}[^|`>{}]*$/.test(line) ? `${line} pass${pass}line${i}` : line))
    .join('\n')
}

function start(dataDir: string): Promise<Server> {
  return startServer(dataDir, {
    MALLOC_ARENA_MAX: '2',
    AQUIFER_SAMPLE_RATE: '0',
    ...(process.env['BENCH_NODE_OPTIONS'] ? { NODE_OPTIONS: process.env['BENCH_NODE_OPTIONS'] } : {}),
  })
}

const progress = async (server: Server) => (await request<Progress>(server, 'GET', '/v1/status')).body

async function settled(server: Server, deadlineMs = 900_000): Promise<Progress> {
  return await eventually(
    'everything is indexed',
    async () => {
      const now = await progress(server)
      if (now.documents['queued'] === 0 && now.lag['connector'] === 0 && now.lag['embedder'] === 0) return now
      await sleep(POLL_MS)
      return null
    },
    deadlineMs,
  )
}

/** The model, the parser and the index have been used once. */
async function warmUp(server: Server): Promise<void> {
  const after = await publish(server, EDITED, '# Warm\n\nA first document.')
  await search(server, 'first', { after, timeoutMs: 30_000 })
}

interface Loaded {
  readonly seconds: number
  readonly chunks: number
  readonly reused: number
}

/** Publishes in bulk and waits until the last document is visible. `title` makes every context a new one too. */
async function ingest(server: Server, sources: readonly Source[], title?: string): Promise<Loaded> {
  const before = await scrape(server)
  const raw = sources
    .map(({ id, text }) =>
      JSON.stringify({ id, content: text, contentType: 'text/markdown', ...(title ? { title } : {}) }),
    )
    .join('\n')
  const started = performance.now()
  const { body } = await request<string>(server, 'POST', '/v1/documents/bulk', {
    raw,
    headers: { 'Content-Type': 'application/x-ndjson' },
  })
  const refused = body.split('\n').filter((line) => line.includes('"error"'))
  for (const line of refused) console.log(`refused: ${line}`)
  await settled(server)
  const seconds = (performance.now() - started) / 1000
  const after = await scrape(server)
  const grown = (vector: string) =>
    metric(after, 'aquifer_chunks_total', { vector }) - metric(before, 'aquifer_chunks_total', { vector })
  return {
    seconds,
    chunks: grown('embedded') + grown('reused'),
    reused: grown('reused'),
  }
}

async function printStates(server: Server): Promise<void> {
  const { documents } = await progress(server)
  console.log(`documents ${JSON.stringify(documents)}`)
  for (const state of ['failed', 'quarantined']) {
    if (!documents[state]) continue
    const { body } = await request<{ documents: { id: string; latest: { error?: { code: string } } }[] }>(
      server,
      'GET',
      `/v1/documents?state=${state}&limit=100`,
    )
    for (const { id, latest } of body.documents) console.log(`  ${state}: ${id} ${latest.error?.code}`)
  }
}

const QUERIES = [
  'how do I configure replication?',
  'streaming text from a language model',
  'sorted sets',
  'vector similarity search index',
  'what does the eviction policy do',
  'tool calling with a provider',
  'persistence snapshots append only file',
  'client library for Python',
]

/** Milliseconds of searches, one after the other, until `signal` or `count` ends them. */
async function searches(
  server: Server,
  options: { count?: number; pauseMs?: number; signal?: AbortSignal },
): Promise<number[]> {
  const times: number[] = []
  const { count = Number.POSITIVE_INFINITY, pauseMs = 0, signal } = options
  while (times.length < count) {
    if (signal?.aborted) break
    const started = performance.now()
    await search(server, QUERIES[times.length % QUERIES.length]!)
    times.push(performance.now() - started)
    if (pauseMs > 0) await sleep(pauseMs)
  }
  return times
}

let edits = 0
/** Milliseconds from the beginning of the PUT to the answer of a search that shows it. */
async function urgentEdit(server: Server): Promise<number> {
  const word = `urgentword${++edits}`
  const started = performance.now()
  const after = await publish(server, EDITED, `# Edited\n\nThis line says ${word} and no more.`)
  const accepted = performance.now() - started
  const { hits, fresh } = await search(server, word, { after, timeoutMs: 30_000 })
  const ms = performance.now() - started
  if (!fresh || !hits.some(({ text }) => text.includes(word))) throw new Error(`${word} was not found`)
  console.log(
    `  urgent edit ${edits}: accepted in ${accepted.toFixed(0)} ms, searchable in ${ms.toFixed(0)} ms (goal < 5000)`,
  )
  return ms
}

/** The worst of each second that the event loop was late, ms. */
async function watchLag(server: Server, signal: AbortSignal): Promise<{ p99: number[]; max: number[] }> {
  const seen = { p99: [] as number[], max: [] as number[] }
  for (;;) {
    if (signal.aborted) break
    const text = await scrape(server)
    seen.p99.push(metric(text, 'nodejs_eventloop_lag_p99_seconds') * 1000)
    seen.max.push(metric(text, 'nodejs_eventloop_lag_max_seconds') * 1000)
    await sleep(1000)
  }
  // The first covers the time before.
  return { p99: seen.p99.slice(1), max: seen.max.slice(1) }
}

/** MiB that are resident once background work is over, beside those of the main thread's heap. */
async function residentAfter(server: Server, what: string): Promise<number> {
  await sleep(SETTLE_MS)
  const { resident } = memoryMiB(server.process.pid!)
  const text = await scrape(server)
  const shown = ['heap_size_used', 'heap_size_total', 'external_memory'].map(
    (name) => `${name} ${(metric(text, `nodejs_${name}_bytes`) / 2 ** 20).toFixed(0)}`,
  )
  console.log(`resident after ${what}: ${resident.toFixed(0)} MiB (main thread: ${shown.join(', ')})`)
  return resident
}

async function underLoad(corpus: readonly Source[]): Promise<void> {
  const dataDir = await newDataDir()
  const server = await start(dataDir)
  try {
    await warmUp(server)
    const first = await ingest(server, corpus)
    const quiet = await searches(server, { count: 100 })
    console.log(
      `search ms after loading: p50 ${quantile(quiet, 0.5).toFixed(1)}  p95 ${quantile(quiet, 0.95).toFixed(1)} ${load()}`,
    )
    const resident = [await residentAfter(server, 'the first pass')]
    const editTimes: number[] = []
    for (let pass = 1; pass <= ALTERED_PASSES; pass++) {
      const over = new AbortController()
      const searching = searches(server, { pauseMs: SEARCH_PAUSE_MS, signal: over.signal })
      const lag = watchLag(server, over.signal)
      const editing = (async () => {
        for (let i = 0; i < EDITS_PER_PASS; i++) {
          await sleep((first.seconds * 1000) / (EDITS_PER_PASS + 1))
          editTimes.push(await urgentEdit(server))
        }
      })()
      const altered = corpus.map(({ id, text }) => ({ id, text: alter(text, pass) }))
      const { seconds, chunks, reused } = await ingest(server, altered, `pass ${pass}`)
      over.abort()
      const [times, { p99, max }] = await Promise.all([searching, lag, editing])
      console.log(
        `altered pass ${pass}: ${chunks} chunks (${reused} re-used) in ${seconds.toFixed(1)} s ${load()}; search ms meanwhile: ` +
          `p50 ${quantile(times, 0.5).toFixed(1)}  p95 ${quantile(times, 0.95).toFixed(1)} (${times.length}); ` +
          `event loop lag ms: p99 ${mean(p99).toFixed(0)}, worst ${Math.max(...max).toFixed(0)}`,
      )
      resident.push(await residentAfter(server, `altered pass ${pass}`))
    }
    const { peak } = memoryMiB(server.process.pid!)
    const slope = (resident.at(-1)! - resident[1]!) / Math.max(1, ALTERED_PASSES - 1)
    console.log(
      `peak ${peak.toFixed(0)} MiB (goal < 1229); slope over the altered passes ${slope.toFixed(1)} MiB a pass`,
    )
    console.log(
      `urgent edits: median ${quantile(editTimes, 0.5).toFixed(0)} ms, worst ${Math.max(...editTimes).toFixed(0)} ms`,
    )
    await printStates(server)
  } finally {
    await server.kill('SIGTERM')
    await removeDataDir(dataDir)
  }
}

const corpus = readCorpus()
await underLoad(corpus)
