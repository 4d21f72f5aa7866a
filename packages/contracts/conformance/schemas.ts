import avro from 'avsc'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCodec, schemaVersions, subjects } from '@aquifer/contracts/avro'
import { readDocumentEvent } from '@aquifer/contracts/document-input'
import { openSchemas, topicsOf } from '@aquifer/contracts/schemas'
import type { Document } from '@aquifer/contracts/types'
import { systemClock } from '@aquifer/runtime/clock'
import { openGate } from './gate.ts'
import type { Gate } from './gate.ts'

/** Without waiting between attempts. */
const hasty = { clock: { ...systemClock, sleep: async () => {} }, random: () => 0, timeoutMs: 2000 }

export const document: Document = {
  id: 'd',
  content: Buffer.from('text'),
  blob: null,
  contentType: 'text/plain',
  filename: null,
  title: null,
  metadata: { year: 2026 },
  access: null,
  open: false,
  publishedAt: 5,
}

interface Field {
  readonly name: string
  readonly type: unknown
  readonly default?: unknown
}
const ours = () => schemaVersions('documents').at(-1)!.schema as unknown as { fields: readonly Field[] }

/** What a foreign producer wrote: the wire format with an id of the registry. */
export function written(
  id: number,
  schema: unknown,
  value: object,
  names: Record<string, avro.Type> = {},
): Buffer {
  const type = avro.Type.forSchema(schema as avro.Schema, { wrapUnions: 'auto', registry: names })
  const header = Buffer.alloc(5)
  header.writeUInt32BE(id, 1)
  return Buffer.concat([header, type.toBuffer(value)])
}

