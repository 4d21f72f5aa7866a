import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { Fact, Position } from '../oracle/facts.ts'
import { marksIn } from '../oracle/nonce.ts'
import { readTopic } from './broker-records.ts'
import type { BrokerRecord } from './broker-records.ts'
import { httpOf } from './world.ts'
import type { World } from './world.ts'

const SOURCES = ['aquifer.documents', 'aquifer.documents.bulk']
const PAGE = 500

/** What the broker's topics say: all that was accepted, and all that was dead-lettered. */
export async function readLedger({ kafka }: World): Promise<Fact[]> {
  const of = async (topic: string) => await readTopic(kafka.bootstrap, topic)
  const records = (await Promise.all(SOURCES.map(of))).flat()
  const accepted = records.map((record): Fact => {
    const slash = record.key.indexOf('/')
    const [tenant, documentId] = [record.key.slice(0, slash), record.key.slice(slash + 1)]
    const [first] = record.value ? marksIn([record.value.toString('latin1')]) : []
    if (record.value && !first) throw new Error(`a publication without a mark: ${record.value.toString()}`)
    return { kind: 'accepted', tenant, documentId, nonce: first?.nonce ?? null, position: positionOf(record) }
  })
  const documents = (await of('aquifer.documents.dlq')).map(originOf)
  const chunks = (await of('aquifer.chunks.dlq')).map(versionIn)
  return [
    ...accepted,
    ...[...documents, ...chunks].map((position): Fact => ({ kind: 'deadLetter', position })),
  ]
}

function positionOf({ topic, partition, offset, appendTimeMs }: BrokerRecord): Position {
  return { topic, partition, offset, appendTimeMs }
}

function originOf({ headers }: BrokerRecord): Position {
  return {
    appendTimeMs: Number(headers['aquifer-append-time']),
    topic: headers['__connect.errors.topic']!,
    partition: Number(headers['__connect.errors.partition']),
    offset: Number(headers['__connect.errors.offset']),
  }
}

/** Of chunks: the version in them names the record that they were made from. */
function versionIn({ value }: BrokerRecord): Position {
  const text = value!.toString('latin1')
  const [, time, topic, partition, offset] = /([0-9a-f]{12})-(aquifer\.[a-z.]+)-(\d{5})-(\d{16})/.exec(text)!
  return {
    appendTimeMs: Number.parseInt(time!, 16),
    topic: topic!,
    partition: Number(partition),
    offset: Number(offset),
  }
}

/** Facts in which only places were known, with the append times that the ledger tells. */
export function withAppendTimes(facts: readonly Fact[], ledger: readonly Fact[]): Fact[] {
  const name = ({ topic, partition, offset }: Position): string => `${topic}/${partition}@${offset}`
  const known = new Map(
    ledger.flatMap((fact) => (fact.kind === 'accepted' ? [[name(fact.position), fact.position]] : [])),
  )
  const dated = (position: Position): Position => {
    const found = known.get(name(position))
    if (!found) throw new Error(`${name(position)} was acknowledged, and the log does not hold it`)
    return found
  }
  return facts.map((fact) => {
    if (fact.kind === 'deleted') return { ...fact, position: dated(fact.position) }
    return fact.kind === 'answered' && fact.reached ? { ...fact, reached: fact.reached.map(dated) } : fact
  })
}

/** Every point that Qdrant holds, and every text that is stored. */
export async function readKept(world: World, facts: readonly Fact[]): Promise<Fact[]> {
  return [...(await readPoints(httpOf(world.qdrant))), ...(await readFiles(world.dataDir, facts))]
}

async function readPoints(origin: string): Promise<Fact[]> {
  const { collections } = await get<{ collections: { name: string }[] }>(`${origin}/collections`)
  const found: Fact[] = []
  for (const { name } of collections) {
    let offset: unknown = null
    do {
      const body = { limit: PAGE, with_payload: true, ...(offset !== null && { offset }) }
      const page = await get<Page>(`${origin}/collections/${name}/points/scroll`, body)
      for (const { payload } of page.points) {
        if (payload.body === undefined) continue
        const { text } = JSON.parse(payload.body) as { text: string }
        found.push({
          kind: 'kept',
          where: 'index',
          tenant: payload.tenant,
          documentId: payload.document,
          text,
        })
      }
      offset = page.next_page_offset ?? null
    } while (offset !== null)
  }
  return found
}

interface Page {
  readonly points: readonly { payload: { tenant: string; document: string; body?: string } }[]
  readonly next_page_offset?: unknown
}

async function get<T>(url: string, body?: object): Promise<T> {
  const response = await fetch(url, {
    ...(body && {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    }),
  })
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`)
  return ((await response.json()) as { result: T }).result
}

async function readFiles(dataDir: string, facts: readonly Fact[]): Promise<Fact[]> {
  const byNonce = new Map(facts.flatMap((fact) => (fact.kind === 'publishing' ? [[fact.nonce, fact]] : [])))
  const root = join(dataDir, 'blobs', 'blobs')
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  const found: Fact[] = []
  for (const entry of entries.filter((each) => each.isFile())) {
    const path = join(entry.parentPath, entry.name)
    const text = await readFile(path, 'latin1')
    const of = byNonce.get(marksIn([text])[0]?.nonce ?? -1)
    const shown = `${relative(root, path)} ${text}`
    if (of)
      found.push({ kind: 'kept', where: 'files', tenant: of.tenant, documentId: of.documentId, text: shown })
  }
  return found
}
