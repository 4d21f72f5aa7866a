import { topicKey } from '@aquifer/contracts/keys'
import { topics } from '@aquifer/contracts/topics'
import { formatVersion, parseReceipt, parseVersion } from '@aquifer/contracts/version'
import type { Receipt } from '@aquifer/contracts/version'
import type { EventLog } from '@aquifer/event-log/port'
import type { Clock } from '@aquifer/runtime/clock'
import { invalid } from '@aquifer/runtime/errors'
import type { DocumentRecord, Registry } from '@aquifer/stores/registry'

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

  async function waitFor(receipt: Receipt, deadline: number, signal: AbortSignal): Promise<Freshness> {
    let version: string | null = null
    for (;;) {
      version ??= await versionAt(receipt)
      const record = (await registry.lookUp(receipt.tenant, [receipt.documentId])).get(receipt.documentId)
      if (record && isReached(record, receipt, version)) return { fresh: true }
      const latest = record?.latest
      if (
        latest &&
        latest.version === version &&
        (latest.state === 'failed' || latest.state === 'quarantined')
      ) {
        return {
          fresh: false,
          reason: `${receipt.documentId}: ${latest.state} (${latest.error?.code ?? 'unknown'})`,
        }
      }
      const leftMs = deadline - clock.now()
      if (leftMs <= 0) return { fresh: false, reason: `${receipt.documentId}: not visible in time` }
      await clock.sleep(Math.min(POLL_MS, leftMs), signal)
    }
  }

  return async (receipts: readonly Receipt[], timeoutMs: number, signal: AbortSignal): Promise<Freshness> => {
    const deadline = clock.now() + timeoutMs
    const all = await Promise.all(receipts.map(async (receipt) => await waitFor(receipt, deadline, signal)))
    return all.find(({ fresh }) => !fresh) ?? { fresh: true }
  }
}

function isReached({ visible, floor }: DocumentRecord, { at }: Receipt, version: string | null): boolean {
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
