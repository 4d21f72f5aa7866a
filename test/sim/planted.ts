import { offlineSchemas } from '@aquifer/contracts/avro'
import { topics } from '@aquifer/contracts/topics'
import type { EventLog, LogRecord } from '@aquifer/event-log/port'
import type { Registry, VisibleVersion } from '@aquifer/stores/registry'
import type { Stores } from './stores.ts'
import type { Plant } from './world.ts'

/** Faults that the system could have, each put around its parts: none is in the product. */
export const PLANTED = {
  'flip without compare': { stores: (stores) => ({ ...stores, registry: withoutCompare(stores.registry) }) },
  'offsets committed before the writes': {
    stores: (stores) => ({ ...stores, log: { ...stores.log, subscribe: commitFirst(stores.log) } }),
  },
  'replay to the source': { replayTo: ({ topic }) => topic },
  'no floor': { stores: (stores) => ({ ...stores, registry: withoutFloor(stores.registry) }) },
  'parts not counted': {
    stores: (stores) => ({ ...stores, log: { ...stores.log, subscribe: withOnePart(stores.log) } }),
  },
  'access list not asked': { stores: withoutAccess },
} as const satisfies Record<string, Plant>

const nameOf = (tenant: string, documentId: string): string => JSON.stringify([tenant, documentId])

/** Whatever flips last is visible, if it is above the floor. */
function withoutCompare(registry: Registry): Registry {
  const forced = new Map<string, VisibleVersion>()
  return {
    ...registry,
    async lookUp(tenant, ids) {
      const found = await registry.lookUp(tenant, ids)
      for (const [id, record] of found) {
        const visible = forced.get(nameOf(tenant, id))
        if (visible) found.set(id, { ...record, visible })
      }
      return found
    },
    async flip(tenant, id, visible) {
      const result = await registry.flip(tenant, id, visible)
      if (result.flipped) forced.delete(nameOf(tenant, id))
      else if (result.reason === 'superseded') {
        forced.set(nameOf(tenant, id), visible)
        return { flipped: true, previous: null }
      }
      return result
    },
    async raiseFloor(tenant, id, version) {
      forced.delete(nameOf(tenant, id))
      await registry.raiseFloor(tenant, id, version)
    },
  }
}

/** A deletion hides what is visible at that moment, and leaves no floor. */
function withoutFloor(registry: Registry): Registry {
  const hidden = new Map<string, string>()
  return {
    ...registry,
    async lookUp(tenant, ids) {
      const found = await registry.lookUp(tenant, ids)
      for (const [id, record] of found) {
        if (record.visible && record.visible.version === hidden.get(nameOf(tenant, id)))
          found.set(id, { ...record, visible: null })
      }
      return found
    },
    async flip(tenant, id, visible) {
      const result = await registry.flip(tenant, id, visible)
      if (result.flipped || result.reason !== 'same') return result
      hidden.delete(nameOf(tenant, id))
      return { flipped: true, previous: null }
    },
    async raiseFloor(tenant, id, version) {
      const visible = (await registry.lookUp(tenant, [id])).get(id)?.visible
      if (visible && visible.version <= version) hidden.set(nameOf(tenant, id), visible.version)
    },
  }
}

function commitFirst(log: EventLog): EventLog['subscribe'] {
  return async (options, handler) =>
    await log.subscribe(options, async (batch) => {
      await batch.commit(batch.records.at(-1)!.offset)
      await handler({ ...batch, commit: async () => {} })
    })
}

const chunks = offlineSchemas.codec('chunks')
const CHUNKS: ReadonlySet<string> = new Set([topics.chunks.name, topics.chunksBulk.name])

/** Each part says that it is the only one. */
function withOnePart(log: EventLog): EventLog['subscribe'] {
  const alone = async (record: LogRecord): Promise<LogRecord> => {
    if (record.value === null) return record
    const value = chunks.encode({ ...(await chunks.decode(record.value)), part: 0, parts: 1 })
    return { ...record, value }
  }
  return async (options, handler) =>
    await log.subscribe(options, async (batch) => {
      if (!CHUNKS.has(batch.topic)) return await handler(batch)
      await handler({ ...batch, records: await Promise.all(batch.records.map(alone)) })
    })
}

function withoutAccess(stores: Stores): Stores {
  const { registry, index } = stores
  return {
    ...stores,
    index: { ...index, search: async (query) => await index.search({ ...query, groups: null }) },
    registry: {
      ...registry,
      async lookUp(tenant, ids) {
        const found = await registry.lookUp(tenant, ids)
        for (const [id, record] of found)
          if (record.visible) found.set(id, { ...record, visible: { ...record.visible, access: null } })
        return found
      },
    },
  }
}
