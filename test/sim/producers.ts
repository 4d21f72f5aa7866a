import { topics } from '@aquifer/contracts/topics'
import { parseReceipt, parseVersion } from '@aquifer/contracts/version'
import type { NewRecord } from '@aquifer/event-log/port'
import type { Identity } from '@aquifer/runtime/auth'
import type { Position } from '../oracle/facts.ts'
import { mark, textOf } from '../oracle/nonce.ts'
import { fire } from './faults.ts'
import { FLAKY, UNEMBEDDABLE, UNREADABLE } from './models.ts'
import { createProcess } from './process.ts'
import type { World } from './world.ts'

export interface Doc {
  readonly tenant: string
  readonly id: string
}

/** Who changes documents: over the door, or by writing to the log with a client of their own. */
export interface Producers {
  /** Publishes a new state. Returns where it was accepted, if it was told. */
  publish(doc: Doc): Promise<Position | null>
  remove(doc: Doc): Promise<void>
}

const TIMEOUT_MS = 30_000
const MAX_TRIES = 3
/** A sentence that every version of every document has: its vector is used again. */
const PREAMBLE = 'This plant is kept in good order.'
const ACCESS: readonly (readonly string[] | null)[] = [null, null, null, ['red'], ['blue'], []]

interface Publication {
  readonly doc: Doc
  readonly nonce: number
  readonly text: string
  readonly access: readonly string[] | null
  /** Says nothing of access: refused where a list holds. */
  readonly isSilent: boolean
}

