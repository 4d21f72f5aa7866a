import { v5 as uuidv5 } from 'uuid'
import { invalid } from '@aquifer/runtime/errors'

const TENANT = /^[a-z0-9_-]{1,63}$/
const MAX_ID_BYTES = 512
/** Namespace of the point ids, made once at random; it must never change. */
const POINT_NAMESPACE = '5b0e4d1e-7d1c-4c7b-9d0a-2f6a1c3e8b57'

export function isTenant(tenant: string): boolean {
  return TENANT.test(tenant)
}

/** Any UTF-8 of 1 to 512 bytes. A lone surrogate has no UTF-8. */
export function checkDocumentId(id: string): string {
  const sizeBytes = Buffer.byteLength(id)
  if (sizeBytes < 1 || sizeBytes > MAX_ID_BYTES) {
    throw invalid(
      'invalid_id',
      `a document id has 1 to ${MAX_ID_BYTES} bytes of UTF-8, this one ${sizeBytes}`,
    )
  }
  if (!id.isWellFormed()) throw invalid('invalid_id', 'the document id is not valid Unicode')
  return id
}

export function topicKey(tenant: string, id: string): string {
  return `${tenant}/${id}`
}

/** Splits a record key at its first slash. Throws `invalid_key`: the record belongs in the dead-letter queue. */
export function parseTopicKey(key: Buffer | null): { tenant: string; id: string } {
  if (key === null) throw invalid('invalid_key', 'the record has no key; a key is tenant/documentId')
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(key)
  } catch (cause) {
    throw invalid('invalid_key', 'the record key is not UTF-8', 400, cause)
  }
  const slash = text.indexOf('/')
  const tenant = text.slice(0, Math.max(slash, 0))
  if (slash < 0 || !isTenant(tenant)) {
    throw invalid(
      'invalid_key',
      `the record key ${JSON.stringify(text.slice(0, 80))} is not tenant/documentId`,
    )
  }
  return { tenant, id: checkDocumentId(text.slice(slash + 1)) }
}

/** The id of a chunk's point: the same for every delivery of the same chunk. */
export function pointId(tenant: string, id: string, version: string, build: string, index: number): string {
  return uuidv5(JSON.stringify([tenant, id, version, build, index]), POINT_NAMESPACE)
}
