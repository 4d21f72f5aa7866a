import { topics, VERSION_HEADER } from '@aquifer/contracts/topics'
import { offlineSchemas } from '@aquifer/contracts/avro'
import { parseVersion } from '@aquifer/contracts/version'
import type { EventLog, NewRecord, Position as Place } from '@aquifer/event-log/port'
import type { Fact, Position } from '../oracle/facts.ts'
import { marksIn } from '../oracle/nonce.ts'
import { fire } from './faults.ts'
import type { Fired } from './faults.ts'

const SOURCES: ReadonlySet<string> = new Set([topics.documents.name, topics.documentsBulk.name])
const chunks = offlineSchemas.codec('chunks')

/** Writes down what the log accepts, where it accepts it: also what its producer never hears of. */
export function withLedger<T extends EventLog>(log: T, facts: Fact[], fired: Fired): T {
  async function note(topic: string, record: NewRecord, place: Place): Promise<void> {
    const { tenant, documentId } = keyOf(record)
    if (SOURCES.has(topic)) {
      const [first] = record.value ? marksIn([record.value.toString('latin1')]) : []
      if (record.value && !first) throw new Error(`a publication without a mark: ${record.value.toString()}`)
      const position = { ...place, topic }
      facts.push({ kind: 'accepted', tenant, documentId, nonce: first?.nonce ?? null, position })
    } else if (topic === topics.documentsDlq.name) {
      fire(fired, 'document dead-lettered')
      facts.push({ kind: 'deadLetter', position: originOf(record) })
    } else if (topic === topics.chunksDlq.name) {
      fire(fired, 'chunks dead-lettered')
      const { version } = await chunks.decode(record.value!)
      facts.push({ kind: 'deadLetter', position: parseVersion(version) })
    } else if (topic === topics.documentsRetry.name) {
      fire(fired, 'replayed')
      facts.push({ kind: 'replayed', position: parseVersion(record.headers![VERSION_HEADER]!) })
    }
  }

  return {
    ...log,
    async append(topic, records) {
      const places = await log.append(topic, records)
      for (const [i, record] of records.entries()) await note(topic, record, places[i]!)
      return places
    },
  }
}

function keyOf({ key }: NewRecord): { tenant: string; documentId: string } {
  const text = String(key)
  const slash = text.indexOf('/')
  return { tenant: text.slice(0, slash), documentId: text.slice(slash + 1) }
}

function originOf({ headers = {} }: NewRecord): Position {
  return {
    appendTimeMs: Number(headers['aquifer-append-time']),
    topic: headers['__connect.errors.topic']!,
    partition: Number(headers['__connect.errors.partition']),
    offset: Number(headers['__connect.errors.offset']),
  }
}
