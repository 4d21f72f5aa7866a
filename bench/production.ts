import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { extname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runKafkaTool, startKafka } from '@aquifer/infra/kafka'
import type { Part } from '@aquifer/infra/part'
import { startQdrant } from '@aquifer/infra/qdrant'
import { startRedis } from '@aquifer/infra/redis'
import { mapLimited } from '@aquifer/runtime/concurrency'
import { eventually, newDataDir, removeDataDir, request, search, startServer } from '@aquifer/test/server'
import type { Hit } from '@aquifer/test/server'
import { dataDir as devData, readRows } from './data.ts'
import { mean } from './statistics.ts'

/**
 * The whole system on Kafka, Redis and the best Qdrant that is there, every service a process of its own, beside the same documents in
 * one process on the embedded stores. The documents come as plain JSON from Kafka's own console producer.
 *
 *   node bench/production.ts [--quick]     quick: the first 40 files and 100 questions
 */
interface Question {
  readonly question: string
  readonly gold_id: string
}
interface Source {
  readonly id: string
  readonly content: string
  readonly contentType: string
  readonly title?: string
}
interface Status {
  readonly documents: Record<string, number>
  readonly chunks: number
  readonly lag: Record<string, number>
  readonly index: string
}
interface Door {
  readonly url: string
}

const MAIN = fileURLToPath(new URL('../packages/cli/src/main.ts', import.meta.url))
const SERVICES = ['connector', 'embedder', 'query', 'evaluator']
const CONCURRENCY = 2
const TOP = 5
/** Scores of two stores that are the same number, summed in another order. */
const TIE = 1e-5

const quick = process.argv.includes('--quick')
const questions = readRows<Question>('retrieval_squad.jsonl').slice(0, quick ? 100 : undefined)

function readCorpus(): Source[] {
  const root = join(devData, 'corpus_md')
  const entries = readdirSync(root, { recursive: true, withFileTypes: true }).filter((each) => each.isFile())
  const paths = entries.map(({ parentPath, name }) => join(parentPath, name)).sort()
  return paths.slice(0, quick ? 40 : undefined).map((path) => ({
    id: relative(root, path),
    content: readFileSync(path, 'utf8'),
    contentType: extname(path) === '.md' ? 'text/markdown' : 'text/plain',
  }))
}

function readPassages(): Source[] {
  return readRows<{ id: string; title: string; text: string }>('retrieval_squad_corpus.jsonl').map(
    ({ id, title, text }) => ({ id, title, content: text, contentType: 'text/plain' }),
  )
}

const sources = [...readCorpus(), ...readPassages()]

async function startService(name: string, env: Record<string, string>) {
  const child = spawn(process.execPath, [MAIN, 'start', name], {
    env: { ...process.env, ...env, AQUIFER_PORT: '0', AQUIFER_LOG_LEVEL: 'warn' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (data: Buffer) => {
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(data.toString())
      if (found) resolve(found[0])
    })
    child.once('exit', (code) => reject(new Error(`${name} ended with ${code} before it served`)))
  })
  return { url, process: child }
}

/** The answer of /v1/status when as many documents as were published are settled. */
async function settled(door: Door, published: number): Promise<Status> {
  return await eventually(
    `${published} documents settled`,
    async () => {
      const { body } = await request<Status>(door, 'GET', '/v1/status')
      const { queued = 0, ...rest } = body.documents
      const done = Object.values(rest).reduce((sum, count) => sum + count, 0)
      return queued === 0 && done === published && body.lag['connector'] === 0 && body
    },
    1_800_000,
  )
}

/** As any producer writes them who knows nothing of Aquifer but the topic and its key. */
async function produceForeign(kafka: Part): Promise<void> {
  const lines = sources.map((source) => `default/${source.id}\t${JSON.stringify(source)}`)
  await runKafkaTool(
    'org.apache.kafka.tools.ConsoleProducer',
    `--bootstrap-server ${new URL(kafka.url).host} --topic aquifer.documents --property parse.key=true --property key.separator=\t`.split(
      ' ',
    ),
    `${lines.join('\n')}\n`,
  )
}

async function publishOver(door: Door): Promise<void> {
  const { body } = await request<string>(door, 'POST', '/v1/documents/bulk', {
    raw: sources.map((source) => JSON.stringify(source)).join('\n'),
    headers: { 'Content-Type': 'application/x-ndjson' },
  })
  const failed = body.split('\n').filter((line) => line.includes('"error"'))
  if (failed.length > 0) throw new Error(failed[0])
}

