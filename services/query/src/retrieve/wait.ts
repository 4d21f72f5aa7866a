import { topicKey } from '@aquifer/contracts/keys'
import { topics } from '@aquifer/contracts/topics'
import { formatVersion, parseReceipt, parseVersion } from '@aquifer/contracts/version'
import type { Receipt } from '@aquifer/contracts/version'
import type { EventLog } from '@aquifer/event-log/port'
import type { Clock } from '@aquifer/runtime/clock'
import { invalid } from '@aquifer/runtime/errors'
import type { Attempt, DocumentRecord, Registry } from '@aquifer/stores/registry'

export interface Freshness {
  readonly fresh: boolean
  readonly reason?: string
}

const POLL_MS = 10

/** Reads the receipts of a query. Another tenant's is 403. */
export function readReceipts(after: string | readonly string[] | undefined, tenant: string): Receipt[] {
  const receipts = (after === undefined ? [] : typeof after === 'string' ? [after] : after).map((text) =>
    parseReceipt(text, tenant),
  )
  const foreign = receipts.find((receipt) => receipt.tenant !== tenant)
  if (foreign) throw invalid('foreign_receipt', 'the receipt is of another tenant', 403)
  return receipts
}

/**
 * Waits until each receipt's publication is visible, deleted or superseded. A publication that failed or was quarantined ends
 * the wait at once; so does the deadline.
 */
export function createReceiptWaiter({
  log,
  registry,
  clock,
}: {
  log: EventLog
  registry: Registry
  clock: Clock
}) {
  /** The version that a record's place stands for, as soon as the record is there; null while it is not, or no longer. */
  async function versionAt(receipt: Receipt): Promise<string | null> {
    if (typeof receipt.at === 'string') return receipt.at
    const { partition, offset } = receipt.at
    const [record] = await log.read(topics.documents.name, partition, offset, 1)
    if (!record || record.offset !== offset) return null
    if (record.key?.toString() !== topicKey(receipt.tenant, receipt.documentId)) {
      throw invalid(
        'invalid_receipt',
        `the record ${partition}:${offset} is not of the document ${receipt.documentId}`,
      )
    }
    return formatVersion(record)
  }

  const nextLooks = new Map<string, { ids: Set<string>; records: Promise<Map<string, DocumentRecord>> }>()

  /** The next look at the registry, which all that wait for documents of a tenant share: many are no more work than one. */
  async function nextLook(tenant: string, ids: readonly string[]): Promise<Map<string, DocumentRecord>> {
    let next = nextLooks.get(tenant)
    if (!next) {
      const shared = new Set<string>()
      const records = clock.sleep(POLL_MS).then(() => {
        nextLooks.delete(tenant)
        return registry.lookUp(tenant, [...shared])
      })
      nextLooks.set(tenant, (next = { ids: shared, records }))
    }
    for (const id of ids) next.ids.add(id)
    return await next.records
  }

  type Look = (tenant: string, ids: readonly string[]) => Promise<Map<string, DocumentRecord>>

  /** What is still waited for, by one look at the registry; or why waiting is in vain. */
  async function judge(
    waiting: readonly Waiting[],
    look: Look,
  ): Promise<{ left: Waiting[]; failure?: string }> {
    const ids = [...new Set(waiting.map(({ documentId }) => documentId))]
    for (const receipt of waiting) receipt.version ??= await versionAt(receipt)
    const records = await look(waiting[0]!.tenant, ids)
    const left = waiting.filter((receipt) => {
      const record = records.get(receipt.documentId)
      return !record || !isReached(record, receipt)
    })
    const failure = left
      .map((receipt) => failureOf(receipt, records.get(receipt.documentId)?.latest))
      .find((reason) => reason !== null)
    return { left, ...(failure ? { failure } : {}) }
  }

  /** All receipts are of one tenant. */
  return async (receipts: readonly Receipt[], timeoutMs: number, signal: AbortSignal): Promise<Freshness> => {
    const deadline = clock.now() + timeoutMs
    let waiting: Waiting[] = receipts.map((receipt) => ({ ...receipt, version: null }))
    let look: Look = (tenant, ids) => registry.lookUp(tenant, ids)
    while (waiting.length > 0) {
      const { left, failure } = await judge(waiting, look)
      if (failure !== undefined) return { fresh: false, reason: failure }
      const [next] = left
      if (next && clock.now() >= deadline)
        return { fresh: false, reason: `${next.documentId}: not visible in time` }
      signal.throwIfAborted()
      waiting = left
      look = nextLook
    }
    return { fresh: true }
  }
}

/** A receipt, and the version that it stands for as soon as that is known. */
type Waiting = Receipt & { version: string | null }

function failureOf({ documentId, version }: Waiting, latest: Attempt | null | undefined): string | null {
  if (!latest || latest.version !== version) return null
  if (latest.state !== 'failed' && latest.state !== 'quarantined') return null
  return `${documentId}: ${latest.state} (${latest.error?.code ?? 'unknown'})`
}

function isReached({ visible, floor }: DocumentRecord, { at, version }: Waiting): boolean {
  return [visible?.version, floor].some((reached) => {
    if (!reached) return false
    if (version !== null) return reached >= version
    // The record is not held any more, or not yet: only its own partition can say.
    if (typeof at === 'string') return false
    const origin = parseVersion(reached)
    return (
      origin.topic === topics.documents.name &&
      origin.partition === at.partition &&
      origin.offset >= at.offset
    )
  })
}
