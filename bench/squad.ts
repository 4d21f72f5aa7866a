import { mapLimited } from '@aquifer/runtime/concurrency'
import { eventually, newDataDir, removeDataDir, request, search, startServer } from '@aquifer/test/server'
import type { Hit, Server } from '@aquifer/test/server'
import { readRows } from './data.ts'
import { mean, pairedBootstrap, quantile } from './statistics.ts'

/**
 * Retrieval, extractive answers and abstention on SQuAD's development paragraphs, all over HTTP.
 *
 *   node bench/squad.ts
 */
interface Passage {
  id: string
  title: string
  text: string
}
interface Question {
  qid: string
  question: string
  gold_id: string
  answers: string[]
}

const LIST = 50
const CONCURRENCY = 2

async function load(server: Server, passages: readonly Passage[]): Promise<void> {
  const raw = passages
    .map(({ id, title, text }) => JSON.stringify({ id, title, content: text, contentType: 'text/plain' }))
    .join('\n')
  const started = performance.now()
  const { body } = await request<string>(server, 'POST', '/v1/documents/bulk', {
    raw,
    headers: { 'Content-Type': 'application/x-ndjson' },
  })
  const failed = body.split('\n').filter((line) => line.includes('"error"'))
  if (failed.length > 0) throw new Error(failed[0])
  const status = await eventually(
    'the corpus is indexed',
    async () => {
      const { body: now } = await request<{ documents: Record<string, number>; chunks: number }>(
        server,
        'GET',
        '/v1/status',
      )
      return now.documents['queued'] === 0 && now.documents['indexed'] === passages.length && now
    },
    600_000,
  )
  const seconds = (performance.now() - started) / 1000
  console.log(`indexed ${passages.length} documents, ${status.chunks} chunks, in ${seconds.toFixed(1)} s`)
}

/** Rank of the gold document among the documents of the hits, from 0; -1 where it is not there. */
function rankOf(ids: readonly string[], gold: string): number {
  return [...new Set(ids)].indexOf(gold)
}

interface Figures {
  readonly r1: number[]
  readonly r5: number[]
  readonly mrr10: number[]
}

function figures(ranks: readonly number[]): Figures {
  return {
    r1: ranks.map((rank) => Number(rank === 0)),
    r5: ranks.map((rank) => Number(rank >= 0 && rank < 5)),
    mrr10: ranks.map((rank) => (rank >= 0 && rank < 10 ? 1 / (rank + 1) : 0)),
  }
}

/** The plain fusion that this one is compared with: z-scores of the same two lists, .6 dense, what is missing as the list's last. */
function zFusion(dense: readonly Hit[], lexical: readonly Hit[]): string[] {
  const scores = (hits: readonly Hit[], of: (hit: Hit) => number | null) => {
    const values = hits.map((hit) => of(hit) ?? 0)
    const average = values.length > 0 ? mean(values) : 0
    const deviation =
      Math.sqrt(values.length > 0 ? mean(values.map((value) => (value - average) ** 2)) : 0) || 1
    const byId = new Map(hits.map((hit, i) => [hit.chunkId, (values[i]! - average) / deviation]))
    const least = Math.min(0, ...byId.values())
    return (id: string) => byId.get(id) ?? least
  }
  const denseOf = scores(dense, (hit) => hit.scores.dense)
  const lexicalOf = scores(lexical, (hit) => hit.scores.lexical)
  const hits = [...new Map([...dense, ...lexical].map((hit) => [hit.chunkId, hit])).values()]
  const score = ({ chunkId }: Hit) => 0.6 * denseOf(chunkId) + 0.4 * lexicalOf(chunkId)
  return hits.sort((a, b) => score(b) - score(a)).map(({ documentId }) => documentId)
}

