import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cp } from 'node:fs/promises'
import { Agent, request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { scriptedServer } from '@aquifer/models/scripted-server'
import type { Step } from '@aquifer/models/scripted-server'
import { eventually, newDataDir, removeDataDir, request, startServer } from '@aquifer/test/server'
import type { Server } from '@aquifer/test/server'
import type { Bench, Comparison } from '../comparison.ts'
import { readFolder, readRows } from '../data.ts'
import { quantile } from '../statistics.ts'
import type { BareQuestion } from './search-bare.ts'

const MODES = ['dense', 'hybrid'] as const
/** What the service asks the index for, whatever the caller wants of it. */
const LISTS = 50
const QUESTIONS = 100
const SMOKE_QUESTIONS = 3
const SMOKE_DOCUMENTS = 12
const WARM_UP = 40
const SETTLE_MS = 300_000
const CHAT_LIMITS = { 'chat-overhead-p50': 5, 'chat-overhead-p99': 15 }

interface Question {
  readonly question: string
}
interface Status {
  readonly documents: Record<string, number>
}

const searchRow = (mode: string): Comparison => ({
  name: `search-overhead-${mode}`,
  title: `\`/v1/search\` over HTTP, mode \`${mode}\`, one after the other, p50`,
  unit: 'ms',
  better: 'less',
  goal: 0.8,
  limit:
    'The embedding of the question and LanceDB; what the door adds is half late interaction over 50 to 80 passages, half HTTP and JSON.',
})
const chatRow = (quantileName: 'p50' | 'p99'): Comparison => ({
  name: `chat-overhead-${quantileName}`,
  title: `\`/v1/chat/completions\`, streamed, to its end: what it takes beside the embedding, the index query and the LLM alone, ${quantileName}`,
  unit: 'ms',
  better: 'less',
  goal: 1,
  limit: 'Late interaction, HTTP twice, the screen of the question, the answer kept durably.',
})

/**
 * The whole system over HTTP beside the bare embedding and index query in one process; and its chat beside that and an LLM, which here
 * answers without delay. Each question goes to all of them in turn, and a chat's overhead is the difference of one question's times.
 */
export const search: Bench = {
  rows: [...MODES.map(searchRow), chatRow('p50'), chatRow('p99')],
  async open({ smoke, say }) {
    const questions = readRows<Question>('retrieval_squad.jsonl').map(({ question }) => question)
    const llm = await scriptedServer(answerAtOnce)
    const generator = `openai:${llm.baseUrl}#scripted`
    const [dataDir, bareDir] = [await newDataDir(), await newDataDir()]
    const closers: (() => unknown)[] = [
      () => llm.close(),
      () => removeDataDir(dataDir),
      () => removeDataDir(bareDir),
    ]
    const close = async (): Promise<void> => {
      for (const closer of closers.toReversed()) await closer()
    }
    try {
      await fill(dataDir, smoke)
      await cp(join(dataDir, 'vectors'), join(bareDir, 'vectors'), { recursive: true })
      // No answer is evaluated meanwhile, as where the evaluator is a process of its own.
      const server = await startServer(dataDir, {
        AQUIFER_GENERATOR: generator,
        AQUIFER_SAMPLE_RATE: '0',
      })
      closers.push(() => server.kill('SIGTERM'))
      const bare = fork(fileURLToPath(new URL('search-bare.ts', import.meta.url)), [bareDir, dataDir])
      closers.push(() => bare.kill())
      await once(bare, 'message')
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      closers.push(() => agent.destroy())

      const asked = smoke ? SMOKE_QUESTIONS : QUESTIONS
      const ofRound = (round: number) =>
        Array.from({ length: asked }, (_, i) => questions[(round * asked + i) % questions.length]!)
      const searchOnce = async (question: string, mode: string) =>
        await post(`${server.url}/v1/search`, { query: question, mode }, agent)
      const chat = { model: 'scripted', stream: true }
      const messagesOf = (question: string) => ({ messages: [{ role: 'user', content: question }], ...chat })
      const chatOverhead = async (question: string): Promise<number> => {
        const whole = await post(`${server.url}/v1/chat/completions`, messagesOf(question), agent)
        const { body } = llm.requests.splice(0).at(-1)!
        const alone = await post(`${llm.baseUrl}/chat/completions`, body, agent)
        return whole - alone - (await bareOnce(bare, { question, mode: 'hybrid', limit: LISTS }))
      }
      for (const question of questions.slice(-(smoke ? 1 : WARM_UP))) {
        await chatOverhead(question)
        for (const mode of MODES) {
          await searchOnce(question, mode)
          await bareOnce(bare, { question, mode, limit: LISTS })
        }
      }
      if (!smoke) await underLoad(server, questions, say)
      return {
        ours: {
          name: 'aquifer',
          async run(round) {
            const figures = await searches(ofRound(round), searchOnce)
            const overheads: number[] = []
            for (const question of ofRound(round)) overheads.push(await chatOverhead(question))
            for (const p of ['p50', 'p99'] as const)
              figures[`chat-overhead-${p}`] = Math.max(0.01, quantile(overheads, p === 'p50' ? 0.5 : 0.99))
            return figures
          },
        },
        peers: [
          {
            name: 'embedding and index query in one process',
            run: async (round) =>
              await searches(ofRound(round), (question, mode) =>
                bareOnce(bare, { question, mode, limit: LISTS }),
              ),
          },
          { name: 'the limit', run: async () => CHAT_LIMITS },
        ],
        close,
      }
    } catch (error) {
      await close()
      throw error
    }
  },
}

async function searches(
  questions: readonly string[],
  ask: (question: string, mode: (typeof MODES)[number]) => Promise<number>,
): Promise<Record<string, number>> {
  const figures: Record<string, number> = {}
  for (const mode of MODES) {
    const times: number[] = []
    for (const question of questions) times.push(await ask(question, mode))
    figures[`search-overhead-${mode}`] = quantile(times, 0.5)
    figures[`${mode}-p95`] = quantile(times, 0.95)
  }
  return figures
}

/** The corpora through the door, and the server stopped again. */
async function fill(dataDir: string, smoke: boolean): Promise<void> {
  const passages = readRows<{ id: string; title: string; text: string }>('retrieval_squad_corpus.jsonl')
  const documents = [
    ...passages.map(({ id, title, text }) => ({ id, title, content: text, contentType: 'text/plain' })),
    ...(smoke ? [] : readFolder('corpus_md')).map(({ name, bytes }) => ({
      id: name,
      content: bytes.toString(),
      contentType: 'text/markdown',
    })),
  ].slice(0, smoke ? SMOKE_DOCUMENTS : undefined)
  const server = await startServer(dataDir)
  const raw = documents.map((each) => JSON.stringify(each)).join('\n')
  await request(server, 'POST', '/v1/documents/bulk', {
    raw,
    headers: { 'Content-Type': 'application/x-ndjson' },
  })
  await eventually(
    'the corpus is indexed',
    async () => {
      const { queued = 0, ...settled } = (await request<Status>(server, 'GET', '/v1/status')).body.documents
      return queued === 0 && Object.values(settled).reduce((a, b) => a + b, 0) >= documents.length
    },
    SETTLE_MS,
  )
  await server.kill('SIGTERM')
}

async function bareOnce(bare: ChildProcess, question: BareQuestion): Promise<number> {
  bare.send(question)
  const [ms] = (await once(bare, 'message')) as [number]
  return ms
}

/** Milliseconds from the request to the last byte of its answer. */
async function post(url: string, body: object, agent: Agent): Promise<number> {
  const text = JSON.stringify(body)
  const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }
  const started = performance.now()
  return await new Promise<number>((resolve, reject) => {
    const sent = httpRequest(url, { method: 'POST', agent, headers }, (response) => {
      response.on('data', () => {})
      response.on('end', () => {
        if (response.statusCode === 200) resolve(performance.now() - started)
        else reject(new Error(`${url}: ${response.statusCode}`))
      })
      response.on('error', reject)
    })
    sent.on('error', reject)
    sent.end(text)
  })
}

