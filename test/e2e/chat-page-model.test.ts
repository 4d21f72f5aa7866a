import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask, chromiumForTests, panel, seriousFindings, settled, shoot, turn } from './harness/browser.ts'
import { startModelServer } from './harness/model-server.ts'
import type { ModelServer } from './harness/model-server.ts'
import { newDataDir, publish, removeDataDir, request, startServer } from './harness/server.ts'
import type { Server } from './harness/server.ts'

const XSS = join(
  process.env['AQUIFER_DEV_DATA'] ?? resolve(import.meta.dirname, '../../../shared/data'),
  'xss.jsonl',
)
const { browser, missing, onPage } = await chromiumForTests()
const payloads = readPayloads()

/** Rows that somebody else collected as markup that runs; without them these few. */
function readPayloads(): string[] {
  try {
    return readFileSync(XSS, 'utf8')
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { payload: string }).payload)
  } catch {
    console.warn(`no development data at ${XSS}: set AQUIFER_DEV_DATA to try its rows`)
    return ['<img src=x onerror=alert(1)>', '<script>alert(1)</script>', '"><svg onload=alert(1)>']
  }
}

describe.skipIf(missing !== null)('chat page with keys and a language model', () => {
  const headers = { Authorization: 'Bearer page-key' }
  let server: Server
  let model: ModelServer
  let dataDir: string
  beforeAll(async () => {
    dataDir = await newDataDir()
    model = await startModelServer()
    const keys = join(dataDir, 'keys.jsonl')
    const sha256 = createHash('sha256').update('page-key').digest('hex')
    writeFileSync(keys, JSON.stringify({ sha256, tenant: 'default', groups: [], roles: ['admin'] }))
    server = await startServer(dataDir, {
      AQUIFER_EMBEDDER: 'lexical:',
      AQUIFER_API_KEYS: keys,
      AQUIFER_GENERATOR: model.url,
    })
    await publish(server, 'heron', 'The heron fishes at dawn.', headers)
    await settled(server, headers)
  })
  afterAll(async () => {
    await browser?.close()
    await server.kill('SIGTERM')
    await model.close()
    await removeDataDir(dataDir)
  })

  async function enterKey(page: Page, key: string): Promise<void> {
    await page.locator('#key').fill(key)
    await page.getByRole('button', { name: 'Use this key' }).click()
  }

  test('asks for a key, says when it is wrong, and forgets it with the tab', async () => {
    await onPage(server, {}, async (page) => {
      await page.getByRole('heading', { name: 'This server asks for an API key' }).waitFor()
      expect(await seriousFindings(page)).toEqual([])
      await enterKey(page, 'wrong')
      await page.getByText('The server did not take that key').waitFor()
      await shoot(page, 'key')
      await enterKey(page, 'page-key')
      await panel(page).getByRole('button', { name: 'Open heron' }).waitFor()
      expect(await page.evaluate('JSON.stringify(localStorage) + document.cookie')).not.toContain('page-key')
    })
    await onPage(server, {}, async (page) => {
      await page.getByRole('heading', { name: 'This server asks for an API key' }).waitFor()
    })
  })

  test('the answer streams as it is written, says that an AI wrote it, and remembers the conversation', async () => {
    await onPage(server, {}, async (page) => {
      await enterKey(page, 'page-key')
      await ask(page, 'When does the heron fish?')
      const answering = await model.nextAnswer()
      answering.say('The heron fishes ')
      await turn(page).getByText('The heron fishes', { exact: true }).waitFor()
      await page.getByRole('button', { name: 'Stop' }).waitFor()
      answering.say('at dawn. [1]')
      answering.end()
      await turn(page).getByText('Written by an AI (small-model)').waitFor()
      const second = page.waitForRequest(/\/v1\/chat\/completions$/)
      await ask(page, 'And the heron at dusk?')
      const sent = (await second).postDataJSON() as {
        messages: object[]
        aquifer: { conversationId?: string }
      }
      expect(sent.messages).toHaveLength(3)
      expect(sent.aquifer.conversationId).toMatch(/./)
      ;(await model.nextAnswer()).end()
    })
  })

  test('stopping stops the model within a second, and keeps what was written', async () => {
    await onPage(server, {}, async (page) => {
      await enterKey(page, 'page-key')
      await ask(page, 'When does the heron fish?')
      const answering = await model.nextAnswer()
      answering.say('The heron')
      await turn(page).getByText('The heron', { exact: true }).waitFor()
      await page.getByRole('button', { name: 'Stop' }).click()
      const stoppedAt = performance.now()
      await answering.left
      expect(performance.now() - stoppedAt).toBeLessThan(1000)
      await turn(page).getByText('Stopped.').waitFor()
      expect(await turn(page).locator('.answer').textContent()).toBe('The heron')
    })
  })

  test('markup in ids, titles, texts and answers is text: nothing runs, nothing leaves', async () => {
    const documents = payloads.map((payload, i) => ({
      id: Array.from(`${i} ${payload}`).slice(0, 120).join(''),
      title: payload.slice(0, 500),
      content: `Row ${i} about the marsupial.\n\n${payload}\n`,
      contentType: 'text/plain',
    }))
    const { body } = await request<string>(server, 'POST', '/v1/documents/bulk', {
      raw: documents.map((document) => JSON.stringify(document)).join('\n'),
      headers: { ...headers, 'Content-Type': 'application/x-ndjson' },
    })
    expect(body).not.toContain('"error"')
    await settled(server, headers)
    await onPage(server, {}, async (page) => {
      await enterKey(page, 'page-key')
      const rows = panel(page).locator('.document')
      await expect.poll(() => rows.count()).toBe(documents.length + 1)
      expect(await rows.locator('.id').count()).toBeGreaterThan(0)
      await ask(page, 'Which marsupial is in which row?')
      const answering = await model.nextAnswer()
      for (const [i, payload] of payloads.entries()) answering.say(`${payload} [${(i % 6) + 1}]\n`)
      answering.end()
      await turn(page).getByText('Written by an AI').waitFor()
      const said = (await turn(page).locator('.answer').textContent()) ?? ''
      for (const payload of payloads) expect(said).toContain(payload)
      expect(await turn(page).locator('.answer :not(button)').count()).toBe(0)
      for (const marker of (await turn(page).locator('.marker').all()).slice(0, 6)) {
        await marker.click()
        await panel(page).locator('mark').waitFor()
      }
      expect(await page.locator('iframe, object, embed, img, form[action], a:not(.skip)').count()).toBe(0)
      await page.getByRole('button', { name: 'Documents', exact: true }).click()
      // Each source opened once.
      for (const { id } of documents) {
        await rows
          .filter({ hasText: id.slice(0, 40).split('\n')[0]! })
          .first()
          .getByRole('button')
          .first()
          .click()
        await panel(page).locator('.source-text').waitFor()
        await panel(page).getByRole('button', { name: 'Back to all documents' }).click()
      }
      await shoot(page, 'markup')
    })
  })
})
