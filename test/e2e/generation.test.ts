import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { openEmbedder } from '@aquifer/models/open'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  eventually,
  newDataDir,
  publish,
  removeDataDir,
  request,
  search,
  startServer,
} from './harness/server.ts'

const LEXICAL = { AQUIFER_EMBEDDER: 'lexical:' }
/** Without the model the makeshift stands in, and there is nothing to switch to. */
const MODEL = { AQUIFER_EMBEDDER: 'onnx:all-MiniLM-L6-v2' }

interface Status {
  embedder: string
  documents: Record<string, number>
  lag: Record<string, number>
}

async function modelMissing(folder: string): Promise<string | null> {
  try {
    await (await openEmbedder(MODEL.AQUIFER_EMBEDDER, { dataDir: folder, env: process.env })).close()
    return null
  } catch (error) {
    return `the embedding model cannot be had here: ${String(error)}`
  }
}

let dataDir: string
beforeEach(async () => {
  dataDir = await newDataDir()
})
afterEach(async () => {
  await removeDataDir(dataDir)
})

const status = async (server: { url: string }) => (await request<Status>(server, 'GET', '/v1/status')).body
const text = (i: number) =>
  `# Document ${i}\n\n${Array.from({ length: 12 }, (_, p) => `Paragraph ${p} of document ${i} says that wallabies number ${i} live near the river. It has more to say.`).join('\n\n')}`

test('another embedder fills its own collection while the old one serves, then takes over; deletions hold in both', async (context) => {
  const reason = await modelMissing(dataDir)
  if (reason) context.skip(reason)
  const first = await startServer(dataDir, LEXICAL)
  const receipts: string[] = []
  for (let i = 0; i < 30; i++) receipts.push(await publish(first, `doc-${i}`, text(i)))
  expect((await search(first, 'wallabies', { after: receipts, timeoutMs: 30_000 })).fresh).toBe(true)
  await first.kill('SIGTERM')

  const second = await startServer(dataDir, MODEL)
  try {
    if (
      (await request<{ warnings: string[] }>(second, 'GET', '/readyz')).body.warnings.some(
        (warning) => !warning.includes('lexical'),
      )
    ) {
      context.skip('the embedding model cannot be had here')
    }
    expect((await request(second, 'DELETE', '/v1/documents/doc-3')).status).toBe(202)
    let missing = 0
    const embedder = await eventually(
      'the new embedder serves',
      async () => {
        for (const id of [1, 17]) {
          const { hits } = await search(second, `wallabies number ${id}`, { limit: 50 })
          if (!hits.some(({ documentId }) => documentId === `doc-${id}`)) missing++
          expect(hits.map(({ documentId }) => documentId)).not.toContain('doc-3')
        }
        const now = await status(second)
        return now.embedder.startsWith('all-MiniLM') && now
      },
      120_000,
    )
    expect(missing).toBe(0)
    expect(embedder.documents).toMatchObject({ indexed: 29, deleted: 1 })
    const recorded = JSON.parse(readFileSync(join(dataDir, 'generation.json'), 'utf8')) as {
      embedderUrl: string
    }
    expect(recorded.embedderUrl).toBe(MODEL.AQUIFER_EMBEDDER)
  } finally {
    await second.kill('SIGTERM')
  }

  expect(readdirSync(dataDir).filter((name) => /^registry-.*\.db$/.test(name))).toHaveLength(1)

  const third = await startServer(dataDir, MODEL)
  expect(
    (await search(third, 'wallabies number 7', { limit: 50 })).hits.some(
      ({ documentId }) => documentId === 'doc-7',
    ),
  ).toBe(true)
  await third.kill('SIGTERM')
})

test('another way of reading documents reads the log anew, and no document is missing meanwhile', async () => {
  const first = await startServer(dataDir, LEXICAL)
  const receipts = [
    await publish(first, 'a', text(1)),
    await publish(first, 'b', 'write to jane.roe@example.com about the wallabies'),
  ]
  expect(
    (await search(first, 'jane.roe@example.com', { after: receipts, mode: 'lexical' })).hits,
  ).not.toEqual([])
  await first.kill('SIGTERM')

  const second = await startServer(dataDir, { ...LEXICAL, AQUIFER_GUARD_PERSONAL_DATA: 'redact' })
  await eventually('the address is redacted', async () => {
    const { hits } = await search(second, 'wallabies', { mode: 'lexical' })
    expect(new Set(hits.map(({ documentId }) => documentId))).toEqual(new Set(['a', 'b']))
    return !hits.some((hit) => hit.text.includes('jane.roe@example.com'))
  })
  await second.kill('SIGTERM')
})

test('a lost index is made again from the log', async () => {
  const first = await startServer(dataDir, LEXICAL)
  const receipt = await publish(first, 'a', text(1))
  expect((await search(first, 'wallabies', { after: receipt, mode: 'lexical' })).hits).not.toEqual([])
  await first.kill('SIGTERM')
  for (const lost of ['vectors', 'registry']) {
    const name = readdirSync(dataDir).find(
      (file) => file === lost || (/^registry-.*\.db$/.test(file) && lost === 'registry'),
    )!
    rmSync(join(dataDir, name), { recursive: true })
    const again = await startServer(dataDir, LEXICAL)
    const { fresh, hits } = await search(again, 'wallabies', {
      after: receipt,
      timeoutMs: 20_000,
      mode: 'lexical',
    })
    expect([fresh, hits[0]?.documentId]).toEqual([true, 'a'])
    await again.kill('SIGTERM')
  }
})

test('while the model cannot be had, its index is kept for when it can', async (context) => {
  const reason = await modelMissing(dataDir)
  if (reason) context.skip(reason)
  const collections = () => {
    const file = readFileSync(join(dataDir, 'vectors', 'collections.json'), 'utf8')
    return (JSON.parse(file) as { collections: { fingerprint: string }[] }).collections.map(
      ({ fingerprint }) => fingerprint,
    )
  }
  const first = await startServer(dataDir, MODEL)
  const receipt = await publish(first, 'a', text(1))
  expect((await search(first, 'wallabies', { after: receipt, timeoutMs: 30_000 })).fresh).toBe(true)
  await first.kill('SIGTERM')
  const [wanted] = collections()

  // No cache, no pip; where the hub answers the model is there all the same, and so is its index.
  rmSync(join(dataDir, 'models'), { recursive: true, force: true })
  const nowhere = join(dataDir, 'nowhere')
  const second = await startServer(dataDir, {
    ...MODEL,
    HOME: nowhere,
    XDG_CACHE_HOME: nowhere,
    PATH: nowhere,
  })
  expect(
    (await search(second, 'wallabies', { after: receipt, timeoutMs: 30_000, mode: 'lexical' })).fresh,
  ).toBe(true)
  await second.kill('SIGTERM')
  expect(collections()).toContain(wanted)

  const third = await startServer(dataDir, MODEL)
  const name = await eventually('the model serves again', async () => {
    const { embedder } = await status(third)
    return embedder.startsWith('all-MiniLM') && embedder
  })
  expect(name).toContain('all-MiniLM')
  expect((await search(third, 'wallabies')).hits[0]?.documentId).toBe('a')
  await third.kill('SIGTERM')
})
