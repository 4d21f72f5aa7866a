import { createHash } from 'node:crypto'
import type { QdrantClient, Schemas } from '@qdrant/js-client-rest'
import { type Clock, systemClock } from '@aquifer/runtime/clock'
import { invalid, unavailable } from '@aquifer/runtime/errors'
import { checkSame } from './checks.ts'
import type { CollectionSpec, VectorIndexAdmin } from './port.ts'
import { openCollection } from './qdrant-collection.ts'
import { DENSE, LEXICAL } from './qdrant-points.ts'
import { createRequests, statusOf } from './qdrant-requests.ts'
import { type QdrantSettings, readQdrantUrl } from './qdrant-settings.ts'
import { ASSUMED_AVERAGE, type CollectionMetadata } from './qdrant-weighing.ts'

/** The idf of a part of a collection can be asked for since Qdrant 1.19, which is also what the client is made for. */
const OLDEST = [1, 19] as const

/** Payload fields that conditions name, `source` and `length` also to be counted. */
const INDEXES: Readonly<Record<string, (onDisk: boolean) => Schemas['PayloadSchemaParams']>> = {
  tenant: (on_disk) => ({ type: 'keyword', is_tenant: true, on_disk }),
  document: (on_disk) => ({ type: 'keyword', on_disk }),
  source: (on_disk) => ({ type: 'keyword', on_disk }),
  readers: (on_disk) => ({ type: 'keyword', on_disk }),
  facets: (on_disk) => ({ type: 'keyword', on_disk }),
  bucket: (on_disk) => ({ type: 'integer', lookup: false, range: true, on_disk }),
  length: (on_disk) => ({ type: 'integer', lookup: true, range: false, on_disk }),
  average: (on_disk) => ({ type: 'integer', lookup: true, range: false, on_disk }),
}

/**
 * The vector index on a Qdrant server, 1.19 or newer. `url` as `readQdrantUrl` reads it. Throws `invalid_config`, or
 * `index_unavailable` where no such server answers.
 *
 *  Q1  A collection's name is the hash of its fingerprint, so that two processes that open it at once make one.
 *  Q2  Its metadata say whose it is. Without them it is not ours, whatever its name.
 *  Q3  Payload indexes are made when a collection is opened and some are missing: a process killed in between leaves none out.
 */