async function measureRetrieval(server: Server, questions: readonly Question[]): Promise<void> {
  const latencies: number[] = []
  const rows = await mapLimited(questions, CONCURRENCY, async ({ question, gold_id }) => {
    const started = performance.now()
    const hybrid = await search(server, question, { limit: 10 })
    latencies.push(performance.now() - started)
    const dense = await search(server, question, { limit: LIST, mode: 'dense' })
    const lexical = await search(server, question, { limit: LIST, mode: 'lexical' })
    const ids = (hits: readonly Hit[]) => hits.map(({ documentId }) => documentId)
    const byCosine = [...dense.hits].sort((a, b) => b.scores.dense! - a.scores.dense!)
    return {
      hybrid: rankOf(ids(hybrid.hits), gold_id),
      dense: rankOf(ids(dense.hits), gold_id),
      cosine: rankOf(ids(byCosine), gold_id),
      lexical: rankOf(ids(lexical.hits), gold_id),
      zFusion: rankOf(zFusion(byCosine, lexical.hits), gold_id),
    }
  })
  for (const list of ['cosine', 'dense', 'lexical', 'zFusion', 'hybrid'] as const) {
    const { r1, r5, mrr10 } = figures(rows.map((row) => row[list]))
    console.log(
      `${list.padEnd(8)} R@1 ${mean(r1).toFixed(3)}  R@5 ${mean(r5).toFixed(3)}  MRR@10 ${mean(mrr10).toFixed(3)}`,
    )
  }
  const ours = figures(rows.map((row) => row.hybrid))
  const plain = figures(rows.map((row) => row.zFusion))
  for (const name of ['r5', 'mrr10'] as const) {
    const { difference, low, high } = pairedBootstrap(ours[name], plain[name])
    console.log(`hybrid - zFusion, ${name}: ${difference.toFixed(4)} [${low.toFixed(4)}, ${high.toFixed(4)}]`)
  }
  console.log(
    `search ms, ${CONCURRENCY} at once: p50 ${quantile(latencies, 0.5).toFixed(1)}  p95 ${quantile(latencies, 0.95).toFixed(1)}`,
  )
}

interface Chat {
  choices: { message: { content: string } }[]
  aquifer: { abstained: boolean; groundedness: number }
}

async function ask(
  server: Server,
  question: string,
): Promise<{ text: string; abstained: boolean; ms: number }> {
  const started = performance.now()
  const { status, body } = await request<Chat>(server, 'POST', '/v1/chat/completions', {
    body: { messages: [{ role: 'user', content: question }] },
  })
  if (status !== 200) throw new Error(`chat: ${status} ${JSON.stringify(body)}`)
  return {
    text: body.choices[0]!.message.content,
    abstained: body.aquifer.abstained,
    ms: performance.now() - started,
  }
}

/** SQuAD's own normalisation: lower case, without punctuation, articles and doubled blanks. */
function normalise(text: string): string {
  return text
    .toLowerCase()
    .replace(/\[\d+\]/g, ' ')
    .replace(/[\p{P}\p{S}]/gu, '')
    .replace(/\b(?:a|an|the)\b/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
}

async function measureAnswers(
  server: Server,
  questions: readonly Question[],
  unanswerable: readonly { question: string }[],
): Promise<void> {
  const answered = await mapLimited(questions, CONCURRENCY, async ({ question, answers }) => {
    const { text, abstained, ms } = await ask(server, question)
    const words = text
      .replace(/\[\d+\]/g, ' ')
      .split(/\s+/)
      .filter(Boolean).length
    return {
      hit: answers.some((answer) => normalise(text).includes(normalise(answer))),
      abstained,
      words,
      ms,
    }
  })
  const refused = await mapLimited(
    unanswerable,
    CONCURRENCY,
    async ({ question }) => (await ask(server, question)).abstained,
  )
  const share = (flags: readonly boolean[]) => mean(flags.map(Number)).toFixed(3)
  console.log(
    `answers that contain a gold answer: ${share(answered.map(({ hit }) => hit))}, longest ${Math.max(...answered.map(({ words }) => words))} words`,
  )
  console.log(
    `abstained: ${share(refused)} of unanswerable, ${share(answered.map(({ abstained }) => abstained))} of answerable questions`,
  )
  const times = answered.map(({ ms }) => ms)
  console.log(
    `chat ms, ${CONCURRENCY} at once: p50 ${quantile(times, 0.5).toFixed(1)}  p95 ${quantile(times, 0.95).toFixed(1)}`,
  )
}

const dataDir = await newDataDir()
const server = await startServer(dataDir)
try {
  await load(server, readRows<Passage>('retrieval_squad_corpus.jsonl'))
  const questions = readRows<Question>('retrieval_squad.jsonl')
  await measureRetrieval(server, questions)
  await measureAnswers(
    server,
    questions,
    readRows<{ question: string }>('retrieval_squad_unanswerable.jsonl'),
  )
} finally {
  await server.kill('SIGTERM')
  await removeDataDir(dataDir)
}
