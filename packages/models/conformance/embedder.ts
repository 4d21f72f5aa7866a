import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Embedder, Embedding } from '../src/embedder.ts'

/** How an adapter is opened for the suite, and what it may not be asked. */
export interface EmbedderUnderTest {
  readonly name: string
  open(): Promise<Embedder>
  /** Largest difference in any dimension between two vectors of one text in different company. */
  readonly noise: number
  /** Case → why this adapter cannot pass it. */
  readonly skip?: Readonly<Record<string, string>>
}

const NEAR = 'The broker stores each record of a topic in a partition on disk.'
const FAR = 'My grandmother bakes an apple pie with cinnamon every Sunday.'
const QUESTION = 'Where does the broker store a record of a topic?'
const LONG = Array.from({ length: 3_000 }, (_, index) => `word${index % 97} and`).join(' ')
const ODD = [
  '',
  ' \t\r\n ',
  '🚀👩‍💻',
  'a\u0000b',
  '\ud800 lone',
  '数据库',
  '[CLS] [SEP] [PAD]',
  '\u0301\u0301',
  'x'.repeat(1_000_000),
]
const DEADLINE_MS = 20_000

type Case = (embedder: Embedder, under: EmbedderUnderTest) => Promise<void>

/** Runs the promises of `Embedder` on an adapter. */
export function embedderConformance(under: EmbedderUnderTest): void {
  describe(`embedder ${under.name}`, () => {
    let embedder: Embedder
    beforeAll(async () => {
      embedder = await under.open()
    }, 120_000)
    afterAll(async () => {
      await embedder.close()
    })
    it('skips only cases that there are', () => {
      expect(Object.keys(cases)).toEqual(expect.arrayContaining(Object.keys(under.skip ?? {})))
    })
    for (const [name, run] of Object.entries(cases)) {
      const reason = under.skip?.[name]
      it(reason ? `${name} (skipped: ${reason})` : name, { skip: reason !== undefined }, () =>
        run(embedder, under),
      )
    }
    it('close: what comes after it is refused as retryable', async () => {
      const other = await under.open()
      await other.close()
      await expect(other.embed([{ text: NEAR }], { lane: 'query' })).rejects.toMatchObject({
        code: 'embedder_closed',
        retryable: true,
      })
    })
  })
}

