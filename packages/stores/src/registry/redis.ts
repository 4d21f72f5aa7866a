import { parseVersion } from '@aquifer/contracts/version'
import { unavailable } from '@aquifer/runtime/errors'
import { nearKeys } from '@aquifer/text/fingerprint'
import type { RedisConnection, RedisUser, Script } from '../redis.ts'
import { MAX_PER_KEY } from './port.ts'
import type {
  Attempt,
  Candidate,
  DocumentRecord,
  DocumentStateName,
  FlipResult,
  Registry,
  VisibleVersion,
} from './port.ts'
import { readable } from './readable.ts'
import * as scripts from './redis-scripts.ts'
import type { Confirmation, GuardedRegistry, Soundness } from './soundness.ts'

const STATES: readonly DocumentStateName[] = ['queued', 'indexed', 'failed', 'quarantined', 'deleted']
const MAX_LAGS = 1000
/** Ids that one call of `list` looks through for those that the caller may see; then it answers with what it has. */
const LIST_PAGE = 200
const LIST_PAGES = 50

/**
 * A registry on Redis, by its instance's name. All its keys lie in one hash slot, so a look-up sees one state, and what a
 * replica has of it is everything up to some write: a later marker is never there without an earlier flip.
 *
 * Its own reads reject with `registry_unavailable` while the server is not known to have all that was written; those of
 * `applying`, for the consumers that bring it up to date, do not.
 */
export function createRedisRegistry(redis: RedisConnection, { name }: { name: string }): GuardedRegistry {
  const user = redis.as('registry_unavailable')
  const slot = `{${redis.prefix}:registry:${name}}`
  return {
    ...createRegistry(user, slot, true),
    applying: createRegistry(user, slot, false),
    soundness: createSoundness(user, slot),
  }
}

/** Removes a registry that no generation uses any more. */
export async function dropRedisRegistry(redis: RedisConnection, name: string): Promise<void> {
  const pattern = `{${redis.prefix}:registry:${name}}:*`
  await redis.as('registry_unavailable').run(async (client) => {
    for await (const keys of client.scanStream({ match: pattern, count: 1000 })) {
      if (keys.length > 0) await client.unlink(...(keys as string[]))
    }
  })
}

function createRegistry(user: RedisUser, slot: string, checked: boolean): Registry {
  const keysOf = (tenant: string): string[] => [
    `${slot}:sound`,
    ...['latest', 'visible', 'floor', 'order', 'flips', 'chunks'].map((kind) => `${slot}:${kind}:${tenant}`),
    `${slot}:queued`,
    `${slot}:near:${tenant}`,
  ]

  async function read(script: Script, tenant: string, ...args: (string | number)[]): Promise<unknown> {
    try {
      return await user.script(script, keysOf(tenant), [checked ? 1 : 0, ...args])
    } catch (error) {
      if (!(error instanceof Error) || !/\bUNSOUND\b/.test(error.message)) throw error
      throw unavailable(
        'registry_unavailable',
        'redis was restarted or replaced: the registry is being checked, and answers when it is known to be whole',
        error,
      )
    }
  }

  return {
    async lookUp(tenant, documentIds) {
      const ids = [...new Set(documentIds)]
      const columns = (await read(scripts.LOOK_UP, tenant, ...ids)) as Columns
      return new Map(toRecords(tenant, ids, columns).map((record) => [record.documentId, record]))
    },
    async recordAttempt(tenant, documentId, attempt) {
      const { version, state, replayedAt = 0 } = attempt
      const args = [tenant, documentId, version, state, replayedAt, ...attemptLines(attempt)]
      await user.script(scripts.RECORD_ATTEMPT, keysOf(tenant), args)
    },
    async flip(tenant, documentId, visible) {
      const { version, build, chunks, publishedAt, indexedAt, fingerprint } = visible
      const lag = indexedAt - publishedAt
      const identified = [
        tenant,
        documentId,
        version,
        JSON.stringify(build),
        chunks,
        lag,
        indexedAt,
        MAX_LAGS,
      ]
      const whole = JSON.stringify(visible)
      const shown = fingerprint === null ? whole : `${whole}\n${fingerprint}`
      const args = [...identified, shown, ...attemptLines(visible)]
      const reply = await user.script(scripts.FLIP, keysOf(tenant), args)
      const [outcome, other, otherBuild] = reply as [string, string, string]
      if (outcome !== 'flipped') return { flipped: false, reason: outcome, winner: other } as FlipResult
      const previous = other === '' ? null : { version: other, build: JSON.parse(otherBuild) as string }
      return { flipped: true, previous }
    },
    async raiseFloor(tenant, documentId, version) {
      const publishedAt = parseVersion(version).appendTimeMs
      const deleted = attemptLines({ title: null, contentType: null, access: null, publishedAt })
      // Where writes are confirmed, a deletion is: one that only a cut-off server knows is not to be answered for.
      await user.confirmed(scripts.RAISE_FLOOR, keysOf(tenant), [tenant, documentId, version, ...deleted])
    },
    async list(tenant, { state = '', cursor, limit, groups }) {
      let after = cursor === undefined ? '' : Buffer.from(cursor, 'base64url').toString()
      const documents: DocumentRecord[] = []
      for (let page = 0; page < LIST_PAGES && documents.length <= limit; page++) {
        const size = Math.max(limit + 1, LIST_PAGE)
        const [from, to] = [`(${state}\n${after}`, `(${state}\v`]
        const [ids, ...columns] = (await read(scripts.LIST, tenant, from, to, size)) as [string[], ...Columns]
        const shown = toRecords(tenant, ids, columns).filter(
          ({ latest, visible }) => readable(latest, groups) && readable(visible, groups),
        )
        documents.push(...shown)
        if (ids.length < size) {
          after = ''
          break
        }
        after = ids.at(-1)!
      }
      if (documents.length > limit) after = documents[limit - 1]!.documentId
      const listed = documents.slice(0, limit)
      return after === ''
        ? { documents: listed }
        : { documents: listed, cursor: Buffer.from(after).toString('base64url') }
    },
    async candidates(tenant, fingerprint) {
      const keys = nearKeys(fingerprint)
      const members = (await read(scripts.CANDIDATES, tenant, MAX_PER_KEY, ...keys)) as string[]
      const found = members.map(toCandidate)
      return [...new Map(found.map((candidate) => [candidate.documentId, candidate])).values()]
    },
    async counts(tenant) {
      type Counts = [number, number, number, number, number, number]
      const reply = (await read(scripts.COUNTS, tenant, ...STATES)) as Counts
      const [queued, indexed, failed, quarantined, deleted, chunks] = reply
      return { queued, indexed, failed, quarantined, deleted, chunks }
    },
    async recentLags(tenant) {
      return ((await read(scripts.RECENT_LAGS, tenant, MAX_LAGS)) as string[]).map(Number)
    },
    async queuedBefore(version, limit, after = '') {
      const members = (await read(scripts.QUEUED, '', `[${after}\v`, `(${version}`, limit)) as string[]
      return members.map((member) => {
        const [, queued, tenant, documentId] = /^([^\n]*)\n([^/]*)\/(.*)$/s.exec(member)!
        return { tenant: tenant!, documentId: documentId!, version: queued! }
      })
    },
    async ping() {
      await user.run(async (client) => await client.ping())
    },
    close: async () => {},
  }
}

