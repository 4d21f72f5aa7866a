import type avro from 'avsc'
import type { Clock } from '@aquifer/runtime/clock'
import { invalid, isMessageFault } from '@aquifer/runtime/errors'
import { backoffMs } from '@aquifer/runtime/retry'
import {
  createCodec,
  createReader,
  newestOf,
  offlineSchemas,
  schemaId,
  schemaVersions,
  subjects,
  withSchemaId,
} from './avro.ts'
import type { Codec, Reader, Schemas } from './avro.ts'
import { explainMismatch, fetchType } from './foreign-schema.ts'
import { createSchemaRegistry } from './schema-registry.ts'
import type { SchemaRegistry } from './schema-registry.ts'
import { topics } from './topics.ts'
import type { Payloads, Subject } from './topics.ts'

const LEVEL = 'FULL_TRANSITIVE'
const START_ATTEMPTS = 5
/** Of each subject: schemas of others, made ready to read. An id never changes its meaning, so only room ends an entry. */
const MAX_FOREIGN = 256

export interface SchemasOptions {
  /** Of a registry with Confluent's API (see `createSchemaRegistry`); null: the offline ids alone. */
  readonly url: string | null
  readonly clock: Clock
  readonly random: () => number
  /** Of one request. */
  readonly timeoutMs?: number
}

/**
 * Schemas by a registry: every schema of `schemas/` is found or registered under `<topic>-value` of each topic that carries it,
 * and what is written from then on names it by the registry's id. What is read may name an offline id, one of these, or any
 * other of the registry, whose schema is fetched once and resolved to ours.
 *
 * Throws `schema_registry_unavailable` where the registry does not answer within some attempts, `incompatible_schema` where it
 * holds schemas that ours do not fit.
 */
export async function openSchemas({ url, clock, random, timeoutMs }: SchemasOptions): Promise<Schemas> {
  if (url === null) return offlineSchemas
  const registry = createSchemaRegistry({ url, ...(timeoutMs !== undefined && { timeoutMs }) })
  const registered = new Map<string, readonly number[]>()
  for (const subject of subjects()) {
    for (const topic of topicsOf(subject)) {
      const ids = await patiently(() => ensureRegistered(registry, `${topic}-value`, subject), clock, random)
      // The topic of the subject's own name comes first; a schema has one id, whichever subject it stands under.
      registered.set(subject, [...(registered.get(subject) ?? []), ...ids])
    }
  }
  return { codec: (subject) => createRegistryCodec(subject, registry, registered.get(subject)!) }
}

/** `aquifer.documents`, and the topics beside it that carry the same: bulk and retry. Dead letters may be anything. */
export function topicsOf(subject: string): string[] {
  return Object.values(topics)
    .map(({ name }) => name)
    .filter((name) => name.replace(/^aquifer\./, '').replace(/\.(?:bulk|retry)$/, '') === subject)
}

/** Returns the registry's ids of our schemas, oldest first. The same when it is made again, also by several processes at once. */
async function ensureRegistered(registry: SchemaRegistry, name: string, subject: string): Promise<number[]> {
  const isSet = (await registry.hasLevel(name)) || (await registry.setLevel(name, LEVEL))
  const ids: number[] = []
  for (const { schema } of schemaVersions(subject)) {
    const text = JSON.stringify(schema)
    ids.push((await registry.find(name, text)) ?? (await registry.register(name, text)))
    if (!isSet && ids.length === 1) await registry.setLevel(name, LEVEL)
  }
  return ids
}

async function patiently<T>(work: () => Promise<T>, clock: Clock, random: () => number): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (isMessageFault(error) || attempt === START_ATTEMPTS) throw error
      await clock.sleep(backoffMs(attempt, random))
    }
  }
}

function createRegistryCodec<S extends Subject>(
  subject: S,
  registry: SchemaRegistry,
  ids: readonly number[],
): Codec<Payloads[S]> {
  const offline = createCodec(subject)
  const versions = schemaVersions(subject)
  const ours = newestOf(subject, versions)
  const newestId = ids[versions.length - 1]!
  const offlineIds = new Set(versions.map(({ id }) => id))
  const own = new Map(
    ids.map((id, i) => [id, createReader(subject, ours.type, id, versions[i % versions.length]!.type)]),
  )
  const foreign = createForeignReaders(subject, ours.type, registry)

  return {
    encode: (value) => withSchemaId(offline.encode(value), newestId),
    decode(bytes) {
      const id = schemaId(subject, bytes)
      const read = own.get(id)
      if (read) return read(bytes) as Payloads[S]
      if (offlineIds.has(id)) return offline.decode(bytes)
      return foreign(id).then((reader) => reader(bytes) as Payloads[S])
    },
  }
}

/** Readers of what others wrote, by the registry's id: fetched once, the least recently used forgotten first. */
function createForeignReaders(
  subject: string,
  ours: avro.Type,
  registry: SchemaRegistry,
): (id: number) => Promise<Reader> {
  const known = new Map<number, Reader>()
  const underWay = new Map<number, Promise<Reader>>()

  async function fetchReader(id: number): Promise<Reader> {
    const writer = await fetchType(registry, subject, id)
    let reader: Reader
    try {
      reader = createReader(subject, ours, id, writer)
    } catch (cause) {
      const why = explainMismatch(ours, writer) ?? String(cause)
      const fault = invalid(
        'incompatible_schema',
        `what schema ${id} wrote cannot be read as ${subject}: ${why}`,
        400,
        cause,
      )
      // Known as well: the next of its records is refused without a question.
      reader = () => {
        throw fault
      }
    }
    known.set(id, reader)
    if (known.size > MAX_FOREIGN) known.delete(known.keys().next().value!)
    return reader
  }

  return async (id) => {
    const reader = known.get(id)
    if (reader) {
      known.delete(id)
      known.set(id, reader)
      return reader
    }
    const asked = underWay.get(id) ?? fetchReader(id).finally(() => underWay.delete(id))
    underWay.set(id, asked)
    return await asked
  }
}
