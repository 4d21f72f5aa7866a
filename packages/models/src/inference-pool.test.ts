import { afterEach, describe, expect, it } from 'vitest'
import { InferencePool } from './inference-pool.ts'

const pools: InferencePool[] = []
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()))
})

function open({ tokenizer = '', jobTimeoutMs = 20_000 } = {}): InferencePool {
  const pool = new InferencePool({
    setup: {
      graph: '',
      tokenizer,
      dimensions: 1,
      maxTokens: 100,
      device: 'cpu',
      intraOpThreads: 1,
      runTokens: 1,
    },
    documentWorkers: 1,
    jobTokens: 100,
    jobTimeoutMs,
    module: new URL('inference-pool.test-worker.ts', import.meta.url),
  })
  pools.push(pool)
  return pool
}

const bulk = { lane: 'bulk' } as const
const good = { text: 'good' }

describe('inference pool', () => {
  it('P2: a passage that kills its worker fails as retryable, and takes no other with it', async () => {
    const pool = open()
    const fatal = pool.embed([{ text: 'die' }], bulk).catch((error: unknown) => error)
    const others = Promise.all(Array.from({ length: 5 }, () => pool.embed([good, good], bulk)))
    expect(await fatal).toMatchObject({ code: 'embedder_failed', retryable: true })
    expect((await others).flat()).toHaveLength(10)
    expect(await pool.embed([good], bulk)).toHaveLength(1)
  })

  it('P2: a worker that hangs is replaced', async () => {
    const pool = open({ jobTimeoutMs: 150 })
    await expect(pool.embed([{ text: 'hang' }], bulk)).rejects.toMatchObject({ code: 'embedder_failed' })
    expect(await pool.embed([good], bulk)).toHaveLength(1)
  })

  it('P2: what the model fails at is tried again, then fails with what it said', async () => {
    const pool = open()
    await expect(pool.embed([{ text: 'fail' }], bulk)).rejects.toMatchObject({
      code: 'embedder_failed',
      retryable: true,
      message: expect.stringContaining('out of memory') as string,
    })
  })

  it('P1: a query is answered while the document worker hangs', async () => {
    const pool = open()
    const hanging = pool.embed([{ text: 'hang' }], bulk).catch((error: unknown) => error)
    expect(await pool.embed([good], { lane: 'query' })).toHaveLength(1)
    await pool.close()
    expect(await hanging).toMatchObject({ code: 'embedder_closed' })
  })

  it('P3: what waits is bounded', async () => {
    const pool = open()
    const hanging = pool.embed([{ text: 'hang' }], bulk).catch((error: unknown) => error)
    const large = { text: 'x'.repeat(256 * 1024) }
    const waiting = pool
      .embed(
        Array.from({ length: 255 }, () => large),
        bulk,
      )
      .catch((error: unknown) => error)
    await expect(pool.embed([large, large, large], bulk)).rejects.toMatchObject({
      code: 'embedder_busy',
      retryable: true,
    })
    await pool.close()
    await Promise.all([hanging, waiting])
  })

  it('batches within the budget of a job', async () => {
    const pool = open()
    const passages = Array.from({ length: 90 }, () => ({ text: 'x'.repeat(36) }))
    const sizes = (await pool.embed(passages, bulk)).map(({ vector }) => vector[0]!)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(9)
    expect(Math.max(...sizes)).toBeGreaterThan(1)
  })

  it('countTokens: a long text is counted in slices that end where words do', async () => {
    const text = 'word '.repeat(50_000)
    const endless = 'x'.repeat(300_000)
    const [sum, none, whole] = await open().countTokens([text, '', endless])
    expect([sum, none, whole]).toEqual([text.length, 0, endless.length])
  })

  it('says why no worker starts', async () => {
    await expect(open({ tokenizer: 'unusable' }).started).rejects.toMatchObject({
      code: 'embedder_unusable',
      message: 'no such device',
    })
  })

  it('close: in-progress work ends, and a second close does nothing', async () => {
    const pool = open()
    await pool.started
    const work = pool.embed([good], { lane: 'query' })
    await pool.close()
    expect(await work).toHaveLength(1)
    await pool.close()
  })
})