const cases: Readonly<Record<string, Case>> = {
  'vectors: one for each passage, in order, of unit length': async (embedder) => {
    const texts = [NEAR, FAR, QUESTION, LONG, NEAR]
    const embeddings = await embedder.embed(texts.map(toPassage), { lane: 'bulk' })
    expect(embeddings).toHaveLength(texts.length)
    for (const { vector } of embeddings) expectUnit(vector, embedder.dimensions)
    const [near, far, question, , again] = embeddings
    expect(difference(near!, again!)).toBeLessThan(1e-2)
    expect(cosine(question!, near!)).toBeGreaterThan(cosine(question!, far!))
    expect(await embedder.embed([], { lane: 'query' })).toEqual([])
  },
  'M1: a text has the same vector alone and among others': async (embedder, { noise }) => {
    const passages = [FAR, LONG, NEAR, 'short', QUESTION.repeat(7), LONG.slice(0, 900)].map(toPassage)
    const together = await embedder.embed(passages, { lane: 'bulk' })
    for (const [index, passage] of passages.entries()) {
      const [alone] = await embedder.embed([passage], { lane: 'query' })
      expect(difference(alone!, together[index]!)).toBeLessThanOrEqual(noise)
    }
  },
  'M2: the caller’s thread does not compute': async (embedder) => {
    const passages = Array.from({ length: 40 }, (_, index) => toPassage(`${index} ${LONG.slice(0, 1_000)}`))
    const [thread, process_] = [process.threadCpuUsage(), process.cpuUsage()]
    await embedder.embed(passages, { lane: 'bulk' })
    const own = process.threadCpuUsage(thread)
    const all = process.cpuUsage(process_)
    expect((own.user + own.system) / (all.user + all.system)).toBeLessThan(0.2)
  },
  'M3: a text is cut at maxTokens, and its tokens are counted as countTokens counts': async (embedder) => {
    const [all, few] = await embedder.countTokens([LONG, NEAR])
    expect(all!).toBeGreaterThan(embedder.maxTokens)
    const [long, longer, near] = await embedder.embed([LONG, LONG + FAR, NEAR].map(toPassage), {
      lane: 'bulk',
    })
    expect(long!.tokens).toBe(embedder.maxTokens)
    expect(difference(long!, longer!)).toBeLessThan(1e-2)
    expect(near!.tokens).toBe(few)
  },
  'countTokens: an empty text has none, and parts add up': async (embedder) => {
    const [none, one, two, both] = await embedder.countTokens(['', NEAR, FAR, `${NEAR} ${FAR}`])
    expect(none).toBe(0)
    expect(Math.abs(one! + two! - both!)).toBeLessThanOrEqual(1)
    expect(await embedder.countTokens([])).toEqual([])
  },
  'odd texts: each has a vector, in time': async (embedder) => {
    const embeddings = await inTime(embedder.embed(ODD.map(toPassage), { lane: 'interactive' }))
    for (const { vector } of embeddings) expectUnit(vector, embedder.dimensions)
    await inTime(embedder.countTokens(ODD))
  },
  'words: none unless asked for, and bits and vectors of the same words': async (embedder) => {
    const passage = { text: `A heading > of context: ${NEAR}`, contextLength: 24 }
    const [plain] = await embedder.embed([passage], { lane: 'query' })
    const [bits] = await embedder.embed([passage], { lane: 'query', words: 'bits' })
    const [vectors] = await embedder.embed([passage], { lane: 'query', words: 'vectors' })
    expect(plain!.words).toBeNull()
    if (!bits!.words) return
    const words = ['broker', 'stores', 'record', 'topic', 'partition', 'disk']
    expect([bits!.words.words, vectors!.words?.words]).toEqual([words, words])
    expect([bits!.words.vectors, vectors!.words!.bits]).toEqual([null, null])
    const states = vectors!.words!.vectors!
    words.forEach((_, word) => {
      const state = states.subarray(word * embedder.dimensions, (word + 1) * embedder.dimensions)
      expectUnit(state, embedder.dimensions)
      state.forEach((value, index) => {
        const bit = word * embedder.dimensions + index
        const set = (bits!.words!.bits![bit >> 3]! >> (7 - (bit & 7))) & 1
        if (Math.abs(value) > 1e-3) expect(set).toBe(value > 0 ? 1 : 0)
      })
    })
    const [stopWords] = await embedder.embed([toPassage('the of and')], { lane: 'query', words: 'vectors' })
    expect(stopWords!.words!.vectors).toEqual(stopWords!.vector)
  },
  'M4: a query overtakes bulk work, and bulk work ends under a stream of queries': async (embedder) => {
    const order: string[] = []
    const bulk = embedder
      .embed(
        Array.from({ length: 48 }, (_, index) => toPassage(`${index} ${LONG.slice(0, 600)}`)),
        { lane: 'bulk' },
      )
      .then(() => order.push('bulk'))
    await embedder.embed([toPassage(QUESTION)], { lane: 'query' }).then(() => order.push('query'))
    expect(order).toEqual(['query'])
    const queries = (async () => {
      while (order.length < 2) await embedder.embed([toPassage(QUESTION)], { lane: 'query' })
    })()
    await inTime(bulk)
    await queries
  },
  'abort: ends with the signal’s reason within a second, and harms nothing else': async (embedder) => {
    const controller = new AbortController()
    const passages = Array.from({ length: 400 }, (_, index) => toPassage(`${index} ${LONG.slice(0, 600)}`))
    const aborted = embedder.embed(passages, { lane: 'bulk', signal: controller.signal })
    const other = embedder.embed([toPassage(NEAR)], { lane: 'bulk' })
    const reason = new Error('not wanted any more')
    const outcome = aborted.catch((error: unknown) => error)
    controller.abort(reason)
    const start = performance.now()
    expect(await outcome).toBe(reason)
    expect(performance.now() - start).toBeLessThan(1_000)
    expectUnit((await inTime(other))[0]!.vector, embedder.dimensions)
    await expect(embedder.embed(passages, { lane: 'bulk', signal: controller.signal })).rejects.toBe(reason)
  },
  'concurrency: each of many callers has its own vectors': async (embedder) => {
    const texts = Array.from({ length: 24 }, (_, index) => `${index} ${index % 2 ? NEAR : FAR}`)
    const alone = await embedder.embed(texts.map(toPassage), { lane: 'bulk' })
    const apart = await Promise.all(
      texts.map((text, index) =>
        embedder.embed([toPassage(text)], { lane: (['query', 'interactive', 'bulk'] as const)[index % 3]! }),
      ),
    )
    apart.forEach(([each], index) => expect(difference(each!, alone[index]!)).toBeLessThan(1e-2))
  },
  'identity: it has a fingerprint, a name and dimensions, and answers a ping': async (embedder) => {
    expect(embedder.fingerprint).toMatch(/^[0-9a-f]{32}$/)
    expect(embedder.name).not.toBe('')
    expect(embedder.dimensions).toBeGreaterThan(0)
    await inTime(embedder.ping())
  },
}

function toPassage(text: string) {
  return { text }
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`not done in ${DEADLINE_MS} ms`)), DEADLINE_MS)
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}

function expectUnit(vector: Float32Array, dimensions: number): void {
  expect(vector).toHaveLength(dimensions)
  expect(Math.hypot(...vector)).toBeCloseTo(1, 3)
}

export function cosine(
  { vector: a }: Pick<Embedding, 'vector'>,
  { vector: b }: Pick<Embedding, 'vector'>,
): number {
  return a.reduce((sum, value, index) => sum + value * b[index]!, 0)
}

function difference({ vector: a }: Embedding, { vector: b }: Embedding): number {
  return a.reduce((largest, value, index) => Math.max(largest, Math.abs(value - b[index]!)), 0)
}
