import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import {
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { S3_CREDENTIALS, startS3 } from '@aquifer/infra/s3'
import { startTestPart } from '@aquifer/infra/test-part'
import { openS3Blobs } from '@aquifer/stores/blobs-s3'
import { blobsConformance } from './blobs.ts'

const MIB = 1024 * 1024

beforeEach(() => {
  for (const [name, value] of Object.entries(S3_CREDENTIALS)) vi.stubEnv(name, value)
})

const s3 = await startTestPart('s3', startS3)
if ('missing' in s3) test.skip(`blobs: s3 (${s3.missing})`)
else {
  const { part, stop } = s3
  afterAll(stop)
  let opened = 0
  /** A folder of the bucket that nothing else has written to. */
  const fresh = (more = '') => part.url.replace('?', `/test/${++opened}?`) + more
  const endpoint = new URL(part.url).searchParams.get('endpoint')!
  const admin = () =>
    new S3Client({
      region: 'us-east-1',
      endpoint,
      forcePathStyle: true,
      credentials: {
        accessKeyId: S3_CREDENTIALS.AWS_ACCESS_KEY_ID,
        secretAccessKey: S3_CREDENTIALS.AWS_SECRET_ACCESS_KEY,
      },
    })
  const uploads = async () =>
    (await admin().send(new ListMultipartUploadsCommand({ Bucket: 'aquifer' }))).Uploads ?? []

  blobsConformance(`s3 (${part.label})`, async () => ({
    blobs: await openS3Blobs({ url: fresh() }),
    close: async () => {},
  }))

  describe(`s3 blobs (${part.label})`, () => {
    test('content of many parts comes back, and nothing of a refused one stays', async () => {
      const blobs = await openS3Blobs({ url: fresh() })
      const content = Buffer.from(Array.from({ length: 17 * MIB }, (_, i) => (i * 31) % 251))
      const slices = Array.from({ length: 170 }, (_, i) =>
        content.subarray(i * 0.1 * MIB, (i + 1) * 0.1 * MIB),
      )
      const { sizeBytes, sha256 } = await blobs.put('k', Readable.from(slices))
      expect(sizeBytes).toBe(Buffer.concat(slices).length)
      expect((await blobs.get('k'))!.equals(Buffer.concat(slices))).toBe(true)
      expect(await blobs.put('k', Buffer.concat(slices))).toEqual({ sizeBytes, sha256 })

      await expect(blobs.put('k', Readable.from(slices), { maxBytes: 12 * MIB })).rejects.toMatchObject({
        code: 'content_too_large',
      })
      const halfway = Readable.from(
        (function* chunks() {
          yield* slices.slice(0, 120)
          throw new Error('the client went away')
        })(),
      )
      await expect(blobs.put('k', halfway)).rejects.toThrow('the client went away')
      expect(await uploads()).toEqual([])
      expect((await blobs.get('k'))!.length).toBe(sizeBytes)
      await blobs.close()
    })

    test('a put reads no faster than it writes', async () => {
      const blobs = await openS3Blobs({ url: fresh() })
      const read = { bytes: 0, ahead: 0 }
      const stored = vi.fn<() => void>()
      const content = Readable.from(
        (function* chunks() {
          for (let i = 0; i < 640; i++) {
            read.bytes += MIB / 10
            yield Buffer.alloc(MIB / 10)
          }
        })(),
      )
      part.process!.kill('SIGSTOP')
      const put = blobs.put('k', content).then(stored)
      const before = await settledAt(() => read.bytes)
      part.process!.kill('SIGCONT')
      await put
      // Two parts wait for their upload to begin, and the streams hold some.
      expect(before).toBeLessThan(12 * MIB)
      expect(read.bytes).toBeGreaterThan(60 * MIB)
      await blobs.close()
    })

    test('list and deletePrefix go past the thousand of one answer', async () => {
      const blobs = await openS3Blobs({ url: fresh() })
      const keys = Array.from({ length: 1100 }, (_, i) => `d/${String(i).padStart(4, '0')}`)
      for (let from = 0; from < keys.length; from += 50) {
        await Promise.all(keys.slice(from, from + 50).map((key) => blobs.put(key, Buffer.from('x'))))
      }
      expect(await blobs.list('d/')).toEqual(keys)
      await blobs.deletePrefix('d/')
      expect(await blobs.list('d/')).toEqual([])
      await blobs.close()
    })

    test('an outage in the middle of an upload is retryable, keeps the old content, and passes', async () => {
      const blobs = await openS3Blobs({ url: fresh() })
      await blobs.put('k', Buffer.from('old'))
      const content = Readable.from(
        (async function* chunks() {
          for (let i = 0; i < 16; i++) {
            if (i === 12) await part.kill()
            yield Buffer.alloc(MIB)
          }
        })(),
      )
      await expect(blobs.put('k', content)).rejects.toMatchObject({
        code: 'blobs_unavailable',
        retryable: true,
      })
      expect(content.destroyed).toBe(true)
      const down = { code: 'blobs_unavailable', retryable: true, status: 503 }
      await expect(blobs.get('k')).rejects.toMatchObject(down)
      await expect(blobs.list('d/')).rejects.toMatchObject(down)
      await expect(blobs.delete('k')).rejects.toMatchObject(down)
      await expect(blobs.deletePrefix('d/')).rejects.toMatchObject(down)
      await expect(blobs.ping()).rejects.toMatchObject(down)
      await expect(openS3Blobs({ url: part.url })).rejects.toMatchObject(down)
      await part.restart()
      expect(String(await blobs.get('k'))).toBe('old')
      expect((await blobs.put('k', Buffer.alloc(11 * MIB))).sizeBytes).toBe(11 * MIB)
      await blobs.close()
    })

    test('a bucket that is missing or denied is said at open', async () => {
      const wrong = { code: 'invalid_blob_store', retryable: false }
      const missing = part.url.replace('//aquifer', '//nowhere')
      await expect(openS3Blobs({ url: missing })).rejects.toMatchObject(wrong)
      await expect(openS3Blobs({ url: missing })).rejects.toThrow('there is no bucket nowhere')
      vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'wrong')
      await expect(openS3Blobs({ url: part.url })).rejects.toMatchObject(wrong)
      await expect(openS3Blobs({ url: part.url })).rejects.toThrow('denied')
    })

    test('objects that others put beside ours are not blobs', async () => {
      const url = fresh()
      const blobs = await openS3Blobs({ url })
      await blobs.put('d/a', Buffer.from('x'))
      const Key = `${new URL(url).pathname.slice(1)}/d/by-hand`
      await admin().send(new PutObjectCommand({ Bucket: 'aquifer', Key, Body: 'x' }))
      expect(await blobs.list('d/')).toEqual(['d/a'])
      await admin().send(new DeleteObjectCommand({ Bucket: 'aquifer', Key }))
      await blobs.close()
    })
  })
}

