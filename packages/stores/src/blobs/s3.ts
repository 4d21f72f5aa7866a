import { Readable } from 'node:stream'
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  paginateListObjectsV2,
  S3Client,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { AquiferError, errorMessage, invalid, unavailable } from '@aquifer/runtime/errors'
import { checkKey, checkPrefix, measure } from './content.ts'
import type { Blobs } from './port.ts'

/**
 * S3's least part. A put holds at most `PARTS_AT_ONCE` of them, and one that is being filled; 10 000 of them, S3's most, are
 * 48 GiB.
 */
const PART_BYTES = 5 * 1024 * 1024
const PARTS_AT_ONCE = 2
/** Of S3, for a key as UTF-8. */
const MAX_OBJECT_KEY_BYTES = 1024
/**
 * Ends an object's name and may not stand in a key: so `a` and `a/b` can both be keys on servers that keep objects as files
 * (MinIO, Versity), which hold one name to be a file or a folder.
 */
const OBJECT_MARK = '!'
const CONNECT_TIMEOUT_MS = 5000
const ATTEMPTS = 3

export interface S3Options {
  /**
   * `s3://bucket/prefix?region=…&endpoint=…&forcePathStyle=true`. Without `region` and `endpoint` the AWS defaults hold
   * (`AWS_REGION`, `AWS_ENDPOINT_URL_S3`, the shared configuration file); credentials always come by the AWS default chain.
   */
  readonly url: string
  /** Silence of the server for so long fails an attempt. */
  readonly idleTimeoutMs?: number
  /** So long a request may take until its answer begins, upload of a part included. */
  readonly requestTimeoutMs?: number
}

/**
 * Blobs as objects of a bucket that is there already. Many processes may share it.
 *
 *  B1  S3 shows an object whole or not at all, so a put is atomic. A put that fails aborts its multipart upload.
 *  B2  What a killed process, or one that S3 could not hear, left of a multipart upload no reader ever sees. The bucket's
 *      lifecycle rule AbortIncompleteMultipartUpload frees its space.
 *
 * Throws `invalid_blob_store` at open where the bucket is missing or denied; any later failure is `blobs_unavailable`.
 */
export async function openS3Blobs({
  url,
  idleTimeoutMs = 20_000,
  requestTimeoutMs = 120_000,
}: S3Options): Promise<Blobs> {
  const { Bucket, root, client: settings } = parseS3Url(url)
  const client = new S3Client({
    ...settings,
    maxAttempts: ATTEMPTS,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: idleTimeoutMs,
      requestTimeout: requestTimeoutMs,
      throwOnRequestTimeout: true,
    },
  })
  const objectOf = (key: string): string => {
    const name = `${root}${checkKey(key)}${OBJECT_MARK}`
    if (Buffer.byteLength(name) > MAX_OBJECT_KEY_BYTES) {
      throw invalid('invalid_key', `${key.slice(0, 100)}… is too long for S3 below ${root}`)
    }
    return name
  }

  /** Objects below a prefix, page by page. */
  async function* pages(prefix: string): AsyncGenerator<string[]> {
    const Prefix = `${root}${checkPrefix(prefix)}/`
    for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket, Prefix })) {
      yield Contents.flatMap(({ Key }) => (Key?.endsWith(OBJECT_MARK) ? [Key] : []))
    }
  }

  async function deleteAll(objects: readonly string[]): Promise<void> {
    if (objects.length === 0) return
    const Delete = { Objects: objects.map((Key) => ({ Key })), Quiet: true }
    const { Errors: [first] = [] } = await client.send(new DeleteObjectsCommand({ Bucket, Delete }))
    if (first) throw new Error(`${first.Key} could not be deleted: ${first.Code} ${first.Message}`)
  }

  async function open(key: string): Promise<Readable | null> {
    const Key = objectOf(key)
    return await unlessMissing(async () => {
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }))
      return Body as Readable
    })
  }

  const ping = async (): Promise<void> => {
    await client.send(new HeadBucketCommand({ Bucket }))
  }
  try {
    await ping()
  } catch (cause) {
    client.destroy()
    throw refusal(Bucket, cause)
  }

  return {
    async put(key, content, { maxBytes = Number.POSITIVE_INFINITY } = {}) {
      const Key = objectOf(key)
      const measured = measure(key, content, maxBytes)
      const Body = Readable.from(measured.bytes)
      const upload = new Upload({
        client,
        params: { Bucket, Key, Body },
        partSize: PART_BYTES,
        queueSize: PARTS_AT_ONCE,
      })
      try {
        await upload.done()
      } catch (error) {
        Body.destroy()
        // What the source failed with stays as it is.
        throw error === measured.failure() ? error : failure(error)
      }
      return measured.result()
    },
    async get(key) {
      const body = await open(key)
      if (!body) return null
      try {
        return Buffer.concat(await body.toArray())
      } catch (error) {
        throw failure(error)
      }
    },
    stream: open,
    async list(prefix) {
      return await mapped(async () => {
        const keys: string[] = []
        for await (const objects of pages(prefix)) {
          keys.push(...objects.map((object) => object.slice(root.length, -OBJECT_MARK.length)))
        }
        return keys.sort()
      })
    },
    async delete(key) {
      const Key = objectOf(key)
      await unlessMissing(async () => await client.send(new DeleteObjectCommand({ Bucket, Key })))
    },
    async deletePrefix(prefix) {
      await mapped(async () => {
        // A page has 1000 at most, which is what one request may delete.
        for await (const objects of pages(prefix)) await deleteAll(objects)
      })
    },
    ping: async () => await mapped(ping),
    close: async () => client.destroy(),
  }
}