interface Answered {
  readonly dense: Hit[][]
  /** 1 where a hit of the gold document is among the first five documents. */
  readonly found: number[]
}

async function ask(door: Door): Promise<Answered> {
  const answered = await mapLimited(questions, CONCURRENCY, async ({ question, gold_id }) => {
    const hybrid = await search(door, question, { limit: 10 })
    const documents = [...new Set(hybrid.hits.map(({ documentId }) => documentId))]
    const dense = await search(door, question, { limit: 2 * TOP, mode: 'dense' })
    return { dense: dense.hits, found: Number(documents.slice(0, TOP).includes(gold_id)) }
  })
  return { dense: answered.map(({ dense }) => dense), found: answered.map(({ found }) => found) }
}

/** A passage by its place: versions, and with them the ids of chunks, are another on every log. */
const placeOf = ({ documentId, start, end }: Hit) => `${documentId} ${start}-${end}`

/** Whether two lists have the same first hits by cosine; hits that tie with the last of them may stand for one another. */
function sameTop(ours: readonly Hit[], theirs: readonly Hit[]): boolean {
  const byCosine = (hits: readonly Hit[]) => hits.toSorted((a, b) => b.scores.dense! - a.scores.dense!)
  const [a, b] = [byCosine(ours), byCosine(theirs)]
  const inTop = (of: readonly Hit[], other: readonly Hit[]) => {
    const least = other[TOP - 1]?.scores.dense ?? -1
    const places = new Set(other.slice(0, TOP).map(placeOf))
    return of.slice(0, TOP).every((hit) => places.has(placeOf(hit)) || hit.scores.dense! - least < TIE)
  }
  return inTop(a, b) && inTop(b, a)
}

function report(name: string, status: Status, seconds: number, { found }: Answered): void {
  const { indexed, failed } = status.documents
  console.log(
    `${name}: ${indexed} indexed, ${failed} failed, ${status.chunks} chunks in ${seconds.toFixed(0)} s; hybrid R@5 ${mean(found).toFixed(4)}`,
  )
}

async function timed(work: () => Promise<Status>): Promise<{ status: Status; seconds: number }> {
  const started = performance.now()
  const status = await work()
  return { status, seconds: (performance.now() - started) / 1000 }
}

async function runEmbedded(): Promise<Answered> {
  const dataDir = await newDataDir()
  const server = await startServer(dataDir)
  try {
    const { status, seconds } = await timed(async () => {
      await publishOver(server)
      return await settled(server, sources.length)
    })
    const answered = await ask(server)
    report('embedded', status, seconds, answered)
    return answered
  } finally {
    await server.kill('SIGTERM')
    await removeDataDir(dataDir)
  }
}

async function runProduction(): Promise<Answered> {
  const dir = mkdtempSync(join(tmpdir(), 'aquifer-production-'))
  const closers: (() => unknown)[] = [() => rmSync(dir, { recursive: true, force: true })]
  try {
    const kafka = await startKafka({ dir: join(dir, 'kafka') })
    closers.push(() => kafka.stop())
    const parts: Part[] = [kafka]
    for (const [name, start] of [
      ['redis', startRedis],
      ['qdrant', startQdrant],
    ] as const) {
      const part = await start({ dir: join(dir, name) })
      closers.push(() => part.stop())
      parts.push(part)
    }
    console.log(parts.map(({ label }) => label).join(', '))
    const env = Object.fromEntries(parts.map(({ variable, url }) => [variable, url]))
    const services = await Promise.all(
      SERVICES.map((name) => startService(name, { ...env, AQUIFER_DATA_DIR: join(dir, 'data') })),
    )
    closers.push(() =>
      Promise.all(
        services.map(async ({ process: child }) => {
          child.kill('SIGTERM')
          await once(child, 'exit')
        }),
      ),
    )
    const door = services[SERVICES.indexOf('query')]!
    const { status, seconds } = await timed(async () => {
      await produceForeign(kafka)
      return await settled(door, sources.length)
    })
    const answered = await ask(door)
    report('production', status, seconds, answered)
    return answered
  } finally {
    for (const closer of closers.reverse()) await closer()
  }
}

const production = await runProduction()
const embedded = await runEmbedded()
const same = production.dense.filter((hits, i) => sameTop(hits, embedded.dense[i]!)).length
const difference = mean(production.found) - mean(embedded.found)
console.log(`dense top-${TOP} sets the same, ties aside: ${same} of ${questions.length}`)
console.log(`hybrid R@5, production - embedded: ${difference.toFixed(4)}`)
process.exitCode = same === questions.length && Math.abs(difference) <= 0.01 ? 0 : 1
