import { setTimeout as sleep } from 'node:timers/promises'
import { createOracle, nonceOf } from './consistency-oracle.ts'
import type { Oracle, QueryStart, Rule } from './consistency-oracle.ts'
import { seeded } from './seeded.ts'
import { eventually, publish, request } from './server.ts'
import type { Hit } from './server.ts'

export interface ConsistencyOptions {
  readonly seed: number
  readonly seconds: number
  readonly documents: number
  readonly queriesPerSecond: number
}

export interface ConsistencyResult {
  readonly counts: Record<
    'searches' | 'answers' | 'streams' | 'refused' | 'held' | 'updates' | 'deletions' | 'confirmed',
    number
  >
  readonly violations: readonly string[]
  readonly byRule: Readonly<Record<Rule, number>>
}

const WRITERS = 4
const MAX_OPEN_QUERIES = 64
/** Documents below this share are never deleted, so that their being there can be demanded at any moment. */
const KEPT_SHARE = 0.5
const SUBJECTS = ['pressure', 'colour', 'owner', 'address', 'capacity', 'supplier', 'inspector', 'limit']

interface Run {
  readonly server: { url: string }
  readonly options: ConsistencyOptions
  readonly oracle: Oracle
  readonly counts: ConsistencyResult['counts']
  readonly until: number
}

const idOf = (document: number) => `plant/${document}`
const wordOf = (document: number) => `docword${document}q`
const only = (document: number) => ({ field: 'document', op: 'eq', value: document })

/** Some sentences under each of some headings, every one with the document's word and this publication's nonce. */
function textOf(document: number, nonce: number, random: () => number): string {
  const mark = nonceOf(document, nonce)
  const sections = document % 3 === 0 ? 1 : 2 + Math.floor(random() * 5)
  const section = (_: unknown, i: number) => {
    const sentence = (__: unknown, j: number) =>
      `The ${SUBJECTS[(i + j) % SUBJECTS.length]} of plant ${wordOf(document)} is value${Math.floor(random() * 1000)} by note ${mark}.`
    return `## Section ${i} of ${mark}\n\n${Array.from({ length: 8 }, sentence).join(' ')}`
  }
  return `# Plant ${wordOf(document)} ${mark}\n\n${Array.from({ length: sections }, section).join('\n\n')}\n`
}

/**
 * Documents change and go under a steady load of queries, whose texts are checked by the oracle. The same seed makes the same
 * texts and the same choices; their interleaving is the machine's.
 */
export async function runConsistency(
  server: { url: string },
  options: ConsistencyOptions,
): Promise<ConsistencyResult> {
  const oracle = createOracle(options.documents)
  const counts = {
    searches: 0,
    answers: 0,
    streams: 0,
    refused: 0,
    held: 0,
    updates: 0,
    deletions: 0,
    confirmed: 0,
  }
  const preparing: Run = { server, options, oracle, counts, until: Number.POSITIVE_INFINITY }
  const random = seeded(options.seed)
  for (let document = 0; document < options.documents; document++)
    await change(preparing, document, random, true)
  const run = { ...preparing, until: performance.now() + options.seconds * 1000 }
  await Promise.all([query(run), ...Array.from({ length: WRITERS }, (_, i) => write(run, i))])
  await settle(run)
  return { counts, violations: oracle.violations, byRule: oracle.counts }
}

/** One writer's documents are its own, so that the order of a document's publications is known. */
async function write(run: Run, writer: number): Promise<void> {
  const { seed, documents } = run.options
  const random = seeded(seed * 1000 + writer)
  while (performance.now() < run.until) {
    const document = Math.floor((random() * documents) / WRITERS) * WRITERS + writer
    if (document >= documents) continue
    const mayDelete = document >= documents * KEPT_SHARE
    if (mayDelete && random() < 0.4) await remove(run, document)
    else await change(run, document, random, random() < 0.6)
    await sleep(random() * 200)
  }
}

