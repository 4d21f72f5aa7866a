import { z } from 'zod'
import { invalid } from '@aquifer/runtime/errors'
import type { Document } from './types.ts'

/** What may be said of a document, whichever way it comes: JSON, Avro, CloudEvents, a raw upload or a form. */
export type DocumentFields = Pick<
  Document,
  'contentType' | 'filename' | 'title' | 'metadata' | 'access' | 'open'
>

const MAX_METADATA_BYTES = 16 * 1024
const MAX_GROUPS = 256
/** The input may name fields as long as itself; what is kept of them goes into headers and the registry. */
const MAX_REASON = 300

const scalar = z.union([z.string(), z.number(), z.boolean()])

/** Flat: scalars and arrays of scalars, 16 KiB as JSON. */
export const metadataInput = z.preprocess(
  (metadata, context) => {
    // The record below would leave it out in silence: as a key it sets an object's prototype.
    if (metadata instanceof Object && Object.hasOwn(metadata, '__proto__'))
      context.addIssue('metadata takes no key __proto__')
    return metadata
  },
  z
    .record(z.string().min(1).max(256), z.union([scalar, z.array(scalar).max(1000)]))
    .refine((metadata) => Buffer.byteLength(JSON.stringify(metadata)) <= MAX_METADATA_BYTES, {
      message: `metadata takes at most ${MAX_METADATA_BYTES} bytes of JSON`,
    }),
)

export const accessInput = z.array(z.string().min(1).max(256)).max(MAX_GROUPS)
export const MAX_TITLE = 1024
export const titleInput = z.string().max(MAX_TITLE)
export const filenameInput = z.string().max(1024)
export const contentTypeInput = z
  .string()
  .max(256)
  .regex(/^[\w.+-]+\/[\w.+-]+(?:\s*;.*)?$/, 'expected a media type such as text/markdown')

const documentFields = z.object({
  contentType: contentTypeInput,
  filename: filenameInput.nullable(),
  title: titleInput.nullable(),
  metadata: metadataInput,
  access: accessInput.nullable(),
})

/** Throws `invalid_document`, naming the first field that is wrong. */
export function checkInput<S extends z.ZodType>(schema: S, value: unknown): z.infer<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]!
  const reason = `${issue.path.join('.') || 'document'}: ${issue.message}`
  throw invalid('invalid_document', reason.slice(0, MAX_REASON).toWellFormed())
}

/** Throws `invalid_document` where a field is beyond what is taken. */
export function checkFields<F extends DocumentFields>(fields: F): F {
  checkInput(documentFields, fields)
  return fields
}

/** Throws `invalid_document`. */
export function parseField(text: string, name: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw invalid('invalid_document', `${name} is not valid JSON`, 400, cause)
  }
}

/** Groups separated by commas; `*` states that the whole tenant may read; empty means admins only. */
export function accessFields(access: string | undefined): Pick<DocumentFields, 'access' | 'open'> {
  if (access === undefined) return { access: null, open: false }
  if (access.trim() === '*') return { access: null, open: true }
  const groups = access.split(',').map((group) => group.trim())
  return { access: groups.filter(Boolean), open: false }
}

/**
 * What the headers of a raw upload, or of a CloudEvent, say of the document: `content-type`, `x-filename`, `aquifer-title`,
 * `aquifer-access` and `aquifer-metadata` (JSON), each as it is or in RFC 8187's form (`UTF-8''…`). Names are in lower case.
 */
export function fieldsOfHeaders(header: (name: string) => string | undefined): DocumentFields {
  const text = (name: string) => plainText(header(name))
  const metadata = text('aquifer-metadata')
  return checkFields({
    contentType: header('content-type') ?? 'application/octet-stream',
    filename: text('x-filename') ?? null,
    title: text('aquifer-title') ?? null,
    metadata:
      metadata === undefined ? {} : (parseField(metadata, 'aquifer-metadata') as Document['metadata']),
    ...accessFields(text('aquifer-access')),
  })
}

function plainText(value: string | undefined): string | undefined {
  const extended = /^UTF-8'[^']*'(.*)$/i.exec(value ?? '')?.[1]
  if (extended === undefined) return value
  try {
    return decodeURIComponent(extended)
  } catch (cause) {
    throw invalid('invalid_document', 'a header is not percent-encoded UTF-8', 400, cause)
  }
}
