import { Readable } from 'node:stream'
import { topics } from '@aquifer/contracts/topics'
import { formatVersion } from '@aquifer/contracts/version'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createParsePool } from './parse-pool.ts'
import type { ParsePool } from './parse-pool.ts'
import { createWorld, TENANT } from './world.fixture.ts'
import type { World } from './world.fixture.ts'

const DOCUMENTS = topics.documents.name
const BLOB = `uploads/${TENANT}/b`

let parsePool: ParsePool
let world: World

beforeAll(() => {
  parsePool = createParsePool({ tokenizerPath: null })
})
afterAll(async () => await parsePool.close())
beforeEach(async () => {
  world = await createWorld()
  await world.blobs.put(BLOB, Buffer.from('The pump is blue.'))
})
afterEach(async () => await world.close())

const named = { uri: `blob:${BLOB}`, contentType: 'text/plain' }

async function sendBlob(more: object = {}): Promise<string> {
  const position = await world.send(DOCUMENTS, 'a', { ...named, ...more })
  return formatVersion({ ...position, topic: DOCUMENTS })
}
const isKept = async (): Promise<boolean> => (await world.blobs.get(BLOB)) !== null

describe('connector: what was uploaded for a document leaves with it', () => {
  test('of a version that was deleted before it was read', async () => {
    const version = await sendBlob()
    await world.registry.raiseFloor(TENANT, 'a', version)
    await world.start({ parsePool })
    await world.settled()
    expect(await isKept()).toBe(false)
    expect(await world.read(topics.documentsDlq.name)).toEqual([])
  })

  test('of a version that was refused for its access list, once the document is deleted', async () => {
    await world.start({ parsePool })
    await world.send(DOCUMENTS, 'a', { content: 'x', contentType: 'text/plain', access: ['red'] })
    const refused = await sendBlob()
    await world.settled()
    expect((await world.record('a'))?.latest).toMatchObject({ version: refused, state: 'failed' })
    expect(await isKept()).toBe(true)
    await world.files.remove(TENANT, 'a', (held) => held <= refused)
    expect(await isKept()).toBe(false)
  })

  test('of a version that is more than can be read, of which no more than that is read', async () => {
    const strict = createParsePool({ tokenizerPath: null, limits: { maxBytes: 100_000 } })
    let readBytes = 0
    const slices = async function* () {
      for (; readBytes < 10_000_000; readBytes += 10_000) yield Buffer.alloc(10_000)
    }
    await world.start({
      parsePool: strict,
      blobs: (blobs) => ({ ...blobs, stream: async () => Readable.from(slices()) }),
    })
    const version = await sendBlob()
    await world.settled()
    expect((await world.record('a'))?.latest).toMatchObject({ version, error: { code: 'too_large' } })
    expect(readBytes).toBeLessThan(1_000_000)
    expect(await isKept()).toBe(true)
    await world.files.remove(TENANT, 'a', (held) => held === version)
    expect(await isKept()).toBe(false)
    await strict.close()
  })

  test('but not while another version of it names the same blob', async () => {
    await world.start({ parsePool })
    const first = await sendBlob()
    const second = await sendBlob({ metadata: { edited: true } })
    await world.settled()
    await world.files.remove(TENANT, 'a', (held) => held === first)
    expect(await isKept()).toBe(true)
    await world.files.remove(TENANT, 'a', (held) => held === second)
    expect(await isKept()).toBe(false)
  })
})
