import { readdirSync, readFileSync } from 'node:fs'
import avro from 'avsc'
import { invalid } from '@aquifer/runtime/errors'
import type { Payloads, Subject } from './topics.ts'

/**
 * Avro in Confluent's wire format: `0x00`, the schema's id as 4 bytes big-endian, the body.
 * Offline ids are ≥ 2^30 and listed in schemas/ids.json, so that they never meet a registry's own.
 */
const MAGIC = 0
const ID_AT = 1
const HEADER_BYTES = 5
const SCHEMAS = new URL('../../../schemas/', import.meta.url)

interface Writer {
  readonly id: number
  readonly schema: avro.Schema
  readonly type: avro.Type
}

function load(id: number, path: string): Writer {
  const schema = JSON.parse(readFileSync(new URL(`${path}.avsc`, SCHEMAS), 'utf8')) as avro.Schema
  return { id, schema, type: avro.Type.forSchema(schema, { wrapUnions: 'never' }) }
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
  return (body) => {
    if (!body.includes(LOST_KEY)) return
    const logicalTypes = { 'map-key': MapKey }
    avro.Type.forSchema(schema, { wrapUnions: 'auto', logicalTypes }).fromBuffer(body)
  }
}

/** Every version of a subject's schema, oldest first, from schemas/ids.json. */
export function schemaVersions(subject: string): Writer[] {
  const ids = JSON.parse(readFileSync(new URL('ids.json', SCHEMAS), 'utf8')) as Record<string, string>
  return Object.entries(ids)
    .filter(([, path]) => path.slice(0, path.lastIndexOf('/')) === subject)
    .map(([id, path]) => ({ id: Number(id), version: Number(path.slice(path.lastIndexOf('/') + 2)), path }))
    .sort((a, b) => a.version - b.version)
    .map(({ id, path }) => load(id, path))
}

export function subjects(): string[] {
  return readdirSync(SCHEMAS, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [entry.name] : [],
  )
}

/** Writes with the newest schema of the subject, reads what any of its versions wrote. */
export interface Codec<T> {
  encode(value: T): Buffer
  /**
   * Throws what belongs in the dead-letter queue: `invalid_avro`, `unknown_schema`, `incompatible_schema`, naming what is wrong.
   * Waits where the schema has to be fetched; a registry that does not answer is `schema_registry_unavailable`, to be tried again.
   */
  decode(bytes: Buffer): T | Promise<T>
}

/** Knows the schemas of `schemas/` alone, so that it never waits. */
export interface OfflineCodec<T> extends Codec<T> {
  decode(bytes: Buffer): T
}

/** Where services take their codecs from: `offlineSchemas`, or a registry's (schemas.ts). */
export interface Schemas {
  codec<S extends Subject>(subject: S): Codec<Payloads[S]>
}

export const offlineSchemas: Schemas = { codec: createCodec }

export function createCodec<S extends Subject>(subject: S): OfflineCodec<Payloads[S]> {
  const versions = schemaVersions(subject)
  const newest = newestOf(subject, versions)
  const readers = new Map(versions.map(({ id, type }) => [id, createReader(subject, newest.type, id, type)]))

  return {
    encode(value) {
      const body = newest.type.toBuffer(value)
      const header = Buffer.alloc(HEADER_BYTES)
      header.writeUInt8(MAGIC, 0)
      header.writeUInt32BE(newest.id, ID_AT)
      return Buffer.concat([header, body])
    },
    decode(bytes) {
      const id = schemaId(subject, bytes)
      const read = readers.get(id)
      if (!read) throw invalid('unknown_schema', `no schema of ${subject} has the id ${id}`)
      return read(bytes) as Payloads[S]
    },
  }
}

export function newestOf(subject: string, versions: readonly Writer[]): Writer {
  const newest = versions.at(-1)
  if (!newest) throw new Error(`schemas/ids.json lists no schema of ${subject}`)
  return newest
}

/** The id that the value names its schema by. Throws `invalid_avro`. */
export function schemaId(subject: string, bytes: Buffer): number {
  if (bytes.length < HEADER_BYTES || bytes[0] !== MAGIC) {
    throw invalid('invalid_avro', `the value of ${subject} is not in the Confluent wire format`)
  }
  return bytes.readUInt32BE(ID_AT)
}

/** Puts another id in place of the one that the value names. */
export function withSchemaId(bytes: Buffer, id: number): Buffer {
  bytes.writeUInt32BE(id, ID_AT)
  return bytes
}

/** Reads a whole value, header included. */
export type Reader = (bytes: Buffer) => unknown

/** Reads as `ours` what `writer` wrote. Throws avsc's error where the two are incompatible. */
export function createReader(subject: string, ours: avro.Type, id: number, writer: avro.Type): Reader {
  // Names match without their namespaces, as the specification's resolution has it.
  const resolver = writer === ours ? undefined : ours.createResolver(writer, { ignoreNamespaces: true })
  const checkKeys = createKeyCheck(writer)
  return (bytes) => {
    try {
      const body = bytes.subarray(HEADER_BYTES)
      checkKeys(body)
      return ours.fromBuffer(body, resolver)
    } catch (cause) {
      throw invalid(
        'invalid_avro',
        `the value of ${subject} does not read with schema ${id}: ${String(cause)}`,
        400,
        cause,
      )
    }
  }
}
