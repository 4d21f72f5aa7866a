import { readdirSync, readFileSync } from 'node:fs'
import avro from 'avsc'
import { invalid } from '@aquifer/runtime/errors'
import type { Payloads, Subject } from './topics.ts'

/**
 * Avro in Confluent's wire format: `0x00`, the schema's id as 4 bytes big-endian, the body.
 * Offline ids are ≥ 2^30 and listed in schemas/ids.json, so that they never meet a registry's own.
 */
const MAGIC = 0
const HEADER_BYTES = 5
const SCHEMAS = new URL('../../../schemas/', import.meta.url)

interface Writer {
  readonly id: number
  readonly type: avro.Type
}

function loadType(path: string): avro.Type {
  const schema = JSON.parse(readFileSync(new URL(`${path}.avsc`, SCHEMAS), 'utf8')) as avro.Schema
  return avro.Type.forSchema(schema, { wrapUnions: 'never' })
}

const LOST_KEY = '__proto__'

class MapKey extends avro.types.LogicalType {
  override _fromValue(key: string): string {
    if (key === LOST_KEY) throw new Error(`a map has the key ${LOST_KEY}`)
    return key
  }
  override _toValue(key: string): string {
    return key
  }
}

/**
 * Throws where a map has the key that no plain object keeps: reading it as a map loses it in silence, or sets a prototype. A
 * map is written as an array of pairs is, and is read so here.
 */
function createKeyCheck(type: avro.Type): (body: Buffer) => void {
  const pairs = (values: unknown) => ({
    type: 'array',
    items: {
      type: 'record',
      fields: [
        { name: 'key', type: { type: 'string', logicalType: 'map-key' } },
        { name: 'value', type: values },
      ],
    },
  })
  const schema = JSON.parse(
    JSON.stringify(type),
    (name, part: { type?: unknown; values?: unknown } | null) => {
      // Only who reads another version's bytes needs them, and an empty map is no array.
      if (name === 'default') return undefined
      return part?.type === 'map' ? pairs(part.values) : part
    },
  ) as avro.Schema
  const checked = avro.Type.forSchema(schema, { wrapUnions: 'never', logicalTypes: { 'map-key': MapKey } })
  return (body) => {
    if (body.includes(LOST_KEY)) checked.fromBuffer(body)
  }
}

/** Every version of a subject's schema, oldest first, from schemas/ids.json. */
export function schemaVersions(subject: string): Writer[] {
  const ids = JSON.parse(readFileSync(new URL('ids.json', SCHEMAS), 'utf8')) as Record<string, string>
  return Object.entries(ids)
    .filter(([, path]) => path.slice(0, path.lastIndexOf('/')) === subject)
    .map(([id, path]) => ({ id: Number(id), version: Number(path.slice(path.lastIndexOf('/') + 2)), path }))
    .sort((a, b) => a.version - b.version)
    .map(({ id, path }) => ({ id, type: loadType(path) }))
}

export function subjects(): string[] {
  return readdirSync(SCHEMAS, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [entry.name] : [],
  )
}

/** Writes with the newest schema of the subject, reads what any of its versions wrote. */
export interface Codec<T> {
  encode(value: T): Buffer
  /** Throws `invalid_avro`, naming what is wrong: the record belongs in the dead-letter queue. */
  decode(bytes: Buffer): T
}

export function createCodec<S extends Subject>(subject: S): Codec<Payloads[S]> {
  const versions = schemaVersions(subject)
  const newest = versions.at(-1)
  if (!newest) throw new Error(`schemas/ids.json lists no schema of ${subject}`)
  const resolvers = new Map(versions.map(({ id, type }) => [id, newest.type.createResolver(type)]))
  const known = new Map(versions.map(({ id, type }) => [id, { type, checkKeys: createKeyCheck(type) }]))

  return {
    encode(value) {
      const body = newest.type.toBuffer(value)
      const header = Buffer.alloc(HEADER_BYTES)
      header.writeUInt8(MAGIC, 0)
      header.writeUInt32BE(newest.id, 1)
      return Buffer.concat([header, body])
    },
    decode(bytes) {
      if (bytes.length < HEADER_BYTES || bytes[0] !== MAGIC) {
        throw invalid('invalid_avro', `the value of ${subject} is not in the Confluent wire format`)
      }
      const id = bytes.readUInt32BE(1)
      const writer = known.get(id)
      if (!writer) throw invalid('unknown_schema', `no schema of ${subject} has the id ${id}`)
      try {
        const body = bytes.subarray(HEADER_BYTES)
        writer.checkKeys(body)
        return newest.type.fromBuffer(
          body,
          writer.type === newest.type ? undefined : resolvers.get(id),
        ) as Payloads[S]
      } catch (cause) {
        throw invalid(
          'invalid_avro',
          `the value of ${subject} does not read with schema ${id}: ${String(cause)}`,
          400,
          cause,
        )
      }
    },
  }
}