function createSoundness(user: RedisUser, slot: string): Soundness {
  const sound = `${slot}:sound`
  const markers = `${slot}:markers`
  const field = (group: string, topic: string, partition: number | string): string =>
    `${group}\n${topic}\n${partition}`

  async function stand(): Promise<{ identity: string; state: 'sound' | 'unchecked' | 'lost' }> {
    const [identity, state] = (await user.script(scripts.STATE, [sound], [])) as [string, 'sound']
    if (identity === '') throw unavailable('registry_unavailable', 'redis: the server is a replica')
    return { identity, state }
  }

  return {
    identity: async () => (await stand()).identity,
    state: async () => (await stand()).state,
    async confirm({ group, topic, partition, first, last, identity }) {
      const args = [identity, field(group, topic, partition), first, last]
      const [outcome, marker] = (await user.confirmed(scripts.CONFIRM, [sound, markers], args)) as [
        Confirmation['outcome'],
        string,
      ]
      return outcome === 'gap' ? { outcome, marker: Number(marker) } : { outcome }
    },
    async markers(group, topic) {
      const all = await user.run(async (client) => await client.hgetall(markers))
      const prefix = field(group, topic, '')
      const own = Object.entries(all).filter(([name]) => name.startsWith(prefix))
      return new Map(own.map(([name, offset]) => [Number(name.slice(prefix.length)), Number(offset)]))
    },
    declareSound: async (identity) => (await user.script(scripts.DECLARE_SOUND, [sound], [identity])) === 1,
    async declareLost() {
      await user.script(scripts.DECLARE_LOST, [sound], [])
    },
  }
}

/** Of a member of `near`: a key of five characters, a fingerprint, a line break, an id. */
function toCandidate(member: string): Candidate {
  const end = member.indexOf('\n')
  return { fingerprint: member.slice(5, end), documentId: member.slice(end + 1) }
}

/** Latest, visible and floor of each document, null where there is none. */
type Columns = [latest: (string | null)[], visible: (string | null)[], floors: (string | null)[]]

/** What a deletion keeps of an attempt, and the rest of it. */
function attemptLines(
  about: Pick<Attempt, 'access' | 'publishedAt' | 'title' | 'contentType' | 'error'>,
): [kept: string, rest: string] {
  const { access, publishedAt, title, contentType, error } = about
  return [JSON.stringify({ access, publishedAt }), JSON.stringify({ title, contentType, error })]
}

function toRecords(
  tenant: string,
  ids: readonly string[],
  [latest, visible, floors]: Columns,
): DocumentRecord[] {
  return ids.flatMap((documentId, i) =>
    latest[i] == null
      ? []
      : {
          tenant,
          documentId,
          visible: visible[i] == null ? null : (JSON.parse(visible[i].split('\n')[4]!) as VisibleVersion),
          floor: floors[i] ?? null,
          latest: toAttempt(latest[i]),
        },
  )
}

function toAttempt(text: string): Attempt {
  const [version, state, replayedAt, kept, rest] = text.split('\n') as [
    string,
    DocumentStateName,
    ...string[],
  ]
  const attempt = { version, state, ...JSON.parse(rest!), ...JSON.parse(kept!) } as Attempt
  return replayedAt === '0' ? attempt : { ...attempt, replayedAt: Number(replayedAt) }
}