export function createProducers(world: World): Producers {
  const { time, faults, facts, stores } = world
  const { random } = time
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  const client = createProcess('producer', time, faults).throughLog(stores.log)
  const isAccessVaried = random() < 0.5
  let nonces = 0

  function plan(doc: Doc): Publication {
    const nonce = ++nonces
    const access = isAccessVaried ? pick(ACCESS) : null
    const isSilent = world.isFaulty && access === null && random() < 0.2
    const draw = world.isFaulty ? random() : 1
    const flaw = draw < 0.08 ? UNREADABLE : draw < 0.16 ? UNEMBEDDABLE : draw < 0.3 ? FLAKY : null
    const parts = random() < 0.3 ? 5 + Math.floor(random() * 8) : 1 + Math.floor(random() * 3)
    const fails = flaw === UNREADABLE || flaw === UNEMBEDDABLE ? 'must' : flaw || isSilent ? 'may' : 'never'
    facts.push({ kind: 'publishing', nonce, tenant: doc.tenant, documentId: doc.id, access, fails })
    const words = flaw ? `The ${flaw} valve was seen` : undefined
    const text = `${PREAMBLE}\n\n${textOf(nonce, parts, words)}`
    return { doc, nonce, text, access, isSilent }
  }

  /** Null where nobody answered in time, as when the process died. */
  async function within<T>(work: Promise<T>): Promise<T | null> {
    return await Promise.race([work, time.clock.sleep(TIMEOUT_MS).then(() => null)])
  }

  async function overTheDoor({ doc, text, access, isSilent }: Publication): Promise<Position | null> {
    const headers: Record<string, string> = {
      'Content-Type': 'text/plain',
      'Aquifer-Metadata': JSON.stringify({ document: doc.id }),
    }
    const path = `/v1/documents/${doc.id}`
    // An empty list of the header is an empty list; openness has to be said in JSON.
    if (access !== null) headers['Aquifer-Access'] = access.join(',')
    else if (!isSilent) {
      const body = { id: doc.id, content: text, access: null, metadata: { document: doc.id } }
      return await sendTo(doc, 'POST', '/v1/documents', JSON.stringify(body), {
        'Content-Type': 'application/json',
      })
    }
    return await sendTo(doc, 'PUT', path, text, headers)
  }

  async function sendTo(
    doc: Doc,
    method: string,
    path: string,
    body?: string,
    headers: Record<string, string> = {},
  ): Promise<Position | null> {
    if (random() < 0.5) headers['Idempotency-Key'] = `key-${Math.floor(random() * 2 ** 32)}`
    for (let attempt = 1; attempt <= MAX_TRIES; attempt++) {
      const reply = await within(world.edge().request(method, path, adminOf(doc.tenant), body, headers))
      if (reply?.status === 202) return positionOf(((await reply.json()) as { receipt: string }).receipt)
      // Refused for good; or not again, by a client that gives up.
      if ((reply && reply.status < 500) || random() < 0.3) return null
      fire(faults.fired, 'request sent again')
      await time.clock.sleep(random() * 2000)
    }
    return null
  }

  function recordOf({ doc, text, nonce, access, isSilent }: Publication): {
    record: NewRecord
    blob: string | null
  } {
    const key = keyOf(doc)
    const metadata = { document: doc.id }
    const shape = random()
    if (shape < 0.25 && (access === null) === isSilent) {
      const headers: Record<string, string> = {
        ce_specversion: '1.0',
        'content-type': 'text/plain',
        'Aquifer-Metadata': JSON.stringify(metadata),
        ...(access === null ? {} : { 'Aquifer-Access': access.join(',') }),
      }
      return { record: { key, value: Buffer.from(text), headers }, blob: null }
    }
    const stated = isSilent ? {} : { access }
    if (shape < 0.5) {
      const blob = `uploads/${doc.tenant}/${mark({ nonce, part: 0, parts: 1 })}-${Math.floor(random() * 2 ** 32)}`
      const value = { uri: `blob:${blob}`, contentType: 'text/plain', metadata, ...stated }
      return { record: { key, value: Buffer.from(JSON.stringify(value)) }, blob }
    }
    const value = { content: text, contentType: 'text/plain', metadata, ...stated }
    return { record: { key, value: Buffer.from(JSON.stringify(value)) }, blob: null }
  }

  function keyOf({ tenant, id }: Doc): Buffer {
    const key = `${tenant}/${id}`
    if (random() < 0.5) return Buffer.from(key)
    fire(faults.fired, 'foreign partitioner')
    return stores.foreignKey(key)
  }

  async function append(record: NewRecord, tries = MAX_TRIES): Promise<Position | null> {
    const topic = (random() < 0.7 ? topics.documents : topics.documentsBulk).name
    for (let attempt = 1; attempt <= tries; attempt++) {
      try {
        const [place] = await client.append(topic, [record])
        if (tries > 1 && random() < 0.1) {
          fire(faults.fired, 'published twice')
          void client.append(topic, [record]).catch(() => {})
        }
        return { ...place!, topic }
      } catch {
        fire(faults.fired, 'record sent again')
        await time.clock.sleep(random() * 1000)
      }
    }
    return null
  }

  return {
    async publish(doc) {
      const publication = plan(doc)
      time.trace(`publishes ${publication.nonce} of ${doc.tenant}/${doc.id}`)
      if (random() < 0.5) return await overTheDoor(publication)
      const { record, blob } = recordOf(publication)
      if (blob === null) return await append(record)
      // A blob belongs to one record: who is not sure of it does not send it again.
      await stores.blobs.put(blob, Buffer.from(publication.text))
      return await append(record, 1)
    },
    async remove(doc) {
      facts.push({ kind: 'deleting', tenant: doc.tenant, documentId: doc.id })
      time.trace(`deletes ${doc.tenant}/${doc.id}`)
      if (random() < 0.3) {
        await append({ key: keyOf(doc), value: null })
        return
      }
      const position = await sendTo(doc, 'DELETE', `/v1/documents/${doc.id}`)
      if (position) facts.push({ kind: 'deleted', tenant: doc.tenant, documentId: doc.id, position })
    },
  }
}

export function adminOf(tenant: string): Identity {
  return { tenant, groups: null, canWrite: true }
}

function positionOf(receipt: string): Position {
  return parseVersion(parseReceipt(receipt, '').at as string)
}
