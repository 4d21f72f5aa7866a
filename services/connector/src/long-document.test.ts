import { topics } from '@aquifer/contracts/topics'
import { expect, test } from 'vitest'
import type { ParsePool } from './parse-pool.ts'
import { chunksCodec, createWorld } from './world.fixture.ts'

/** As many as a document can have, of as much text as they usually have at most. */
const CHUNKS = 20_000
const CHUNK_TEXT = 'A sentence about nothing much. '.repeat(60)

test('a document of 20,000 chunks: from its parser to the log other work has its turn after each part', async () => {
  const chunks = Array.from({ length: CHUNKS }, (_, index) => ({
    index,
    // One of its own, as what comes from another thread is.
    text: `${index} ${CHUNK_TEXT}`,
    headings: ['Part', `Section ${index}`],
    page: null,
    start: 0,
    end: 1,
  }))
  const parsed = {
    text: 'The text itself.',
    title: 'Long',
    language: 'en',
    fingerprint: null,
    mediaType: 'text/plain',
    pages: 0,
    chunks,
    guard: { verdicts: [], action: 'allow' as const },
  }
  const parsePool: ParsePool = {
    build: 'x',
    maxBytes: 1_000_000,
    parse: async () => parsed,
    close: async () => {},
  }
  const world = await createWorld()
  try {
    let turns = 0
    let turnsBetween = 0
    await world.start({
      parsePool,
      onWrite(write) {
        if (write === 'text') turns = 0
        if (write === 'chunks') turnsBetween = turns
      },
    })
    const count = () => {
      turns++
      counting = setImmediate(count)
    }
    let counting = setImmediate(count)
    await world.send(topics.documents.name, 'long', { content: 'x', contentType: 'text/plain' })
    await world.settled()
    clearImmediate(counting)
    const indexes: number[] = []
    for (const { partition, earliest, next } of await world.log.offsets(topics.chunks.name))
      for (let from = earliest; from < next;) {
        const records = await world.log.read(topics.chunks.name, partition, from, 8)
        for (const { value } of records)
          indexes.push(...chunksCodec.decode(value!).chunks.map(({ index }) => index))
        from = records.at(-1)!.offset + 1
      }
    expect(indexes).toEqual(chunks.map(({ index }) => index))
    const parts = (await world.log.offsets(topics.chunks.name)).reduce((sum, { next }) => sum + next, 0)
    expect(parts).toBeGreaterThan(50)
    expect(turnsBetween).toBeGreaterThanOrEqual(parts - 1)
  } finally {
    await world.close()
  }
})
