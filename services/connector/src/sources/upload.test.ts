import { expect, test } from 'vitest'
import { readBody } from './upload.ts'

test('upload: a client that sends nothing for too long is 408, and its body let go; a slow reader is no slow client', async () => {
  const cancelled = Promise.withResolvers<void>()
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(Buffer.from('begun')),
    cancel: () => cancelled.resolve(),
  })
  const chunks = readBody(body, 20)
  expect(await chunks.next()).toMatchObject({ value: Buffer.from('begun') })
  await expect(chunks.next()).rejects.toMatchObject({ code: 'upload_stalled', status: 408 })
  await cancelled.promise
})
