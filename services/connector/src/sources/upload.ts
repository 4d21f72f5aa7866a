import { Busboy } from '@fastify/busboy'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import unpipe from 'unpipe'
import { accessFields, checkFields, fieldsOfHeaders, parseField } from '@aquifer/contracts/document-fields'
import type { DocumentFields } from '@aquifer/contracts/document-fields'
import type { Document } from '@aquifer/contracts/types'
import { AquiferError, invalid } from '@aquifer/runtime/errors'

/** A JSON body is parsed in one go: beyond this the content is to be sent as it is, which streams. */
export const MAX_JSON_BYTES = 8 * 1024 * 1024
const MAX_FIELD_BYTES = 64 * 1024
/** In a form. */
const MAX_FILES = 64
const MAX_FIELDS = 512

type Taken = Pick<Document, 'content' | 'blob'>

/** What the headers of a raw upload say. HTTP hands headers over as Latin-1; those that are UTF-8 are read so. */
export function fieldsOfRequest(header: (name: string) => string | undefined): DocumentFields {
  return fieldsOfHeaders((name) => {
    const value = header(name)
    if (value === undefined) return undefined
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(value, 'latin1'))
    } catch {
      return value
    }
  })
}

/** Who sends nothing for so long is not waited for. */
const STALLED_MS = 60_000

/**
 * A request's body as it comes. Throws `upload_stalled` (408) where the client sends nothing for `stalledMs`; what the reader takes
 * its time for does not count.
 */
export async function* readBody(
  body: ReadableStream<Uint8Array> | null,
  stalledMs = STALLED_MS,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (!body) return
  const reader = body.getReader()
  try {
    for (;;) {
      const { done, value } = await unlessStalled(reader.read(), stalledMs)
      if (done) return
      yield value
    }
  } finally {
    // Nothing more is wanted of it, whatever it says to that.
    void reader.cancel().catch(() => undefined)
  }
}

async function unlessStalled<T>(reading: Promise<T>, stalledMs: number): Promise<T> {
  const stalled = Promise.withResolvers<never>()
  const timer = setTimeout(
    () =>
      stalled.reject(
        invalid('upload_stalled', `nothing came for ${stalledMs} ms: send the request again`, 408),
      ),
    stalledMs,
  )
  try {
    return await Promise.race([reading, stalled.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** The whole body as text; past the limit 413 `body_too_large`, without reading on. */
export async function readText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of body) {
    sizeBytes += chunk.length
    if (sizeBytes > MAX_JSON_BYTES) {
      throw invalid(
        'body_too_large',
        `a JSON body has at most ${MAX_JSON_BYTES} bytes: send larger content by PUT /v1/documents/{id} or as a form`,
        413,
      )
    }
    chunks.push(chunk)
  }
  return readUtf8(Buffer.concat(chunks))
}

/** Throws `invalid_json` for what is not UTF-8, rather than to change it. */
export function readUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw invalid('invalid_json', 'the text is not UTF-8', 400, cause)
  }
}

/** The lines of a body, without their ends; a line past the limit comes as null, and the next one follows. */
export async function* readLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer | null> {
  let held: Uint8Array[] = []
  let sizeBytes = 0
  const line = () => (sizeBytes > MAX_JSON_BYTES ? null : Buffer.concat(held))
  for await (const chunk of body) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      sizeBytes += end - from
      if (sizeBytes <= MAX_JSON_BYTES) held.push(chunk.subarray(from, end))
      yield line()
      held = []
      sizeBytes = 0
      from = end + 1
    }
    sizeBytes += chunk.length - from
    if (sizeBytes <= MAX_JSON_BYTES) held.push(chunk.subarray(from))
    else held = []
  }
  if (sizeBytes > 0) yield line()
}

export interface UploadedFile {
  readonly id: string | null
  readonly fields: DocumentFields
  readonly taken: Taken
}

/**
 * Reads a multipart form as it streams in: the fields `id`, `title`, `access`, `metadata` before the files they describe. Past a
 * limit the request is detached at once and the error is 413; `discard` is called for what had been stored.
 */
export async function readForm(
  headers: { 'content-type': string },
  body: AsyncIterable<Uint8Array>,
  take: (content: Readable) => Promise<Taken>,
  discard: (taken: Taken) => Promise<void>,
): Promise<UploadedFile[]> {
  const parser = createParser(headers)
  const source = Readable.from(body, { objectMode: false })
  const texts = new Map<string, string>()
  const files: Promise<UploadedFile>[] = []
  const open = new Set<Readable>()
  const finished = Promise.withResolvers<void>()
  const fail = (cause: unknown) => {
    const error =
      cause instanceof AquiferError
        ? cause
        : invalid('invalid_form', `the form does not read: ${String(cause)}`, 400, cause)
    unpipe(source)
    source.destroy()
    // No more of them will come: whoever reads one would wait for ever.
    for (const content of open) content.destroy(error)
    finished.reject(error)
  }
  parser.on('field', (name, value, nameCut, valueCut) => {
    if (nameCut || valueCut)
      fail(
        invalid(
          'body_too_large',
          `the form field ${name.slice(0, 40)} is longer than ${MAX_FIELD_BYTES} bytes`,
          413,
        ),
      )
    texts.set(name, value)
  })
  parser.on('file', (_name, stream, filename, _encoding, mimeType) => {
    const content = stream as Readable
    const described = new Map(texts)
    // The other fields hold for every file that follows, an id for one.
    texts.delete('id')
    open.add(content)
    content.once('close', () => open.delete(content))
    // Who reads it is told; where nobody does yet, it must not end the process.
    content.on('error', () => {})
    const file = (async () => ({
      id: described.get('id') ?? null,
      fields: fieldsOfForm(described, filename, mimeType),
      taken: await take(content),
    }))()
    // A failure ends the form; the others are waited for below.
    file.catch((error: unknown) => {
      content.resume()
      fail(error)
    })
    files.push(file)
  })
  parser.on('filesLimit', () =>
    fail(invalid('too_many_files', `a form holds at most ${MAX_FILES} files`, 413)),
  )
  parser.on('fieldsLimit', () =>
    fail(invalid('too_many_fields', `a form holds at most ${MAX_FIELDS} fields`, 413)),
  )
  parser.on('error', fail)
  parser.on('finish', () => finished.resolve())
  source.on('error', fail)
  source.pipe(parser)
  try {
    await finished.promise
    if (files.length === 0) throw invalid('invalid_form', 'the form holds no file')
    return await Promise.all(files)
  } catch (error) {
    for (const settled of await Promise.allSettled(files))
      if (settled.status === 'fulfilled') await discard(settled.value.taken)
    throw error
  }
}

function createParser(headers: { 'content-type': string }) {
  try {
    return new Busboy({
      headers,
      limits: { files: MAX_FILES, fields: MAX_FIELDS, fieldSize: MAX_FIELD_BYTES, headerPairs: 64 },
    })
  } catch (cause) {
    throw invalid('invalid_form', `the form does not read: ${String(cause)}`, 400, cause)
  }
}

function fieldsOfForm(
  texts: ReadonlyMap<string, string>,
  filename: string | undefined,
  mimeType: string,
): DocumentFields {
  const metadata = texts.get('metadata')
  const access = texts.get('access')
  return checkFields({
    contentType: texts.get('contentType') ?? mimeType,
    filename: filename ?? null,
    title: texts.get('title') ?? null,
    metadata: metadata === undefined ? {} : (parseField(metadata, 'metadata') as Document['metadata']),
    ...(access?.trimStart().startsWith('[')
      ? { access: parseField(access, 'access') as Document['access'], open: false }
      : accessFields(access)),
  })
}
