import { join } from 'node:path'
import { mapLimited } from '@aquifer/runtime/concurrency'
import { systemClock } from '@aquifer/runtime/clock'
import { seeded } from '@aquifer/test/seeded'
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
import type { Bench } from '../comparison.ts'
import { readFolder } from '../data.ts'
import { openFreshnessParts } from '../freshness-parts.ts'
import { quantile } from '../statistics.ts'

const EMBEDDER = 'onnx:all-MiniLM-L6-v2'
const LIMIT_MS = 1000
/** A page: some 500 words. */
const PAGE_BYTES = [2000, 4000] as const
const ALONE = 8
const LOAD_MS = 12_000
const SMOKE_LOAD_MS = 500
/** Documents that are published at once, each round, to learn the rate that is halved. */
const RATE_DOCUMENTS = 100
const SMOKE_DOCUMENTS = 8
/** Every so many documents are asked for: asking for each would be a load of its own. */
const ASKED = 4
const WAIT_MS = 30_000
const PUBLISHERS = 16

interface Page {
  readonly text: string
  /** Asked for to find it. */
  readonly query: string
}

function readPages(): Page[] {
  const [least, most] = PAGE_BYTES
  return readFolder('corpus_md')
    .filter(({ bytes }) => bytes.length >= least && bytes.length <= most)
    .map(({ bytes }) => {
      const text = bytes.toString()
      return { text, query: text.slice(0, 60) }
    })
}

/** Milliseconds from the beginning of the PUT to its answer, and to the answer of a search that saw it. */
async function untilFound(server: Server, id: string, { text, query }: Page) {
  const started = performance.now()
  const after = await publish(server, id, text)
  const acceptedMs = performance.now() - started
  const { fresh, reason } = await search(server, query, { after, timeoutMs: WAIT_MS })
  if (!fresh) throw new Error(`${id} was not found: ${reason}`)
  return { acceptedMs, ms: performance.now() - started }
}

async function searchMs(server: Server, query: string): Promise<number> {
  const started = performance.now()
  await search(server, query)
  return performance.now() - started
}

/** Documents a second that are visible when many come at once. */
async function fullRate(
  server: Server,
  pages: readonly Page[],
  name: string,
  count: number,
): Promise<number> {
  const ids = Array.from({ length: count }, (_, i) => i)
  const started = performance.now()
  const receipts = await mapLimited(ids, PUBLISHERS, (i) =>
    publish(server, `${name}/${i}`, pages[i % pages.length]!.text),
  )
  const { fresh } = await search(server, 'rate', { after: receipts, timeoutMs: WAIT_MS })
  if (!fresh) throw new Error('the load was not visible in time')
  return (1000 * count) / (performance.now() - started)
}

/** Publishes at random moments (Poisson), `rate` a second, and tells how long those took that were asked for. */
async function underLoad(
  server: Server,
  pages: readonly Page[],
  { rate, forMs, round }: { rate: number; forMs: number; round: number },
): Promise<number[]> {
  const random = seeded(round + 1)
  const running: Promise<number | null>[] = []
  const started = performance.now()
  for (let at = 0, i = 0; at < forMs; at += (-Math.log(1 - random()) * 1000) / rate, i++) {
    await systemClock.sleep(Math.max(0, started + at - performance.now()))
    const page = pages[Math.floor(random() * pages.length)]!
    const id = `load-${round}/${i}`
    running.push(
      i % ASKED === 0
        ? untilFound(server, id, page).then(({ ms }) => ms)
        : publish(server, id, page.text).then(() => null),
    )
  }
  return (await Promise.all(running)).filter((ms) => ms !== null)
}

async function quiet(server: Server): Promise<void> {
  await eventually(
    'nothing is under way',
    async () => {
      const { body } = await request<{ lag: Record<string, number> }>(server, 'GET', '/v1/status')
      return body.lag['connector'] === 0 && body.lag['embedder'] === 0
    },
    WAIT_MS,
  )
}