/** Registers as anyone may; returns the id. */
export async function register(
  url: string,
  subject: string,
  schema: unknown,
  references?: object[],
): Promise<number> {
  const response = await fetch(`${url}/subjects/${subject}/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: JSON.stringify(schema), ...(references && { references }) }),
  })
  expect(response.status).toBe(200)
  return ((await response.json()) as { id: number }).id
}

/** What holds with every registry of Confluent's API. `url` of one that is new. */
export function schemasConformance(name: string, url: string): void {
  describe(`schemas: ${name}`, () => {
    let gate: Gate
    beforeAll(async () => {
      gate = await openGate(url)
    })
    afterAll(async () => await gate.close())
    const open = async (at = gate.url) => await openSchemas({ ...hasty, url: at })
    const setLevel = async (subject: string, compatibility: string) => {
      const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json' }
      const body = JSON.stringify({ compatibility })
      expect((await fetch(`${url}/config/${subject}`, { method: 'PUT', headers, body })).status).toBe(200)
    }
    const level = async (subject: string) => await (await fetch(`${url}/config/${subject}`)).json()

    test('a subject that holds what ours does not fit is said at start', async () => {
      const subject = 'aquifer.evaluations-value'
      await register(url, subject, 'string')
      await setLevel(subject, 'FULL_TRANSITIVE')
      await expect(open()).rejects.toMatchObject({ code: 'incompatible_schema', retryable: false })
      await expect(open()).rejects.toThrow(subject)
      expect((await fetch(`${url}/subjects/${subject}`, { method: 'DELETE' })).status).toBe(200)
    })

    test('every schema stands under the subject of each topic that carries it; once is enough', async () => {
      const first = await open()
      for (const subject of subjects()) {
        const carrying = topicsOf(subject)
        expect(carrying[0]).toBe(`aquifer.${subject}`)
        for (const topic of carrying) {
          const versions = await fetch(`${url}/subjects/${topic}-value/versions/latest`)
          expect(await versions.json()).toMatchObject({ subject: `${topic}-value` })
          expect(await level(`${topic}-value`)).toEqual({ compatibilityLevel: 'FULL_TRANSITIVE' })
        }
      }
      expect(topicsOf('documents')).toContain('aquifer.documents.bulk')
      gate.asked.length = 0
      const second = await open()
      expect(gate.asked.filter((asked) => /PUT|versions/.test(asked))).toEqual([])
      expect(second.codec('documents').encode(document)).toEqual(first.codec('documents').encode(document))
    })

    test('the registry’s ids are written; those and the offline ones are read without a question', async () => {
      const codec = (await open()).codec('documents')
      const bytes = codec.encode(document)
      expect(bytes.readUInt32BE(1)).toBeLessThan(2 ** 30)
      gate.asked.length = 0
      expect(await codec.decode(bytes)).toMatchObject(document)
      expect(await codec.decode(createCodec('documents').encode(document))).toMatchObject(document)
      expect(gate.asked).toEqual([])
    })

    test('a level that someone set is left as it is', async () => {
      const subject = 'aquifer.feedback-value'
      await open()
      await setLevel(subject, 'BACKWARD')
      await open()
      expect(await level(subject)).toEqual({ compatibilityLevel: 'BACKWARD' })
    })

    test('a foreign Document with fields more, fewer and in another order is read; its schema is fetched once', async () => {
      const codec = (await open()).codec('documents')
      const fields = ours().fields.filter(
        ({ name: field }) => !['filename', 'open', 'access'].includes(field),
      )
      const foreign = {
        type: 'record',
        name: 'Document',
        namespace: 'com.example.producer',
        fields: [{ name: 'author', type: ['null', 'string'], default: null }, ...fields.toReversed()],
      }
      const id = await register(url, 'com.example.producer.Document', foreign)
      const { filename, open: _open, access, ...rest } = document
      const value = written(id, foreign, { author: 'somebody', ...rest })
      gate.asked.length = 0
      const record = { key: Buffer.from('acme/d'), value, headers: {}, appendTimeMs: 9 }
      const events = await Promise.all([1, 2, 3].map(async () => await readDocumentEvent(record, codec)))
      for (const event of events) {
        expect(event).toMatchObject({
          kind: 'publish',
          tenant: 'acme',
          document: { ...document, filename, access },
        })
      }
      await codec.decode(value)
      expect(gate.asked).toEqual([`GET /schemas/ids/${id}`])
    })

    test('a schema that refers to others is read with them', async () => {
      const codec = (await open()).codec('documents')
      const place = {
        type: 'record',
        name: 'Place',
        namespace: 'ref',
        fields: [{ name: 'town', type: 'string' }],
      }
      const author = {
        type: 'record',
        name: 'Author',
        namespace: 'ref',
        fields: [
          { name: 'name', type: 'string' },
          { name: 'home', type: 'ref.Place' },
        ],
      }
      const foreign = {
        type: 'record',
        name: 'Document',
        fields: [
          ...ours().fields,
          { name: 'author', type: 'ref.Author' },
          { name: 'place', type: 'ref.Place' },
        ],
      }
      const toPlace = { name: 'ref.Place', subject: 'ref.Place', version: 1 }
      const toAuthor = { name: 'ref.Author', subject: 'ref.Author', version: 1 }
      await register(url, 'ref.Place', place)
      await register(url, 'ref.Author', author, [toPlace])
      const id = await register(url, 'ref.Document', foreign, [toPlace, toAuthor])
      const names: Record<string, avro.Type> = {}
      for (const each of [place, author]) avro.Type.forSchema(each as avro.Schema, { registry: names })
      const town = { town: 'Oslo' }
      const value = written(
        id,
        foreign,
        { ...document, author: { name: 'A', home: town }, place: town },
        names,
      )
      expect(await codec.decode(value)).toMatchObject(document)
    })

    test('an id that the registry does not know is the message’s own fault', async () => {
      const codec = (await open()).codec('documents')
      const bytes = codec.encode(document)
      bytes.writeUInt32BE(987_654, 1)
      await expect(async () => await codec.decode(bytes)).rejects.toMatchObject({
        code: 'unknown_schema',
        retryable: false,
      })
    })

    test('a writer’s schema that ours cannot read is the message’s own fault, with subject, id and field', async () => {
      const codec = (await open()).codec('documents')
      const rest = ours().fields.filter(({ name: field }) => field !== 'contentType')
      const record = (fields: readonly Field[]) => ({ type: 'record', name: 'Document', fields })
      for (const [which, schema, value] of [
        ['missing', record(rest), document],
        [
          'contentType is "long"',
          record([...rest, { name: 'contentType', type: 'long' }]),
          { ...document, contentType: 1 },
        ],
        ['it is "string"', 'string', 'text'],
      ] as const) {
        const id = await register(url, `other-${which.length}-value`, schema)
        const bytes = written(id, schema, value as object)
        const decoding = async () => await codec.decode(bytes)
        await expect(decoding).rejects.toMatchObject({ code: 'incompatible_schema', retryable: false })
        await expect(decoding).rejects.toThrow(`schema ${id} wrote cannot be read as documents`)
        await expect(decoding).rejects.toThrow(which)
      }
    })

    test('a registry that does not answer is waited for, whichever way it fails', async () => {
      const codec = (await open()).codec('documents')
      const foreign = { type: 'record', name: 'Document', fields: ours().fields.toReversed() }
      const id = await register(url, 'late-value', foreign)
      const value = written(id, foreign, document)
      const decoding = async () => await codec.decode(value)
      const silence = () => {}
      const failures: Gate['instead'][] = [
        (response) => response.writeHead(503).end('{"error_code":50003,"message":"no leader"}'),
        (response) => response.writeHead(404).end('<html>not here</html>'),
        (response) => response.writeHead(200).end('<html>welcome</html>'),
        (response) => response.writeHead(429).end('{"error_code":429,"message":"slow down"}'),
        (response) => response.destroy(),
        silence,
      ]
      const away = { code: 'schema_registry_unavailable', retryable: true }
      for (const instead of failures) {
        gate.instead = instead
        await expect(decoding).rejects.toMatchObject(away)
        if (instead !== silence) await expect(open()).rejects.toMatchObject(away)
      }
      gate.instead = null
      expect(await codec.decode(value)).toMatchObject(document)
    })

    test('the URL’s user part is basic authentication, or a bearer token; it is in no error', async () => {
      for (const [user, header] of [
        ['us%40er:se%2Fcret', `Basic ${Buffer.from('us@er:se/cret').toString('base64')}`],
        [':to%2Fken', 'Bearer to/ken'],
      ]) {
        gate.authorization = header!
        const at = gate.url.replace('//', `//${user}@`)
        expect((await open(at)).codec('documents').encode(document).readUInt32BE(1)).toBeLessThan(2 ** 30)
        const denied = open(gate.url.replace('//', '//wrong:secret@'))
        await expect(denied).rejects.toMatchObject({ code: 'schema_registry_unavailable' })
        await expect(denied).rejects.not.toThrow('secret')
      }
      gate.authorization = null
      await expect(open('ftp://user:secret@host')).rejects.toMatchObject({ code: 'invalid_config' })
    })
  })
}
