import { invalid } from '@aquifer/runtime/errors'
import { checkDocumentId, isTenant } from './keys.ts'

/** Where a document's source record lies in the log. */
export interface Origin {
  readonly appendTimeMs: number
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/**
 * A version as one opaque string that sorts bytewise by (append time, topic, partition, offset). All numbers are
 * padded: 12 hexadecimal digits hold milliseconds until the year 10889, 16 decimal digits any safe integer.
 */
export function formatVersion({ appendTimeMs, topic, partition, offset }: Origin): string {
  const time = appendTimeMs.toString(16).padStart(12, '0')
  return `${time}-${topic}-${String(partition).padStart(5, '0')}-${String(offset).padStart(16, '0')}`
}

const VERSION = /^([0-9a-f]{12})-([A-Za-z0-9._]+)-(\d{5})-(\d{16})$/

export function parseVersion(version: string): Origin {
  const match = VERSION.exec(version)
  if (!match) throw invalid('invalid_version', `${JSON.stringify(version.slice(0, 100))} is not a version`)
  const [, time, topic, partition, offset] = match as unknown as [string, string, string, string, string]
  return {
    appendTimeMs: Number.parseInt(time, 16),
    topic,
    partition: Number(partition),
    offset: Number(offset),
  }
}

/** What a publication was answered with: a query that presents it sees that publication. */
export interface Receipt {
  readonly tenant: string
  readonly documentId: string
  /** A whole version, or, from a Kafka producer, only the place of the record in `aquifer.documents`. */
  readonly at: string | { readonly partition: number; readonly offset: number }
}

export function formatReceipt(tenant: string, documentId: string, version: string): string {
  return Buffer.from(JSON.stringify([tenant, documentId, version])).toString('base64url')
}

/** Reads a receipt of ours, or `id@partition:offset` in the caller's tenant. Throws `invalid_receipt`. */
export function parseReceipt(receipt: string, tenant: string): Receipt {
  const place = /^(.+)@(\d{1,5}):(\d{1,16})$/su.exec(receipt)
  if (place) {
    const documentId = checkDocumentId(place[1]!)
    return { tenant, documentId, at: { partition: Number(place[2]), offset: Number(place[3]) } }
  }
  try {
    const fields: unknown = JSON.parse(Buffer.from(receipt, 'base64url').toString())
    if (Array.isArray(fields) && fields.length === 3 && fields.every((field) => typeof field === 'string')) {
      const [owner, documentId, version] = fields as [string, string, string]
      parseVersion(version)
      if (isTenant(owner)) return { tenant: owner, documentId: checkDocumentId(documentId), at: version }
    }
  } catch {
    // Falls through: whatever was wrong with it, it is not a receipt.
  }
  throw invalid(
    'invalid_receipt',
    `${JSON.stringify(receipt.slice(0, 80))} is neither a receipt nor id@partition:offset`,
  )
}