async function change(run: Run, document: number, random: () => number, wait: boolean): Promise<void> {
  const { server, oracle, counts } = run
  const nonce = oracle.publish(document)
  const text = textOf(document, nonce, random)
  const title = `Plant ${wordOf(document)} ${nonceOf(document, nonce)}`
  let after: string
  if (random() < 0.2) {
    const raw = JSON.stringify({
      id: idOf(document),
      content: text,
      contentType: 'text/markdown',
      title,
      metadata: { document },
    })
    const { body } = await request<string>(server, 'POST', '/v1/documents/bulk', {
      raw,
      headers: { 'Content-Type': 'application/x-ndjson' },
    })
    after = (JSON.parse(body.trim()) as { receipt: string }).receipt
  } else {
    after = await publish(server, idOf(document), text, {
      'Aquifer-Title': title,
      'Aquifer-Metadata': JSON.stringify({ document }),
    })
  }
  counts.updates++
  if (!wait) return
  const start = oracle.begin()
  const { hits, fresh } = await search(run, wordOf(document), {
    filter: only(document),
    limit: 100,
    after,
    timeoutMs: 30_000,
  })
  if (!fresh) return oracle.violation('error', `${nonceOf(document, nonce)} was not visible within 30 s`)
  counts.confirmed++
  oracle.confirmed(document, nonce)
  const then = withSeen(start, document, nonce)
  oracle.check(then, 'the search after a receipt', textsOf(hits))
  if (hits.length === 0) oracle.absent(then, 'the search after a receipt', document)
}

/** A query that waited for a receipt must show that publication or a newer one, as if it had begun when it was visible. */
function withSeen(start: QueryStart, document: number, nonce: number): QueryStart {
  return start.map((state, i) => (i === document ? { ...state, seen: nonce, exists: true } : state))
}

async function remove({ server, oracle, counts }: Run, document: number): Promise<void> {
  oracle.deleting(document)
  const { status } = await request(server, 'DELETE', `/v1/documents/${encodeURIComponent(idOf(document))}`)
  if (status !== 202) return oracle.violation('error', `DELETE ${idOf(document)}: ${status}`)
  oracle.deleted(document)
  counts.deletions++
}

/** Begins a query at each tick, whether or not the earlier ones have been answered, up to a bound. */
async function query(run: Run): Promise<void> {
  const { seed, queriesPerSecond } = run.options
  const random = seeded(seed * 1000 + WRITERS)
  const open = new Set<Promise<void>>()
  for (let at = performance.now(); at < run.until; at += 1000 / queriesPerSecond) {
    const waitMs = at - performance.now()
    if (waitMs > 0) await sleep(waitMs)
    if (open.size >= MAX_OPEN_QUERIES) {
      run.counts.held++
      continue
    }
    const one = queryOnce(run, random).catch((error: unknown) => run.oracle.violation('error', String(error)))
    open.add(one)
    void one.finally(() => open.delete(one))
  }
  await Promise.all(open)
}

async function queryOnce(run: Run, random: () => number): Promise<void> {
  const { oracle, counts, options } = run
  const document = Math.floor(random() * options.documents)
  const subject = SUBJECTS[Math.floor(random() * SUBJECTS.length)]!
  const filtered = random() < 0.7
  const kind = random()
  const start = oracle.begin()
  if (kind < 0.6) {
    const mode = (['hybrid', 'lexical', 'dense'] as const)[Math.floor(random() * 3)]!
    const text = filtered ? wordOf(document) : `${subject} of plant by note`
    const limit = filtered ? 100 : 10 + Math.floor(random() * 90)
    const { hits } = await search(run, text, { limit, mode, ...(filtered ? { filter: only(document) } : {}) })
    counts.searches++
    const what = `${mode} search${filtered ? ` for ${document}` : ''}`
    oracle.check(start, what, textsOf(hits))
    if (filtered && hits.length === 0) oracle.absent(start, what, document)
    return
  }
  const body = {
    messages: [{ role: 'user', content: `What is the ${subject} of plant ${wordOf(document)}?` }],
    stream: kind >= 0.8,
    aquifer: filtered ? { filter: only(document) } : {},
  }
  const answer = kind < 0.8 ? await askOnce(run, body) : await askStreaming(run, body)
  if (!answer) return
  const what = `${kind < 0.8 ? 'answer' : 'stream'} about ${document}`
  oracle.check(start, what, answer.texts)
  // An abstention quotes nothing: it has to rest on evidence nevertheless.
  if (filtered && answer.evidence === 0) oracle.absent(start, what, document)
}

