import { MAX_INLINE_BYTES, topics } from '@aquifer/contracts/topics'
import { formatVersion } from '@aquifer/contracts/version'
import { invalid } from '@aquifer/runtime/errors'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createParsePool } from './parse-pool.ts'
import type { ParsePool } from './parse-pool.ts'
import { avroDocument, createWorld, TENANT } from './world.fixture.ts'
import type { World } from './world.fixture.ts'

/** What producers that nobody here wrote put on `aquifer.documents`, and what becomes of it. */
const DOCUMENTS = topics.documents.name
const CE = { ce_specversion: '1.0', ce_id: 'e1', ce_source: '/test', ce_type: 'doc' }

let parsePool: ParsePool
let world: World

beforeAll(() => {
  parsePool = createParsePool({ tokenizerPath: null })
})
afterAll(async () => await parsePool.close())
beforeEach(async () => {
  world = await createWorld()
  await world.start({ parsePool })
})
afterEach(async () => await world.close())

const json = (value: unknown) => Buffer.from(JSON.stringify(value))
const causes = async () =>
  (await world.read(topics.documentsDlq.name)).map(
    ({ headers }) => headers['__connect.errors.exception.class.name'],
  )

describe('what is taken', () => {
  const base64 = Buffer.from('The heron waits.').toString('base64')
  const cases: [string, Buffer, Record<string, string>, object][] = [
    ['JSON without headers', json({ content: 'The heron waits.' }), {}, { title: null }],
    ['JSON with a BOM', Buffer.from(`\uFEFF{"content":"The heron waits."}`), {}, {}],
    ['JSON with its own id', json({ id: 'a', content: 'The heron waits.' }), {}, {}],
    ['base64', json({ contentBase64: base64, contentType: 'text/plain' }), {}, { contentType: 'text/plain' }],
    ['a title of null', json({ content: 'The heron waits.', title: null, access: null }), {}, {}],
    [
      'JSON with its media type in a header',
      json({ content: 'The heron waits.' }),
      { 'content-type': 'application/json', traceparent: 'garbage', 'x-\uFFFD': '\uFFFD\uFFFD' },
      {},
    ],
    [
      'a CloudEvent',
      Buffer.from('The heron waits.'),
      { ...CE, 'content-type': 'text/plain', ce_subject: 'Herons', ce_time: '2026-01-02T03:04:05Z' },
      { title: 'Herons', contentType: 'text/plain', publishedAt: Date.UTC(2026, 0, 2, 3, 4, 5) },
    ],
    [
      'a CloudEvent whose headers are in another case',
      Buffer.from('The heron waits.'),
      { CE_SpecVersion: '1.0', Ce_Id: '1', 'Content-Type': 'text/plain', 'Aquifer-Title': 'Birds' },
      { title: 'Birds', contentType: 'text/plain' },
    ],
    [
      'a CloudEvent with a subject longer than a title, a time that is none and an id of its own',
      Buffer.from('The heron waits.'),
      { ...CE, ce_id: 'other', ce_subject: 's'.repeat(5000), ce_time: 'noon', 'content-type': 'text/plain' },
      { title: expect.stringMatching(/^s+$/) },
    ],
    ['a CloudEvent without a type', Buffer.from('The heron waits.'), CE, {}],
    ['Avro', avroDocument('a', 'The heron waits.', { title: 'T' }), {}, { title: 'T' }],
    ['unknown encodings in strings', Buffer.from('{"content":"The heron waits.","title":"\\ud800"}'), {}, {}],
  ]
  test.each(cases)('%s', async (_, value, headers, expected) => {
    const position = await world.send(DOCUMENTS, 'a', value, headers)
    await world.settled()
    expect(await causes()).toEqual([])
    const [made, ...more] = await world.chunksOf('a')
    expect(more).toEqual([])
    expect(made).toMatchObject({ version: formatVersion({ ...position, topic: DOCUMENTS }), ...expected })
    expect(made!.chunks.map(({ text }) => text).join('')).toContain('The heron waits.')
  })

  test('a null value deletes, whatever the headers say', async () => {
    await world.send(DOCUMENTS, 'a', json({ content: 'x' }))
    const position = await world.send(DOCUMENTS, 'a', null, { ...CE, 'content-type': 'text/plain' })
    await world.settled()
    expect(await world.record('a')).toMatchObject({
      floor: formatVersion({ ...position, topic: DOCUMENTS }),
      latest: { state: 'deleted' },
    })
  })

  test('base64 as large as a record may be is read in one go', async () => {
    const content = 'The heron waits. '.repeat(MAX_INLINE_BYTES / 17)
    await world.send(
      DOCUMENTS,
      'a',
      json({ contentBase64: Buffer.from(content).toString('base64'), contentType: 'text/plain' }),
    )
    await world.settled()
    expect(await causes()).toEqual([])
    expect((await world.chunksOf('a')).length).toBeGreaterThan(0)
  })
})

