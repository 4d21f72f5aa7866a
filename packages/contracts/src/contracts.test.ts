import avro from 'avsc'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCodec, schemaVersions, subjects } from './avro.ts'
import { incompatibilities } from './check-compatibility.ts'
import { readDocumentEvent } from './document-input.ts'
import { matchesFilter, metadataFilter } from './filter.ts'
import { parseTopicKey, pointId, topicKey } from './keys.ts'
import type { Subject } from './topics.ts'
import type { Document } from './types.ts'
import { formatReceipt, formatVersion, parseReceipt, parseVersion } from './version.ts'

const unicode = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
  .filter((text) => Buffer.byteLength(text) <= 512)
const tenant = fc.stringMatching(/^[a-z0-9_-]{1,63}$/)
const origin = fc.record({
  appendTimeMs: fc.integer({ min: 0, max: 2 ** 44 }),
  topic: fc.constantFrom('aquifer.documents', 'aquifer.documents.bulk'),
  partition: fc.integer({ min: 0, max: 99_999 }),
  offset: fc.maxSafeNat(),
})

/** A value of any of our schemas, made from the schema itself. */
function valueOf(type: avro.Type): fc.Arbitrary<unknown> {
  const name = type.typeName
  if (name.startsWith('union'))
    return fc.oneof(...(type as unknown as { types: avro.Type[] }).types.map(valueOf))
  if (name === 'logical:timestamp-millis') return fc.integer({ min: 0, max: 2 ** 44 })
  switch (name) {
    case 'null':
      return fc.constant(null)
    case 'string':
      return fc.string({ unit: 'grapheme' })
    case 'boolean':
      return fc.boolean()
    case 'int':
      return fc.integer()
    case 'long':
      return fc.integer({ min: 0, max: 2 ** 44 })
    case 'double':
      return fc.double({ noNaN: true })
    case 'bytes':
      return fc.uint8Array().map((bytes) => Buffer.from(bytes))
    case 'array':
      return fc.array(valueOf((type as avro.types.ArrayType).itemsType), { maxLength: 4 })
    case 'map':
      return fc.dictionary(
        fc.string({ minLength: 1 }).filter((key) => key !== '__proto__'),
        valueOf((type as avro.types.MapType).valuesType),
        { maxKeys: 4, noNullPrototype: true },
      )
    case 'enum':
      return fc.constantFrom(...(type as avro.types.EnumType).symbols)
    case 'record':
      return fc.record(
        Object.fromEntries(
          (type as avro.types.RecordType).fields.map((field) => [field.name, valueOf(field.type)]),
        ),
        { noNullPrototype: true },
      )
    default:
      throw new Error(`no values for ${name}`)
  }
}

describe('wire format', () => {
  for (const subject of subjects()) {
    test(`${subject}: what is written is read back the same`, () => {
      const codec = createCodec(subject as Subject)
      const newest = schemaVersions(subject).at(-1)!
      fc.assert(
        fc.property(valueOf(newest.type), (value) => {
          const bytes = codec.encode(value as never)
          expect(bytes[0]).toBe(0)
          expect(bytes.readUInt32BE(1)).toBeGreaterThanOrEqual(2 ** 30)
          expect({ ...(codec.decode(bytes) as object) }).toEqual(value)
        }),
        { numRuns: 50 },
      )
    })
  }

  test('decode: bytes that are not the format name what is wrong', () => {
    const codec = createCodec('feedback')
    expect(() => codec.decode(Buffer.from('{}'))).toThrow(expect.objectContaining({ code: 'invalid_avro' }))
    expect(() => codec.decode(Buffer.from([0, 0, 0, 0, 9, 1]))).toThrow(
      expect.objectContaining({ code: 'unknown_schema' }),
    )
    expect(() => codec.decode(Buffer.from([0, 0x40, 0, 0, 6, 1]))).toThrow(
      expect.objectContaining({ code: 'invalid_avro' }),
    )
  })
})

test('compatibility: a field without a default is refused, one with a default is not', () => {
  const record = (fields: unknown[]) =>
    avro.Type.forSchema({ type: 'record', name: 'R', fields } as avro.Schema)
  const one = { name: 'a', type: 'int' }
  expect(incompatibilities('r', [record([one]), record([one, { name: 'b', type: 'int' }])])).toHaveLength(1)
  expect(
    incompatibilities('r', [record([one]), record([one, { name: 'b', type: 'int', default: 0 }])]),
  ).toEqual([])
})