/** Publish → found, at half the rate that the system can take and alone, beside what its parts take one by one. */
export const freshness: Bench = {
  rows: [
    {
      name: 'freshness-p50',
      title: 'publish to searchable at half load, p50, beside the sum of its parts',
      unit: 'ms',
      better: 'less',
      goal: 1 / 1.5,
      limit:
        'CPU: one by one documents cost more than in bulk, so that half of the bulk rate keeps 72 % of two cores busy; then those that arrive together wait for one another.',
    },
    {
      name: 'freshness-p95',
      title: 'publish to searchable at half load, p95, beside the sum of its parts',
      unit: 'ms',
      better: 'less',
      goal: 1 / 4,
      limit: 'The same: bursts, and the upkeep of LanceDB after every 64 commits.',
    },
    {
      name: 'freshness-alone',
      title: 'publish to searchable, a document of one page alone',
      unit: 'ms',
      better: 'less',
      goal: 1,
      limit:
        'Embedding its passages (over a third), then the search, the synced files and the write to the index.',
    },
  ],
  async open(options) {
    const { smoke } = options
    const pages = readPages()
    const dataDir = await newDataDir()
    const server = await startServer(dataDir, { AQUIFER_SAMPLE_RATE: '0' })
    const parts = await openFreshnessParts(EMBEDDER, join(dataDir, 'parts'))
    const count = smoke ? 2 : ALONE
    const pick = (round: number, i: number) => pages[(round * count + i) % pages.length]!
    await untilFound(server, 'first', pages[0]!)
    for (let i = 0; i < count; i++) await parts.measure(`first/${i}`, pick(0, i).text)
    const atOnce = smoke ? SMOKE_DOCUMENTS : RATE_DOCUMENTS
    if (!smoke) await fullRate(server, pages, 'warm', atOnce)

    return {
      ours: {
        name: 'Aquifer',
        async run(round) {
          await quiet(server)
          const alone: number[] = []
          for (let i = 0; i < count; i++)
            alone.push((await untilFound(server, `alone-${round}/${i}`, pick(round, i))).ms)
          const rate = (await fullRate(server, pages, `rate-${round}`, atOnce)) / 2
          options.say(`  half load: ${rate.toFixed(1)} documents/s`)
          const forMs = smoke ? SMOKE_LOAD_MS : LOAD_MS
          const loaded = await underLoad(server, pages, { rate, forMs, round })
          return {
            'freshness-p50': quantile(loaded, 0.5),
            'freshness-p95': quantile(loaded, 0.95),
            'freshness-alone': quantile(alone, 0.5),
          }
        },
      },
      peers: [
        {
          name: 'the sum of its parts',
          async run(round) {
            await quiet(server)
            const sums: number[] = []
            const shown = new Map<string, number[]>()
            for (let i = 0; i < count; i++) {
              const page = pick(round, i)
              const { acceptedMs } = await untilFound(server, `parts-${round}/${i}`, page)
              const searched = await searchMs(server, page.query)
              const took = {
                accept: acceptedMs,
                ...(await parts.measure(`parts-${round}/${i}`, page.text)),
                search: searched,
              }
              sums.push(Object.values(took).reduce((sum, ms) => sum + ms, 0))
              for (const [name, ms] of Object.entries(took)) shown.set(name, [...(shown.get(name) ?? []), ms])
            }
            const medians = [...shown].map(([name, all]) => `${name} ${quantile(all, 0.5).toFixed(1)}`)
            options.say(`  parts, ms: ${medians.join(', ')}`)
            const sum = quantile(sums, 0.5)
            return { 'freshness-p50': sum, 'freshness-p95': sum }
          },
        },
        { name: 'the limit', run: async () => ({ 'freshness-alone': LIMIT_MS }) },
      ],
      async close() {
        await parts.close()
        await server.kill('SIGTERM')
        await removeDataDir(dataDir)
      },
    }
  },
}
