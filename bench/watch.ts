import { mkdirSync, mkdtempSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { mapLimited } from '@aquifer/runtime/concurrency'
import { systemClock } from '@aquifer/runtime/clock'
import { seeded } from '@aquifer/test/seeded'
import { eventually, newDataDir, removeDataDir, request, search, startServer } from '@aquifer/test/server'
import type { Server } from '@aquifer/test/server'
import { memoryMiB, metric, scrape } from './process-figures.ts'
import { quantile } from './statistics.ts'

/**
 * Thousands of small files through the watched folder of a whole server: from its start until all are found, whether any is missed, one
 * edit in the middle of it; then changes, renames and deletions; then a restart, which must index nothing again.
 *
 *   node bench/watch.ts [--files 10000] [--few 100] [--checked 300] [--embedder lexical:]
 */
const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '10000' },
    few: { type: 'string', default: '100' },
    checked: { type: 'string', default: '300' },
    embedder: { type: 'string', default: 'lexical:' },
  },
})
const FILES = Number(values.files)
const FEW = Number(values.few)
const CHECKED = Number(values.checked)
const SEED = 20_261_121
const PER_FOLDER = 100
const SENTENCES = 12
const DEADLINE_MS = 900_000
/** Seldom, so that asking takes little of what is measured. */
const POLL_MS = 500
const SETTLE_MS = 15_000
const AT_ONCE = 4
const WORDS =
  'pump valve heron river station meter pressure level water gate night report filter tank north bridge field season repair record'.split(
    ' ',
  )

interface Shown {
  readonly id: string
  readonly state: string
  readonly visibleVersion: string | null
  readonly contentType: string
}

const random = seeded(SEED)
const folder = join(mkdtempSync(join(tmpdir(), 'aquifer-bench-watch-')), 'notes')
const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
const pathOf = (n: number) => `${Math.floor(n / PER_FOLDER)}/note-${n}.md`
const idOf = (path: string) => `notes/${path}`
/** A word that stands in one file alone. */
const nonceOf = (path: string, edition = 0) =>
  `q${Buffer.from(`${path}:${edition}`)
    .toString('hex')
    .replaceAll(/\d/g, (digit) => 'ghijklmnop'[Number(digit)]!)}`
const seconds = (sinceMs: number) => (performance.now() - sinceMs) / 1000
const say = (line: string) => console.log(`${line} (load average ${loadavg()[0]!.toFixed(1)})`)

function write(path: string, edition = 0): void {
  const sentence = () => Array.from({ length: 10 }, () => pick(WORDS)).join(' ')
  const lines = Array.from({ length: SENTENCES }, () => `The ${sentence()}.`)
  lines.splice(SENTENCES / 2, 0, `Its mark is ${nonceOf(path, edition)}.`)
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), `# Note ${path}\n\n${lines.join('\n')}\n`)
}

/** As many different ones, drawn from what is left of `from`. */
function draw(from: string[], count: number): string[] {
  return Array.from({ length: count }, () => from.splice(Math.floor(random() * from.length), 1)[0]!)
}

async function start(dataDir: string): Promise<Server> {
  return await startServer(dataDir, {
    AQUIFER_EMBEDDER: values.embedder,
    AQUIFER_WATCH: folder,
    AQUIFER_SAMPLE_RATE: '0',
  })
}

/** Is the document the only one that holds the word? */
async function holds(server: Server, path: string, nonce: string): Promise<boolean> {
  const { hits } = await search(server, nonce, { mode: 'lexical', limit: 2 })
  const holding = hits.filter(({ text }) => text.includes(nonce))
  return holding.length === 1 && holding[0]!.documentId === idOf(path)
}