export async function openQdrant({
  url,
  clock = systemClock,
}: {
  url: string
  clock?: Clock
}): Promise<VectorIndexAdmin> {
  const settings = readQdrantUrl(url)
  const request = createRequests(settings)
  const { version } = await request('ask for the version', (client) => client.versionInfo())
  checkVersion(version)
  let closed = false
  let changes: Promise<unknown> = Promise.resolve()

  function check(): void {
    if (closed) throw unavailable('index_closed', 'the vector index is closed')
  }
  /** Opening and dropping one at a time, in the order that they were asked for. */
  function inTurn<T>(change: () => Promise<T>): Promise<T> {
    check()
    const done = changes.then(change)
    changes = done.catch(() => {})
    return done
  }
  const send: typeof request = async (asked, call) => {
    check()
    return await request(asked, call)
  }

  async function inspect(name: string): Promise<(CollectionMetadata & { indexes: string[] }) | null> {
    try {
      const found = await send(`look at ${name}`, (client) => client.getCollection(name))
      const metadata = found.config.metadata as unknown as CollectionMetadata | null | undefined
      if (typeof metadata?.fingerprint !== 'string') return null
      return { ...metadata, indexes: Object.keys(found.payload_schema) }
    } catch (error) {
      if (statusOf(error) === 404) return null
      throw error
    }
  }
  async function create(name: string, spec: CollectionSpec): Promise<void> {
    const metadata: CollectionMetadata = { ...spec, createdMs: clock.now(), average: ASSUMED_AVERAGE }
    try {
      await send(`create ${name}`, (client) =>
        client.createCollection(name, createCollection(settings, metadata)),
      )
    } catch (error) {
      // Another process may have made it first.
      if (!(await inspect(name))) throw error
    }
  }
  async function aliases(): Promise<Map<string, string>> {
    const found = await send('list aliases', (client) => client.getAliases())
    return new Map(found.aliases.map(({ alias_name, collection_name }) => [alias_name, collection_name]))
  }

  return {
    open: (spec) =>
      inTurn(async () => {
        const name = collectionName(settings, spec)
        if (!(await inspect(name))) await create(name, spec)
        const found = await inspect(name)
        if (!found)
          throw unavailable('index_unavailable', `Qdrant: ${name} is gone, or not a collection of Aquifer's`)
        checkSame(found, spec)
        for (const [field, schema] of Object.entries(INDEXES)) {
          if (found.indexes.includes(field)) continue
          const field_schema = schema(settings.onDisk)
          await send(`index ${field} of ${name}`, (client: QdrantClient) =>
            client.createPayloadIndex(name, { field_name: field, field_schema, wait: true }),
          )
        }
        const { fingerprint, dimensions } = found
        return openCollection(name, { fingerprint, dimensions }, { request, settings, clock, check })
      }),
    async list() {
      const { collections } = await send('list collections', (client) => client.getCollections())
      const ours = collections.map(({ name }) => name).filter((name) => isOurs(settings, name))
      const found = (await Promise.all(ours.map(inspect))).filter((each) => each !== null)
      found.sort((a, b) => a.createdMs - b.createdMs || (a.fingerprint < b.fingerprint ? -1 : 1))
      return found.map(({ fingerprint, dimensions }) => ({ fingerprint, dimensions }))
    },
    async alias(name) {
      const collection = (await aliases()).get(aliasName(settings, name))
      const found = collection === undefined ? null : await inspect(collection)
      return found && { fingerprint: found.fingerprint, dimensions: found.dimensions }
    },
    switchAlias: (name, spec) =>
      inTurn(async () => {
        const collection_name = collectionName(settings, spec)
        if (!(await inspect(collection_name))) {
          throw invalid('unknown_collection', `there is no collection ${spec.fingerprint}`)
        }
        const alias_name = aliasName(settings, name)
        const gone = (await aliases()).has(alias_name) ? [{ delete_alias: { alias_name } }] : []
        const actions = [...gone, { create_alias: { alias_name, collection_name } }]
        await send(`switch ${alias_name}`, (client) => client.updateCollectionAliases({ actions }))
      }),
    drop: (spec) =>
      inTurn(async () => {
        const name = collectionName(settings, spec)
        for (const [alias, collection] of await aliases()) {
          if (collection !== name) continue
          throw invalid('collection_in_use', `alias ${alias} names collection ${spec.fingerprint}`, 409)
        }
        await send(`drop ${name}`, (client) => client.deleteCollection(name))
      }),
    async close() {
      closed = true
      await changes
    },
  }
}

function checkVersion(version: string): void {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  if (major === OLDEST[0] && minor >= OLDEST[1]) return
  throw invalid('invalid_config', `Qdrant ${version} is not ${OLDEST.join('.')} or a newer ${OLDEST[0]}.x`)
}

function collectionName({ namespace }: QdrantSettings, { fingerprint }: CollectionSpec): string {
  return `${namespace}-${createHash('sha256').update(fingerprint).digest('hex').slice(0, 32)}`
}

function isOurs({ namespace }: QdrantSettings, name: string): boolean {
  return name.startsWith(`${namespace}-`) && /^[0-9a-f]{32}$/.test(name.slice(namespace.length + 1))
}

/** In hexadecimal, for a name may not hold everything, and never that of a collection. */
function aliasName({ namespace }: QdrantSettings, alias: string): string {
  return `${namespace}-alias-${Buffer.from(alias).toString('hex')}`
}

function createCollection(
  settings: QdrantSettings,
  metadata: CollectionMetadata,
): Schemas['CreateCollection'] {
  const { onDisk, quantization, shards, replicationFactor, writeConsistencyFactor } = settings
  return {
    vectors: { [DENSE]: { size: metadata.dimensions, distance: 'Cosine', on_disk: onDisk } },
    sparse_vectors: { [LEXICAL]: { modifier: 'idf', index: { on_disk: onDisk } } },
    // Every search is of one tenant: a graph of each large one, and none of all.
    hnsw_config: { m: 0, payload_m: 16, on_disk: onDisk },
    on_disk_payload: true,
    ...(quantization === 'int8' && {
      quantization_config: { scalar: { type: 'int8' as const, quantile: 0.99, always_ram: true } },
    }),
    ...(quantization === 'binary' && { quantization_config: { binary: { always_ram: true } } }),
    shard_number: shards,
    replication_factor: replicationFactor,
    write_consistency_factor: writeConsistencyFactor,
    metadata: { ...metadata },
  }
}
