import { z } from 'zod'
import { invalid } from '@aquifer/runtime/errors'
import {
  accessInput,
  checkFields,
  checkInput,
  contentTypeInput,
  fieldsOfHeaders,
  filenameInput,
  MAX_TITLE,
  metadataInput,
  titleInput,
} from './document-fields.ts'
import { checkDocumentId, parseTopicKey } from './keys.ts'
import type { Codec } from './avro.ts'
import type { Document } from './types.ts'

/** The body of `POST /v1/documents`, a line of the bulk upload, and a plain JSON record of the `documents` topic. */
export const documentInput = z
  .strictObject({
    id: z.string().optional(),
    content: z.string().optional(),
    contentBase64: z.base64().optional(),
    /** `blob:` and a key of the store, or an https host on the allow list. */
    uri: z.string().max(4096).optional(),
    contentType: contentTypeInput.optional(),
    filename: filenameInput.optional(),
    title: titleInput.nullish(),
    metadata: metadataInput.optional(),
    /** Left out: the whole tenant, but an error where the document is restricted. null: stated to be open. */
    access: accessInput.nullish(),
  })
  .refine(
    ({ content, contentBase64, uri }) =>
      [content, contentBase64, uri].filter((given) => given !== undefined).length === 1,
    {
      message: 'exactly one of content, contentBase64 and uri is needed',
    },
  )
export type DocumentInput = z.infer<typeof documentInput>

/** The fields of a document that do not depend on where its content lies. */
export function documentFields(
  input: DocumentInput,
  id: string,
  publishedAt: number,
): Omit<Document, 'content' | 'blob'> {
  return {
    id: checkDocumentId(id),
    contentType:
      input.contentType ?? (input.content === undefined ? 'application/octet-stream' : 'text/plain'),
    filename: input.filename ?? null,
    title: input.title ?? null,
    metadata: input.metadata ?? {},
    access: input.access ?? null,
    open: input.access === null,
    publishedAt,
  }
}

export function inlineContent(input: DocumentInput): Buffer | null {
  if (input.content !== undefined) return Buffer.from(input.content)
  return input.contentBase64 === undefined ? null : Buffer.from(input.contentBase64, 'base64')
}

/** What a record of a `documents` topic says. A `uri` is resolved by who processes it. */
export type DocumentEvent = { readonly tenant: string; readonly id: string } & (
  | { readonly kind: 'delete' }
  | { readonly kind: 'publish'; readonly document: Document }
  | { readonly kind: 'fetch'; readonly document: Document; readonly uri: string }
)

export interface DocumentSource {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, string>>
  readonly appendTimeMs: number
}

/**
 * Reads a record that anyone may have written: Avro in the wire format, CloudEvents in binary mode (`ce_*` headers, and
 * those of a raw upload), or the JSON of `POST /v1/documents`. The key names the document. Throws what belongs in the dead-letter queue,
 * and what the codec does where it cannot ask for a schema.
 */
export async function readDocumentEvent(
  record: DocumentSource,
  codec: Codec<Document>,
): Promise<DocumentEvent> {
  const { tenant, id } = parseTopicKey(record.key)
  if (record.value === null) return { kind: 'delete', tenant, id }
  // Whatever case a client writes them in.
  const headers = Object.fromEntries(
    Object.entries(record.headers).map(([name, value]) => [name.toLowerCase(), value]),
  )
  if (Object.keys(headers).some((name) => name.startsWith('ce_'))) {
    const document = fromCloudEvent(headers, record.value, id, record.appendTimeMs)
    return { kind: 'publish', tenant, id, document }
  }
  if (record.value[0] === 0) {
    const document = checkFields(await codec.decode(record.value))
    checkSameId(document.id, id)
    const blob = document.blob
    if ((document.content === null) === (blob === null))
      throw invalid('invalid_document', 'exactly one of content and blob is needed')
    if (!isTime(document.publishedAt))
      throw invalid('invalid_document', 'publishedAt: expected milliseconds since the epoch')
    if (blob !== null) checkBlobOwner(blob, tenant)
    return { kind: 'publish', tenant, id, document }
  }
  return fromJson(record, record.value, tenant, id)
}

/** Blob keys begin with their tenant, so that no producer can name another's content. */
export function checkBlobOwner(blob: string, tenant: string): string {
  if (!blob.startsWith(`uploads/${tenant}/`) || blob.split('/').includes('..')) {
    throw invalid(
      'invalid_uri',
      `${JSON.stringify(blob.slice(0, 100))} is not a blob of the tenant ${tenant}`,
    )
  }
  return blob
}

/** What a date can show. */
function isTime(ms: number): boolean {
  return Number.isFinite(new Date(ms).getTime())
}

function checkSameId(given: string, id: string): void {
  if (given !== id) {
    throw invalid(
      'id_mismatch',
      `the record key names ${JSON.stringify(id)}, its value ${JSON.stringify(given.slice(0, 80))}`,
    )
  }
}

/** `ce_subject` is a title where there is no other; `ce_id` names the event. The key alone names the document. */
function fromCloudEvent(
  headers: Readonly<Record<string, string>>,
  content: Buffer,
  id: string,
  appendTimeMs: number,
): Document {
  const time = Date.parse(headers['ce_time'] ?? '')
  const fields = fieldsOfHeaders((name) => headers[name])
  return checkFields({
    ...fields,
    id,
    content,
    blob: null,
    title: fields.title ?? headers['ce_subject']?.slice(0, MAX_TITLE) ?? null,
    publishedAt: Number.isNaN(time) ? appendTimeMs : time,
  })
}

function fromJson(record: DocumentSource, value: Buffer, tenant: string, id: string): DocumentEvent {
  let body: unknown
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(value))
  } catch (cause) {
    throw invalid(
      'invalid_json',
      // The parser's own words quote the text, which the registry and the log are not to hold.
      `the value of ${id} is neither Avro, CloudEvents nor valid JSON`,
      400,
      cause,
    )
  }
  const input = parseDocumentInput(body)
  if (input.id !== undefined) checkSameId(input.id, id)
  const document = {
    ...documentFields(input, id, record.appendTimeMs),
    content: inlineContent(input),
    blob: null,
  }
  if (input.uri === undefined) return { kind: 'publish', tenant, id, document }
  if (input.uri.startsWith('blob:')) {
    return {
      kind: 'publish',
      tenant,
      id,
      document: { ...document, blob: checkBlobOwner(input.uri.slice(5), tenant) },
    }
  }
  return { kind: 'fetch', tenant, id, document, uri: input.uri }
}

/** Throws `invalid_document`, naming the first field that is wrong. */
export function parseDocumentInput(body: unknown): DocumentInput {
  return checkInput(documentInput, body)
}