async function allDocuments(server: Server): Promise<Shown[]> {
  const all: Shown[] = []
  for (let cursor: string | undefined = ''; cursor !== undefined;) {
    const { body }: { body: { documents: Shown[]; cursor?: string } } = await request(
      server,
      'GET',
      `/v1/documents?limit=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
    )
    all.push(...body.documents)
    cursor = body.cursor
  }
  return all.filter(({ state }) => state !== 'deleted')
}

/** Seconds until each of the paths is as `probe` wants it, looked at in turn. */
async function untilEach(
  what: string,
  paths: readonly string[],
  probe: (path: string) => Promise<boolean>,
): Promise<void> {
  const startedMs = performance.now()
  const times: number[] = []
  let waiting = [...paths]
  await eventually(
    what,
    async () => {
      const done = await mapLimited(waiting, AT_ONCE, probe)
      for (const isDone of done) if (isDone) times.push(seconds(startedMs))
      waiting = waiting.filter((_, i) => !done[i])
      return waiting.length === 0
    },
    DEADLINE_MS,
  )
  say(`${what}: median ${quantile(times, 0.5).toFixed(1)} s, last ${Math.max(...times).toFixed(1)} s`)
}

/** From the start of the server until everything is found, one file edited meanwhile. */
async function takeAll(server: Server, startedMs: number, paths: readonly string[]): Promise<void> {
  let isPublished = false
  const edits: Promise<void>[] = []
  const lags: number[] = []
  await eventually(
    'all files are indexed',
    async () => {
      const { documents, lag } = (
        await request<{ documents: Record<string, number>; lag: Record<string, number> }>(
          server,
          'GET',
          '/v1/status',
        )
      ).body
      const { queued = 0, indexed = 0, failed = 0 } = documents
      const seen = queued + indexed + failed
      lags.push(metric(await scrape(server), 'nodejs_eventloop_lag_max_seconds') * 1000)
      if (seen >= paths.length && !isPublished)
        say(`${paths.length} files: all published after ${seconds(startedMs).toFixed(1)} s`)
      isPublished ||= seen >= paths.length
      if (seen > paths.length / 20 && edits.length === 0) edits.push(editAmid(server, paths[0]!))
      await systemClock.sleep(POLL_MS)
      return (
        indexed + failed >= paths.length && queued === 0 && lag['connector'] === 0 && lag['embedder'] === 0
      )
    },
    DEADLINE_MS,
  )
  const indexed = seconds(startedMs)
  say(
    `all searchable after ${indexed.toFixed(1)} s (${(paths.length / indexed).toFixed(0)} files/s), event loop late by at most ${Math.max(...lags.slice(1)).toFixed(0)} ms`,
  )
  await Promise.all(edits)
}

async function editAmid(server: Server, path: string): Promise<void> {
  write(path, 1)
  const startedMs = performance.now()
  const isThere = async () => {
    await systemClock.sleep(POLL_MS)
    return await holds(server, path, nonceOf(path, 1))
  }
  await eventually('the edit is found', isThere, DEADLINE_MS)
  say(`an edit while they come: searchable after ${seconds(startedMs).toFixed(1)} s`)
}

async function check(server: Server, wordOf: ReadonlyMap<string, string>): Promise<void> {
  const paths = [...wordOf.keys()]
  const documents = await allDocuments(server)
  const expected = new Set(paths.map(idOf))
  const extra = documents.filter(({ id }) => !expected.delete(id))
  const wrong = documents.filter(
    ({ state, contentType }) => state !== 'indexed' || contentType !== 'text/markdown',
  )
  const left = [...paths]
  const sample = draw(left, Math.min(CHECKED, left.length))
  const found = await mapLimited(
    sample,
    AT_ONCE,
    async (path) => await holds(server, path, wordOf.get(path)!),
  )
  const missed = found.filter((isThere) => !isThere).length
  console.log(
    `${documents.length} documents: missing ${expected.size}, too many ${extra.length}, not indexed as Markdown ${wrong.length}; ` +
      `of ${sample.length} drawn by their own word not found ${missed}`,
  )
  if (expected.size + extra.length + wrong.length + missed > 0) process.exitCode = 1
}

async function resident(server: Server, what: string): Promise<void> {
  await systemClock.sleep(SETTLE_MS)
  const memory = memoryMiB(server.process.pid!)
  say(`${what}: resident ${memory.resident.toFixed(0)} MiB, peak so far ${memory.peak.toFixed(0)} MiB`)
}

const dataDir = await newDataDir()
let server: Server | null = null
// An interrupted run leaves no server behind.
process.once('SIGTERM', () => {
  server?.process.kill('SIGKILL')
  process.exit(1)
})
try {
  const paths = Array.from({ length: FILES }, (_, n) => pathOf(n))
  for (const path of paths) write(path)
  const startedMs = performance.now()
  server = await start(dataDir)
  const first = server
  console.log(
    `${values.embedder}: serving after ${seconds(startedMs).toFixed(1)} s, ${memoryMiB(first.process.pid!).resident.toFixed(0)} MiB`,
  )
  await takeAll(first, startedMs, paths)
  const wordOf = new Map(paths.map((path) => [path, nonceOf(path)]))
  wordOf.set(paths[0]!, nonceOf(paths[0]!, 1))
  const isHeld = async (path: string) => await holds(first, path, wordOf.get(path)!)
  await check(first, wordOf)
  await resident(first, 'settled')

  const rest = paths.slice(1)
  const changed = draw(rest, FEW)
  for (const path of changed) {
    wordOf.set(path, nonceOf(path, 2))
    write(path, 2)
  }
  await untilEach(`${FEW} changed`, changed, isHeld)

  const renamed = draw(rest, FEW).map((path) => {
    const name = path.replace('note', 'renamed')
    renameSync(join(folder, path), join(folder, name))
    wordOf.set(name, wordOf.get(path)!)
    wordOf.delete(path)
    return name
  })
  await untilEach(`${FEW} renamed`, renamed, isHeld)

  const deleted = draw(rest, FEW)
  for (const path of deleted) {
    unlinkSync(join(folder, path))
    wordOf.delete(path)
  }
  await untilEach(`${FEW} deleted`, deleted, async (path) => !(await holds(first, path, nonceOf(path))))
  await check(first, wordOf)
  await resident(first, 'after the changes')

  const versions = new Map((await allDocuments(first)).map(({ id, visibleVersion }) => [id, visibleVersion]))
  await first.kill('SIGTERM')
  const restartedMs = performance.now()
  server = await start(dataDir)
  const second = server
  // Found by an event, which is followed after the look at all others.
  write('last.md')
  await eventually(
    'the last file is found',
    async () => await holds(second, 'last.md', nonceOf('last.md')),
    DEADLINE_MS,
  )
  const after = seconds(restartedMs)
  const again = (await allDocuments(second)).filter(
    ({ id, visibleVersion }) => id !== idOf('last.md') && versions.get(id) !== visibleVersion,
  )
  const text = await scrape(second)
  const chunks = ['embedded', 'reused'].reduce(
    (sum, vector) => sum + metric(text, 'aquifer_chunks_total', { vector }),
    0,
  )
  say(
    `restart: a new file is searchable after ${after.toFixed(1)} s; ${again.length} other documents have another version, ${chunks} chunk indexed`,
  )
  if (again.length > 0 || chunks !== 1) process.exitCode = 1
} finally {
  await server?.kill('SIGTERM')
  await removeDataDir(dataDir)
  rmSync(dirname(folder), { recursive: true })
}