describe('what is dead-lettered, with its cause', () => {
  const structured = { specversion: '1.0', id: '1', source: '/t', type: 'doc', data: 'x' }
  const cases: [string, Buffer, Record<string, string>, string][] = [
    ['an empty value', Buffer.alloc(0), {}, 'invalid_json'],
    ['an empty CloudEvent', Buffer.alloc(0), { ...CE, 'content-type': 'text/plain' }, 'empty'],
    ['plain text without headers', Buffer.from('The heron waits.'), {}, 'invalid_json'],
    ['UTF-8 that is none', Buffer.from([0x22, 0xc3, 0x28, 0x22]), {}, 'invalid_json'],
    ['UTF-16', Buffer.from('\uFEFF{"content":"x"}', 'utf16le'), {}, 'invalid_json'],
    ['a JSON array', json([{ content: 'x' }]), {}, 'invalid_document'],
    ['a JSON null', Buffer.from('null'), {}, 'invalid_document'],
    ['a JSON text', json('x'), {}, 'invalid_document'],
    ['an unknown field', json({ content: 'x', body: 'y' }), {}, 'invalid_document'],
    ['a field of the wrong type', json({ content: 7 }), {}, 'invalid_document'],
    ['a number that is none', Buffer.from('{"content":"x","metadata":{"n":1e999}}'), {}, 'invalid_document'],
    ['deep nesting', Buffer.from('['.repeat(900_000)), {}, 'invalid_json'],
    ['an unknown field as long as the record', json({ ['k'.repeat(980_000)]: 1 }), {}, 'invalid_document'],
    ['another id', json({ id: 'b', content: 'x' }), {}, 'id_mismatch'],
    [
      'a structured CloudEvent',
      json(structured),
      { 'content-type': 'application/cloudevents+json' },
      'invalid_document',
    ],
    ['a CloudEvent that begins as Avro would', Buffer.from('\0\0\0\0\0x'), CE, 'unsupported_type'],
    [
      'a CloudEvent with a broken type',
      Buffer.from('x'),
      { ...CE, 'content-type': '\uFFFD' },
      'invalid_document',
    ],
    ['bytes that begin as Avro does', Buffer.from([0, 1, 2]), {}, 'invalid_avro'],
    ['Avro of a schema nobody knows', Buffer.from([0, 0, 0, 0, 7, 1]), {}, 'unknown_schema'],
    ['Avro with another id', avroDocument('b', 'x'), {}, 'id_mismatch'],
    [
      'Avro with content and blob',
      avroDocument('a', 'x', { blob: `uploads/${TENANT}/b` }),
      {},
      'invalid_document',
    ],
    ['Avro with neither', avroDocument('a', '', { content: null }), {}, 'invalid_document'],
    ['Avro of a time that is none', avroDocument('a', 'x', { publishedAt: 9e15 }), {}, 'invalid_document'],
  ]
  test.each(cases)('%s', async (_, value, headers, code) => {
    await world.send(DOCUMENTS, 'a', value, headers)
    await world.send(DOCUMENTS, 'next', json({ content: 'the stream goes on' }))
    await world.settled()
    expect(await causes()).toEqual([code])
    const [dead] = await world.read(topics.documentsDlq.name)
    expect(dead!.value!.equals(value)).toBe(true)
    expect(dead!.headers).toMatchObject({ ...headers, 'aquifer-attempts': '1' })
    const record = await world.record('a')
    expect(record?.latest).toMatchObject({ state: 'failed', error: { code } })
    expect(record!.latest!.error!.message.length).toBeLessThanOrEqual(1000)
    expect(await world.chunksOf('next')).toHaveLength(1)
  })

  test.each([
    ['no tenant', Buffer.from('a'), 'invalid_key'],
    ['a tenant in capitals', Buffer.from('Acme/a'), 'invalid_key'],
    ['no id', Buffer.from(`${TENANT}/`), 'invalid_id'],
    ['an id that is too long', Buffer.from(`${TENANT}/${'x'.repeat(513)}`), 'invalid_id'],
    ['bytes', Buffer.from([0xff, 0x2f, 0x61]), 'invalid_key'],
    ['a BOM before the tenant', Buffer.from(`\uFEFF${TENANT}/a`), 'invalid_key'],
  ])('a key with %s, of a deletion too', async (_, key, code) => {
    for (const value of [json({ content: 'x' }), null])
      await world.log.append(DOCUMENTS, [{ key, value, headers: {} }])
    await world.settled()
    expect(await causes()).toEqual([code, code])
    expect(await world.read(topics.indexed.name)).toEqual([])
  })

  test('a replay that names no version: it would win over what came after its origin', async () => {
    await world.send(topics.documentsRetry.name, 'a', json({ content: 'old' }))
    await world.settled()
    expect(await causes()).toEqual(['invalid_version'])
    expect(await world.record('a')).toBeUndefined()
  })
})

describe('what stops a parser', () => {
  test.each(['timeout', 'out_of_memory'])(
    'a document is tried twice before %s is its fault',
    async (code) => {
      world.crash()
      const tries: string[] = []
      await world.start({
        parsePool: {
          ...parsePool,
          parse: async (input, signal) => {
            const text = Buffer.from(input.bytes).toString()
            tries.push(text)
            if (
              text === 'heavy' ||
              (text === 'unlucky' && tries.filter((each) => each === text).length === 1)
            )
              throw invalid(code, 'stopped', 422)
            return await parsePool.parse(input, signal)
          },
        },
      })
      await world.send(DOCUMENTS, 'heavy', json({ content: 'heavy' }))
      await world.send(DOCUMENTS, 'unlucky', json({ content: 'unlucky' }))
      await world.settled()
      expect(tries.sort()).toEqual(['heavy', 'heavy', 'unlucky', 'unlucky'])
      const [dead, ...more] = await world.read(topics.documentsDlq.name)
      expect([dead!.key!.toString(), dead!.headers['aquifer-attempts'], more]).toEqual([
        `${TENANT}/heavy`,
        '2',
        [],
      ])
      expect(await world.chunksOf('unlucky')).toHaveLength(1)
    },
  )
})