/** Throws `invalid_config`. */
function parseS3Url(url: string) {
  const wrong = (what: string) =>
    invalid(
      'invalid_config',
      `${JSON.stringify(url)}: ${what}; expected s3://bucket/prefix?region=…&endpoint=https://…&forcePathStyle=true`,
    )
  if (!URL.canParse(url)) throw wrong('not a URL')
  const { protocol, hostname, username, pathname, searchParams } = new URL(url)
  if (protocol !== 's3:' || hostname === '') throw wrong('no bucket')
  if (username !== '')
    throw invalid('invalid_config', 's3: credentials belong in AWS_ACCESS_KEY_ID and its like')
  const known = new Set(['region', 'endpoint', 'forcePathStyle'])
  const unknown = [...searchParams.keys()].find((name) => !known.has(name))
  if (unknown !== undefined) throw wrong(`unknown ${unknown}`)
  const region = searchParams.get('region')
  const endpoint = searchParams.get('endpoint')
  if (endpoint !== null && !/^https?:/.test(endpoint)) throw wrong('the endpoint is no http address')
  const prefix = decodeURIComponent(pathname).replace(/^\/+|\/+$/g, '')
  return {
    Bucket: hostname,
    root: prefix === '' ? '' : `${checkKey(prefix)}/`,
    client: {
      ...(region !== null && { region }),
      ...(endpoint !== null && { endpoint }),
      forcePathStyle: searchParams.get('forcePathStyle') === 'true',
    },
  }
}

function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode
}

/** Why a store does not open: what no waiting mends is the configuration's fault. */
function refusal(bucket: string, cause: unknown): AquiferError {
  const status = statusOf(cause)
  const name = (cause as Error).name
  const wrong = (what: string) => invalid('invalid_blob_store', `AQUIFER_BLOBS: ${what}`, 400, cause)
  if (status === 404)
    return wrong(`there is no bucket ${bucket}: make it, and a lifecycle rule that aborts incomplete uploads`)
  if (status === 301) return wrong(`the bucket ${bucket} lies in another region: say which with ?region=…`)
  if (status === 401 || status === 403)
    return wrong(`the bucket ${bucket} is denied to these credentials (s3:ListBucket is needed)`)
  if (status === 400) return wrong(`the bucket ${bucket} is refused: region or credentials are wrong`)
  if (name === 'CredentialsProviderError') {
    return wrong(
      `no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile or role (${errorMessage(cause)})`,
    )
  }
  if (errorMessage(cause) === 'Region is missing') return wrong('no region: add ?region=… or set AWS_REGION')
  return failure(cause)
}

function failure(error: unknown): AquiferError {
  if (error instanceof AquiferError) return error
  const status = statusOf(error)
  const what = `${(error as Error).name}: ${errorMessage(error)}`
  return unavailable(
    'blobs_unavailable',
    `S3 failed${status === undefined ? '' : ` with ${status}`}: ${what}`,
    error,
  )
}

async function mapped<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw failure(error)
  }
}

/** null where the object is missing; a missing bucket is a failure. */
async function unlessMissing<T>(work: () => Promise<T>): Promise<T | null> {
  return await mapped(async () => {
    try {
      return await work()
    } catch (error) {
      if ((error as Error).name === 'NoSuchKey') return null
      throw error
    }
  })
}
