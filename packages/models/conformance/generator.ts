import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { GenerateEvent, GenerateRequest, Generator } from '../src/generator.ts'

export interface GeneratorUnderTest {
  readonly name: string
  open(): Promise<Generator>
  /** Case → why this adapter cannot pass it. */
  readonly skip?: Readonly<Record<string, string>>
}

const TEXT = 'Kafka keeps records in partitions. A consumer group commits its offsets to the broker.'

/** A request that every generator can answer: one passage holds the answer. */
export function generateRequest(changes: Partial<GenerateRequest> = {}): GenerateRequest {
  const question = 'Where does a consumer group commit its offsets?'
  return {
    question,
    evidence: [{ marker: '[1]', title: 'Kafka', headings: ['Consumers'], text: TEXT, score: 0.9 }],
    messages: [
      { role: 'system', content: 'Answer from the evidence.' },
      { role: 'user', content: `${TEXT}\n\n${question}` },
    ],
    maxOutputTokens: 200,
    temperature: 0,
    signal: new AbortController().signal,
    ...changes,
  }
}

export async function collect(events: AsyncIterable<GenerateEvent>): Promise<GenerateEvent[]> {
  const found: GenerateEvent[] = []
  for await (const event of events) found.push(event)
  return found
}

/** Runs the promises of `Generator` on an adapter. */
export function generatorConformance(under: GeneratorUnderTest): void {
  describe(`generator ${under.name}`, () => {
    let generator: Generator
    beforeAll(async () => {
      generator = await under.open()
    }, 120_000)
    afterAll(async () => {
      await generator.close()
    })
    it('skips only cases that there are', () => {
      expect(Object.keys(cases)).toEqual(expect.arrayContaining(Object.keys(under.skip ?? {})))
    })
    for (const [name, run] of Object.entries(cases)) {
      const reason = under.skip?.[name]
      it(reason ? `${name} (skipped: ${reason})` : name, { skip: reason !== undefined }, () => run(generator))
    }
  })
}

const cases: Readonly<Record<string, (generator: Generator) => Promise<void>>> = {
  'G1: text, then one done with its usage': async (generator) => {
    const events = await collect(generator.generate(generateRequest()))
    expect(events.slice(0, -1).map(({ type }) => type)).toEqual(events.slice(0, -1).map(() => 'text'))
    expect(events.length).toBeGreaterThan(1)
    const done = events.at(-1)
    if (done?.type !== 'done') throw new Error('the last event is not done')
    expect(['stop', 'length']).toContain(done.finishReason)
    expect(done.usage.promptTokens).toBeGreaterThanOrEqual(0)
    expect(done.usage.completionTokens).toBeGreaterThan(0)
    expect([true, false, null]).toContain(done.abstained)
  },
  'G2: a signal that is aborted already stops it before the first text': async (generator) => {
    const reason = new Error('gone')
    const signal = AbortSignal.abort(reason)
    await expect(collect(generator.generate(generateRequest({ signal })))).rejects.toBe(reason)
  },
  'G2: an abort within the answer ends it with the reason, within a second': async (generator) => {
    const controller = new AbortController()
    const reason = new Error('gone')
    let abortedAt = 0
    const consume = async () => {
      for await (const event of generator.generate(generateRequest({ signal: controller.signal }))) {
        if (event.type === 'done') return 'done'
        abortedAt ||= performance.now()
        controller.abort(reason)
      }
      return 'ended'
    }
    // What has been said in full at the abort may end as it would have.
    const outcome = await consume().catch((error: unknown) => error)
    expect([reason, 'done']).toContain(outcome)
    expect(performance.now() - abortedAt).toBeLessThan(1_000)
  },
  'concurrency: answers do not mix': async (generator) => {
    const one = await collect(generator.generate(generateRequest()))
    const many = await Promise.all(
      Array.from({ length: 5 }, () => collect(generator.generate(generateRequest()))),
    )
    for (const events of many) expect(said(events)).toBe(said(one))
  },
  'identity: it has a model and limits, and answers a ping': async (generator) => {
    expect(generator.model).not.toBe('')
    expect(generator.limits.contextTokens).toBeGreaterThan(0)
    expect(generator.limits.maxOutputTokens).toBeGreaterThan(0)
    await generator.ping()
  },
}

export function said(events: readonly GenerateEvent[]): string {
  return events.map((event) => (event.type === 'text' ? event.text : '')).join('')
}