describe('s3 blobs, where the server fails', () => {
  /** A server that answers HEAD of the bucket as it should, and the rest as told. */
  async function withServer(rest: RequestListener, run: (url: string) => Promise<void>): Promise<void> {
    const server = createServer((request, response) => {
      if (request.method === 'HEAD') return void response.end()
      rest(request, response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const endpoint = encodeURIComponent(`http://127.0.0.1:${port}`)
    try {
      await run(`s3://bucket/prefix?region=us-east-1&endpoint=${endpoint}&forcePathStyle=true`)
    } finally {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }
  const failed = { code: 'blobs_unavailable', retryable: true }

  test('5xx is tried again, then retryable', async () => {
    let asked = 0
    const answer503: RequestListener = (request, response) => {
      asked++
      request.resume()
      response.writeHead(503).end()
    }
    await withServer(answer503, async (url) => {
      const blobs = await openS3Blobs({ url })
      await expect(blobs.put('k', Buffer.from('x'))).rejects.toMatchObject(failed)
      expect(asked).toBe(3)
      await blobs.close()
    })
  })

  test('silence ends at the time limit, before an answer and in the middle of one', async () => {
    await withServer(
      (request) => void request.resume(),
      async (url) => {
        const blobs = await openS3Blobs({ url, idleTimeoutMs: 200 })
        await expect(blobs.put('k', Buffer.from('x'))).rejects.toMatchObject(failed)
        await blobs.close()
      },
    )
    const stall: RequestListener = (_, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('half')
    }
    await withServer(stall, async (url) => {
      const blobs = await openS3Blobs({ url, idleTimeoutMs: 200 })
      await expect(blobs.get('k')).rejects.toMatchObject(failed)
      await blobs.close()
    })
  })

  test('a missing bucket is no missing blob', async () => {
    const noBucket: RequestListener = (_, response) => {
      response.writeHead(404, { 'content-type': 'application/xml' })
      response.end('<?xml version="1.0"?><Error><Code>NoSuchBucket</Code><Message>gone</Message></Error>')
    }
    await withServer(noBucket, async (url) => {
      const blobs = await openS3Blobs({ url })
      await expect(blobs.get('k')).rejects.toMatchObject(failed)
      await expect(blobs.delete('k')).rejects.toMatchObject(failed)
      await blobs.close()
    })
  })

  test('a URL that says something else than a bucket is refused', async () => {
    for (const url of [
      's3:',
      's3:///prefix',
      's3://b?regoin=x',
      's3://b?endpoint=ftp://x',
      's3://key:secret@b',
      's3://b/a b/',
    ]) {
      await expect(openS3Blobs({ url })).rejects.toMatchObject({ retryable: false })
    }
  })
})

/** What a counter says once it has stood still for a while, within a deadline. */
async function settledAt(read: () => number): Promise<number> {
  let last = -1
  await vi.waitFor(
    () => {
      const now = read()
      const still = now > 0 && now === last
      last = now
      expect(still).toBe(true)
    },
    { timeout: 10_000, interval: 300 },
  )
  return last
}
