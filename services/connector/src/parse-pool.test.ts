import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { longestTurnMs } from '@aquifer/runtime/longest-turn.fixture'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { createParsePool } from './parse-pool.ts'
import type { ParsePool, ParsePoolOptions } from './parse-pool.ts'
import type { ParsedDocument } from './parse.ts'

const file = (content: string, contentType = 'text/plain') => ({
  bytes: Buffer.from(content),
  contentType,
  filename: null,
  title: null,
})
const failure = (code: string, retryable = false) => expect.objectContaining({ code, retryable })

/** Long enough for a process to start on a busy machine, short enough to wait for. */
const options: ParsePoolOptions = {
  tokenizerPath: null,
  timeoutMs: 8000,
  memoryMb: 96,
  maxQueue: 2,
  workerFile: new URL('./parse-worker.fixture.ts', import.meta.url),
}

describe('a pool of one process', () => {
  let pool: ParsePool
  beforeAll(() => {
    pool = createParsePool(options)
  })
  afterAll(() => pool.close())

  it('a document: comes back as text and chunks; its bytes stay with the caller', async () => {
    const input = { ...file('# Title\n\nSome text.', 'text/markdown'), filename: 'a.md' }
    const parsed = await pool.parse(input)
    expect(parsed).toMatchObject({
      text: 'Title\n\nSome text.',
      title: 'Title',
      mediaType: 'text/markdown',
      pages: 0,
    })
    expect(parsed.chunks).toEqual([
      { index: 0, text: 'Title\n\nSome text.', headings: ['Title'], page: null, start: 0, end: 17 },
    ])
    expect(input.bytes.toString()).toBe('# Title\n\nSome text.')
  })

  it("the title: the producer's, else the document's, else the file's name", async () => {
    const titles = await Promise.all([
      pool.parse({ ...file('# Own\n\ntext', 'text/markdown'), title: 'Given', filename: 'a.md' }),
      pool.parse({ ...file('text, and more.'), filename: 'a.txt' }),
    ])
    expect(titles.map((each) => each.title)).toEqual(['Given', 'a.txt'])
  })

  it("a document's own failure: crosses with its code, message and status", async () => {
    const error = await pool.parse(file(' ')).catch((each: unknown) => each)
    expect(error).toEqual(failure('empty'))
    expect(error).toMatchObject({ status: 400, message: 'the content is blank: publish a text' })
  })

  it.each([
    ['hang', 'timeout'],
    ['fill the heap', 'out_of_memory'],
    ['fill buffers', 'out_of_memory'],
    ['throw', 'broken'],
    ['end the process', 'broken'],
  ])(
    'a parser that would %s: fails that document alone, as %s, and the next one is read',
    async (content, code) => {
      const [bad, good] = await Promise.allSettled([pool.parse(file(content)), pool.parse(file('good'))])
      expect(bad).toMatchObject({ status: 'rejected', reason: failure(code) })
      expect(good).toMatchObject({ status: 'fulfilled', value: { text: 'good' } })
    },
  )

  it('a stop that reaches the parser too, as Ctrl-C does: the document under way is read', async () => {
    expect((await pool.parse(file('asked to stop'))).text).toBe('asked to stop')
  })

  it('a queue that is full: parser_busy, which a retry can help', async () => {
    const settled = await Promise.allSettled(['a', 'b', 'c', 'd'].map((each) => pool.parse(file(each))))
    expect(settled.slice(0, 3).map((each) => each.status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
    expect(settled[3]).toMatchObject({ reason: failure('parser_busy', true) })
  })

  it('a caller that gives up while another document is read: that one and those behind it are read', async () => {
    const stop = new AbortController()
    const running = pool.parse(file('a document '.repeat(50_000)))
    const waiting = pool.parse(file('b'), stop.signal)
    const behind = pool.parse(file('c'))
    stop.abort(new Error('given up'))
    await expect(waiting).rejects.toThrow('given up')
    expect((await running).text).toHaveLength(549_999)
    expect((await behind).text).toBe('c')
  })

  it('a document that ends the process right after another one: the other one is not to blame', async () => {
    const settled = await Promise.allSettled(
      ['long prose '.repeat(30_000), 'end the process', 'good'].map((each) => pool.parse(file(each))),
    )
    expect(settled.map((each) => each.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(settled[1]).toMatchObject({ reason: failure('broken') })
  })

  it('a document that hangs right after another one: the other one has its answer before', async () => {
    const stop = new AbortController()
    const first = pool.parse(file('long prose '.repeat(300_000)))
    const hanging = pool.parse(file('hang'), stop.signal)
    expect((await first).chunks.length).toBeGreaterThan(1000)
    stop.abort(new Error('given up'))
    await expect(hanging).rejects.toThrow('given up')
  })

  it('a caller that gives up: frees its place, waiting or under way', async () => {
    const stop = new AbortController()
    const running = pool.parse(file('hang'), stop.signal)
    const waiting = pool.parse(file('b'), stop.signal)
    stop.abort(new Error('given up'))
    await expect(running).rejects.toThrow('given up')
    await expect(waiting).rejects.toThrow('given up')
    expect((await pool.parse(file('after'))).text).toBe('after')
  })
})

it('5 MB of prose: never holds the calling thread for 50 ms', async () => {
  const pool = createParsePool({ ...options, timeoutMs: 60_000 })
  const prose = 'A sentence about nothing much. '.repeat(160_000)
  await pool.parse(file('warm'))
  let parsed: ParsedDocument | undefined
  const longestMs = await longestTurnMs(async () => (parsed = await pool.parse(file(prose))))
  await pool.close()
  const { chunks, text } = parsed!
  expect(chunks.length).toBeGreaterThan(1000)
  // They come in parts, none of which is lost.
  expect(chunks.every(({ index }, i) => index === i)).toBe(true)
  expect(chunks.at(-1)!.end).toBe(text.length)
  expect(longestMs).toBeLessThan(50)
})

it('documents that were read: the pool keeps none of them', async () => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const pool = createParsePool(options)
  const read: WeakRef<ParsedDocument>[] = []
  for (let i = 0; i < 8; i++) read.push(new WeakRef(await pool.parse(file(`document ${i}`))))
  // The last one may still be on the stack of what delivered it.
  await expect
    .poll(() => (gc(), read.slice(0, -1).filter((each) => each.deref() !== undefined).length), {
      timeout: 10_000,
    })
    .toBe(0)
  await pool.close()
})

it('close: ends what is under way as parser_closed', async () => {
  const pool = createParsePool(options)
  const pending = [pool.parse(file('hang')), pool.parse(file('waiting'))]
  const settled = Promise.allSettled(pending)
  await pool.close()
  for (const each of await settled) expect(each).toMatchObject({ reason: failure('parser_closed', true) })
  await expect(pool.parse(file('late'))).rejects.toEqual(failure('parser_closed', true))
})

it('a tokenizer that cannot be read: parser_unavailable, never a failure of the document', async () => {
  const pool = createParsePool({ ...options, tokenizerPath: fileURLToPath(import.meta.url) })
  await expect(pool.parse(file('hello'))).rejects.toEqual(failure('parser_unavailable', true))
  await pool.close()
})

it('too many bytes: refused before they are copied', async () => {
  const pool = createParsePool({ ...options, limits: { maxBytes: 4 } })
  await expect(pool.parse(file('hello'))).rejects.toEqual(failure('too_large'))
  await pool.close()
})

it('the build: changes with how documents are cut and with what counts their tokens', async () => {
  const pools = [createParsePool(options), createParsePool({ ...options, chunk: { targetTokens: 100 } })]
  expect(pools[0]!.build).not.toBe(pools[1]!.build)
  expect(pools[0]!.build).toContain('characters/4')
  await Promise.all(pools.map((each) => each.close()))
})

it.skipIf(process.platform !== 'linux')(
  'kill -9: a parser that reads for ever does not outlive its process (seen through /proc, on Linux)',
  async () => {
    const owner = spawn(process.execPath, [
      fileURLToPath(new URL('./parse-orphan.fixture.ts', import.meta.url)),
    ])
    await once(owner.stdout, 'data')
    const children = readFileSync(`/proc/${owner.pid}/task/${owner.pid}/children`, 'utf8').trim().split(' ')
    expect(children).toHaveLength(1)
    owner.kill('SIGKILL')
    await expect.poll(() => existsSync(`/proc/${children[0]}/stat`), { timeout: 10_000 }).toBe(false)
  },
)
