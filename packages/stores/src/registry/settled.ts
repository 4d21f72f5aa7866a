import type { Codec } from '@aquifer/contracts/avro'
import { indexedEvent } from '@aquifer/contracts/indexed-event'
import { topics } from '@aquifer/contracts/topics'
import type { Indexed } from '@aquifer/contracts/types'
import type { EventLog, Headers } from '@aquifer/event-log/port'
import type { Clock } from '@aquifer/runtime/clock'
import type { DocumentRecord, Registry } from './port.ts'

/** How a version went, beside what the registry says of its document. */
export type Settled = Pick<
  Parameters<typeof indexedEvent>[0],
  'version' | 'state' | 'error' | 'embedder' | 'reusedVectors' | 'publishedAt'
>

/**
 * Tells the topic `indexed` of a version that settled. It is compacted, and a lost registry is made again from it: so the record that
 * stays is to name the latest attempt, and what is visible and deleted, although several consumers append for one document at once.
 * Each looks at the registry after its record too, and appends another where something settled in between; whoever comes last
 * finds it as it said.
 */
export async function tellSettled(
  { log, registry, codec, clock }: { log: EventLog; registry: Registry; codec: Codec<Indexed>; clock: Clock },
  about: { tenant: string; documentId: string; key: Buffer | null; headers: Headers },
  settled: Settled,
): Promise<void> {
  const { tenant, documentId, key, headers } = about
  const lookUp = async () => (await registry.lookUp(tenant, [documentId])).get(documentId)
  let told = settled
  let known = await lookUp()
  for (;;) {
    const value = codec.encode(indexedEvent({ ...told, known, settledAt: clock.now() }))
    await log.append(topics.indexed.name, [{ key, value, headers }])
    const now = await lookUp()
    const later = laterFailure(now, told.version)
    if (later === null && standOf(now) === standOf(known)) return
    told = later ?? told
    known = now
  }
}

/** What is visible and deleted, to be compared. */
function standOf(known: DocumentRecord | undefined): string {
  return JSON.stringify([known?.visible?.version, known?.visible?.build, known?.floor])
}

/** A later version that failed before this one settled: its own record came first, and is not the one that stays. */
function laterFailure(known: DocumentRecord | undefined, version: string): Settled | null {
  const latest = known?.latest
  if (!latest || latest.version <= version) return null
  if (latest.state !== 'failed' && latest.state !== 'quarantined') return null
  const { state, error = null, publishedAt } = latest
  return { version: latest.version, state, error, embedder: null, reusedVectors: 0, publishedAt }
}