interface Answered {
  readonly texts: readonly string[]
  readonly evidence: number
}
interface AquiferPart {
  readonly evidence: readonly string[]
  readonly citations: readonly { title: string | null; quote: string }[]
}
interface Problem {
  readonly error: { code: string | null; message: string }
}

function answered(content: string, { evidence, citations }: AquiferPart): Answered {
  return {
    texts: [content, ...citations.flatMap(({ title, quote }) => [title ?? '', quote])],
    evidence: evidence.length,
  }
}

/** Null where it was refused because a source was deleted while it was written. */
async function askOnce({ server, counts }: Run, body: object): Promise<Answered | null> {
  const reply = await request<
    { choices: { message: { content: string } }[]; aquifer: AquiferPart } & Problem
  >(server, 'POST', '/v1/chat/completions', { body })
  if (isRefusal(reply)) {
    counts.refused++
    return null
  }
  if (reply.status !== 200) throw new Error(`chat: ${reply.status} ${JSON.stringify(reply.body)}`)
  counts.answers++
  return answered(reply.body.choices[0]!.message.content, reply.body.aquifer)
}

const isRefusal = ({ status, body }: { status: number; body: Partial<Problem> }) =>
  status === 409 && body.error?.code === 'evidence_deleted'

/** The whole stream. Text that was sent before a refusal counts too. */
async function askStreaming({ server, counts }: Run, body: object): Promise<Answered | null> {
  const reply = await request<string>(server, 'POST', '/v1/chat/completions', { body })
  if (reply.status !== 200) {
    if (!isRefusal(reply as unknown as { status: number; body: Partial<Problem> }))
      throw new Error(`stream: ${reply.status} ${JSON.stringify(reply.body)}`)
    counts.refused++
    return null
  }
  const events = reply.body
    .split('\n')
    .filter((line) => line.startsWith('data: {'))
    .map(
      (line) =>
        JSON.parse(line.slice(6)) as Partial<Problem> & {
          choices?: { delta: { content?: string } }[]
          aquifer?: AquiferPart
        },
    )
  const content = events.map(({ choices }) => choices?.[0]?.delta.content ?? '').join('')
  const error = events.find((event) => event.error)?.error
  if (error && error.code !== 'evidence_deleted') throw new Error(`stream: ${JSON.stringify(error)}`)
  if (error) {
    counts.refused++
    return { texts: [content], evidence: 1 }
  }
  counts.streams++
  return answered(content, events.find(({ aquifer }) => aquifer)!.aquifer!)
}

interface Found extends Hit {
  readonly title: string | null
  readonly headings: readonly string[]
}

async function search(
  { server }: Run,
  text: string,
  options: Record<string, unknown>,
): Promise<{ hits: Found[]; fresh: boolean }> {
  const { status, body } = await request<{ hits: Found[]; fresh: boolean }>(server, 'POST', '/v1/search', {
    body: { query: text, ...options },
  })
  if (status !== 200) throw new Error(`search: ${status} ${JSON.stringify(body)}`)
  return body
}

function textsOf(hits: readonly Found[]): string[] {
  return hits.flatMap(({ text, title, headings }) => [text, title ?? '', ...headings])
}

/** In the end each document shows its last publication, or nothing. */
async function settle(run: Run): Promise<void> {
  const { server, oracle, options } = run
  await eventually(
    'everything settles',
    async () => {
      const { body } = await request<{ documents: Record<string, number>; lag: Record<string, number> }>(
        server,
        'GET',
        '/v1/status',
      )
      return body.documents['queued'] === 0 && body.lag['connector'] === 0 && body.lag['embedder'] === 0
    },
    120_000,
  )
  const states = oracle.begin()
  for (let document = 0; document < options.documents; document++) {
    const { published, deletedTo } = states[document]!
    const exists = published > deletedTo
    if (exists) oracle.confirmed(document, published)
    const { hits } = await search(run, wordOf(document), { filter: only(document), limit: 100 })
    oracle.check(oracle.begin(), 'the last search', textsOf(hits))
    if (exists && hits.length === 0) oracle.absent(oracle.begin(), 'the last search', document)
  }
}