describe('versions', () => {
  test('sort bytewise as their origins do', () => {
    fc.assert(
      fc.property(origin, origin, (a, b) => {
        const fields = (o: typeof a) => [o.appendTimeMs, o.topic, o.partition, o.offset] as const
        const [x, y] = [fields(a), fields(b)]
        const index = x.findIndex((field, i) => field !== y[i])
        const expected = index < 0 ? 0 : x[index]! < y[index]! ? -1 : 1
        expect(Math.sign(Buffer.compare(Buffer.from(formatVersion(a)), Buffer.from(formatVersion(b))))).toBe(
          expected,
        )
        expect(parseVersion(formatVersion(a))).toEqual(a)
      }),
    )
  })

  test('receipts: any id comes back, also as id@partition:offset', () => {
    fc.assert(
      fc.property(tenant, unicode, origin, (owner, id, o) => {
        expect(parseReceipt(formatReceipt(owner, id, formatVersion(o)), 'other')).toEqual({
          tenant: owner,
          documentId: id,
          at: formatVersion(o),
        })
        expect(parseReceipt(`${id}@3:42`, owner)).toEqual({
          tenant: owner,
          documentId: id,
          at: { partition: 3, offset: 42 },
        })
      }),
    )
  })

  test('receipts: nonsense is refused', () => {
    for (const text of ['', 'x', 'e30', Buffer.from('["a","b","c"]').toString('base64url')]) {
      expect(() => parseReceipt(text, 'default')).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^invalid_/) }),
      )
    }
  })
})

describe('keys', () => {
  test('split at the first slash, whatever the id holds', () => {
    fc.assert(
      fc.property(tenant, unicode, (owner, id) => {
        expect(parseTopicKey(Buffer.from(topicKey(owner, id)))).toEqual({ tenant: owner, id })
      }),
    )
  })

  test('a bad key is the message’s own fault', () => {
    for (const key of [
      null,
      Buffer.from('noslash'),
      Buffer.from('UPPER/x'),
      Buffer.from('t/'),
      Buffer.from([0x74, 0x2f, 0xff]),
      Buffer.from(`t/${'x'.repeat(513)}`),
    ]) {
      expect(() => parseTopicKey(key)).toThrow(expect.objectContaining({ retryable: false }))
    }
  })

  test('point ids differ where any part differs, and only there', () => {
    const parts = ['t', 'd', 'v', 'b'] as const
    expect(pointId(...parts, 0)).toBe(pointId(...parts, 0))
    expect(pointId(...parts, 1)).not.toBe(pointId(...parts, 0))
    expect(pointId('t', 'd,v', 'v', 'b', 0)).not.toBe(pointId('t', 'd', 'v,v', 'b', 0))
  })
})