const CONNECTIONS = 50
const LOAD_QUESTIONS = 600

/** Searches a second with many callers, for the notes. */
async function underLoad(
  server: Server,
  questions: readonly string[],
  say: (line: string) => void,
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  let next = 0
  const times: number[] = []
  const started = performance.now()
  const caller = async (): Promise<void> => {
    while (next < LOAD_QUESTIONS)
      times.push(
        await post(`${server.url}/v1/search`, { query: questions[next++ % questions.length]! }, agent),
      )
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, caller))
  const perSecond = LOAD_QUESTIONS / ((performance.now() - started) / 1000)
  agent.destroy()
  say(
    `  ${CONNECTIONS} connections: ${perSecond.toFixed(0)} searches/s, p50 ${quantile(times, 0.5).toFixed(0)} ms, p95 ${quantile(times, 0.95).toFixed(0)} ms`,
  )
}

const ANSWER =
  'The river rises in the spring, where the snow of the mountains melts, and reaches the sea. [1]'

/** As an LLM streams, word by word, but without a delay. */
const answerAtOnce: Step = (response) => {
  response.writeHead(200, { 'Content-Type': 'text/event-stream' })
  const common = { id: 'x', object: 'chat.completion.chunk', created: 0, model: 'scripted' }
  const send = (more: object) => response.write(`data: ${JSON.stringify({ ...common, ...more })}\n\n`)
  for (const word of ANSWER.split(' '))
    send({ choices: [{ index: 0, delta: { content: `${word} ` }, finish_reason: null }] })
  send({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })
  send({ choices: [], usage: { prompt_tokens: 500, completion_tokens: 20, total_tokens: 520 } })
  response.end('data: [DONE]\n\n')
}