describe('document events', () => {
  const codec = createCodec('documents')
  const record = (
    value: Buffer | string | null,
    headers: Record<string, string> = {},
    key = 'acme/a/b 😀',
  ) => ({
    key: Buffer.from(key),
    value: value === null ? null : Buffer.from(value as string),
    headers,
    appendTimeMs: 5,
  })

  test('plain JSON, CloudEvents, Avro and tombstones say the same', async () => {
    const json = await readDocumentEvent(record('{"content":"hello","contentType":"text/markdown"}'), codec)
    const cloud = await readDocumentEvent(
      record('hello', { ce_specversion: '1.0', 'content-type': 'text/markdown' }),
      codec,
    )
    expect(json).toEqual(cloud)
    if (json.kind !== 'publish') throw new Error('expected a publication')
    expect(await readDocumentEvent(record(codec.encode(json.document) as never), codec)).toEqual(json)
    expect(await readDocumentEvent(record(null), codec)).toEqual({
      kind: 'delete',
      tenant: 'acme',
      id: 'a/b 😀',
    })
  })

  test('the limits hold for JSON, Avro and CloudEvents alike', async () => {
    const plain = { content: 'x', contentType: 'text/plain', title: 't', metadata: {}, access: ['a'] }
    const document = { id: 'd', blob: null, filename: null, open: false, publishedAt: 1 }
    const forms = (fields: object) => {
      const whole = { ...plain, ...fields }
      const content = Buffer.from(whole.content)
      return [
        record(JSON.stringify(whole), {}, 'acme/d'),
        record(codec.encode({ ...document, ...whole, content }), {}, 'acme/d'),
        record('x', {
          ce_specversion: '1.0',
          'content-type': whole.contentType,
          'aquifer-title': whole.title,
          'aquifer-metadata': JSON.stringify(whole.metadata),
          'aquifer-access': whole.access.join(','),
        }),
      ]
    }
    for (const form of forms({})) expect((await readDocumentEvent(form, codec)).kind).toBe('publish')
    for (const wrong of [
      { title: 't'.repeat(1025) },
      { contentType: 'nonsense' },
      { metadata: { note: 'é'.repeat(8192) } },
      { metadata: { ['k'.repeat(257)]: 1 } },
      { access: Array.from({ length: 257 }, (_, i) => `g${i}`) },
      { access: ['g'.repeat(257)] },
    ])
      for (const form of forms(wrong))
        await expect(readDocumentEvent(form, codec)).rejects.toMatchObject({
          code: 'invalid_document',
          retryable: false,
        })
  })

  test('a metadata key that no object keeps is refused, not dropped; as a value it is a word', async () => {
    const avroOf = (metadata: string) =>
      codec.encode({
        id: 'd',
        content: Buffer.from('of __proto__'),
        blob: null,
        contentType: 'text/plain',
        filename: null,
        title: null,
        access: null,
        open: false,
        publishedAt: 1,
        metadata: JSON.parse(metadata) as Document['metadata'],
      })
    const read = (value: Buffer | string, headers = {}) =>
      readDocumentEvent(record(value, headers, 'acme/d'), codec)
    for (const value of ['1', '["a"]']) {
      const metadata = `{"__proto__":${value}}`
      const code = { code: 'invalid_document' }
      await expect(read(`{"content":"x","metadata":${metadata}}`)).rejects.toMatchObject(code)
      const headers = { ce_specversion: '1.0', 'aquifer-metadata': metadata }
      await expect(read('x', headers)).rejects.toMatchObject(code)
      await expect(read(avroOf(metadata))).rejects.toMatchObject({ code: 'invalid_avro' })
    }
    expect(await read(avroOf('{"word":"__proto__"}'))).toMatchObject({
      document: { metadata: { word: '__proto__' } },
    })
  })

  test('a CloudEvent says with the headers of a raw upload what the document is', async () => {
    const read = async (headers: Record<string, string>) => {
      const event = await readDocumentEvent(record('x', { ce_specversion: '1.0', ...headers }), codec)
      return event.kind === 'publish' ? event.document : null
    }
    expect(
      await read({
        'aquifer-title': '漢字 é',
        'aquifer-access': 'hr, board',
        'aquifer-metadata': `UTF-8''${encodeURIComponent('{"place":"Küste"}')}`,
        ce_subject: 'subject',
      }),
    ).toMatchObject({
      title: '漢字 é',
      access: ['hr', 'board'],
      open: false,
      metadata: { place: 'Küste' },
    })
    expect(await read({ 'aquifer-access': '*', ce_subject: 'subject' })).toMatchObject({
      title: 'subject',
      access: null,
      open: true,
    })
    expect(await read({ 'aquifer-access': '' })).toMatchObject({ access: [], open: false })
    expect(await read({})).toMatchObject({ title: null, access: null, open: false, metadata: {} })
    await expect(read({ 'aquifer-metadata': '{' })).rejects.toMatchObject({ code: 'invalid_document' })
  })

  test('access left out, given, empty and stated open are told apart', async () => {
    const access = async (given: string) => {
      const event = await readDocumentEvent(record(`{"content":"x"${given}}`), codec)
      return event.kind === 'publish' ? [event.document.access, event.document.open] : null
    }
    expect(await access('')).toEqual([null, false])
    expect(await access(',"access":["a"]')).toEqual([['a'], false])
    expect(await access(',"access":[]')).toEqual([[], false])
    expect(await access(',"access":null')).toEqual([null, true])
  })

  test('what is wrong with a record is said with a code', async () => {
    const code = async (value: string, headers = {}) => {
      try {
        await readDocumentEvent(record(value, headers), codec)
      } catch (error) {
        return (error as { code: string }).code
      }
      return 'none'
    }
    expect(await code('{nonsense')).toBe('invalid_json')
    expect(await code('{}')).toBe('invalid_document')
    expect(await code('{"content":"a","uri":"https://x"}')).toBe('invalid_document')
    expect(await code('{"id":"other","content":"a"}')).toBe('id_mismatch')
    expect(await code('{"uri":"blob:uploads/other-tenant/1"}')).toBe('invalid_uri')
    expect(await code('{"uri":"blob:uploads/acme/../other/1"}')).toBe('invalid_uri')
  })
})

describe('filters', () => {
  test('a missing field fails every op, so that not matches it', () => {
    for (const op of ['eq', 'gt', 'gte', 'lt', 'lte'] as const) {
      const filter = metadataFilter.parse({ field: 'a', op, value: 1 })
      expect(matchesFilter(filter, {})).toBe(false)
      expect(matchesFilter({ not: filter }, {})).toBe(true)
    }
    expect(matchesFilter({ field: 'a', op: 'exists' }, {})).toBe(false)
  })

  test('types never coerce; arrays match by any element; dates compare as instants', () => {
    expect(matchesFilter({ field: 'a', op: 'eq', value: '1' }, { a: 1 })).toBe(false)
    expect(matchesFilter({ field: 'a', op: 'eq', value: 'x' }, { a: ['y', 'x'] })).toBe(true)
    expect(matchesFilter({ field: 'a', op: 'in', value: ['x', 2] }, { a: [2] })).toBe(true)
    expect(
      matchesFilter(
        { field: 'd', op: 'gt', value: '2026-01-01T00:00:00Z' },
        { d: '2026-01-01T00:30:00+01:00' },
      ),
    ).toBe(false)
    expect(matchesFilter({ field: 'd', op: 'lt', value: '2026-01-01T00:00:00Z' }, { d: '2025-12-31' })).toBe(
      true,
    )
  })

  test('an unknown op, a missing value and a filter too deep are refused', () => {
    let deep: unknown = { field: 'a', op: 'exists' }
    for (let i = 0; i < 10; i++) deep = { not: deep }
    for (const filter of [
      { field: 'a', op: 'like', value: 'x' },
      { field: 'a', op: 'eq' },
      { and: 'x' },
      deep,
    ]) {
      expect(metadataFilter.safeParse(filter).success).toBe(false)
    }
  })
})
