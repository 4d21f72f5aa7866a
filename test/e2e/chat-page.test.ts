import { readdirSync, readFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  ask,
  chromiumForTests,
  dropFiles,
  panel,
  seriousFindings,
  settled,
  shoot,
  turn,
} from './harness/browser.ts'
import {
  eventually,
  newDataDir,
  publish,
  removeDataDir,
  request,
  search,
  startServer,
} from './harness/server.ts'
import type { Server } from './harness/server.ts'

const ENV = { AQUIFER_EMBEDDER: 'lexical:', AQUIFER_MAX_DOCUMENT_BYTES: String(2 * 1024 * 1024) }
const SAMPLES = resolve(import.meta.dirname, '../../samples')

const { browser, missing, onPage } = await chromiumForTests()

describe.skipIf(missing !== null)('chat page', () => {
  let server: Server
  let dataDir: string
  beforeAll(async () => {
    dataDir = await newDataDir()
    server = await startServer(dataDir, ENV)
    for (const name of readdirSync(SAMPLES))
      await request(server, 'PUT', `/v1/documents/${encodeURIComponent(`samples/${name}`)}`, {
        raw: new Uint8Array(readFileSync(join(SAMPLES, name))),
        headers: {
          'Content-Type': name.endsWith('.pdf') ? 'application/pdf' : 'application/octet-stream',
          'X-Filename': name,
        },
      })
    await settled(server)
  })
  afterAll(async () => {
    await browser?.close()
    await server.kill('SIGTERM')
    await removeDataDir(dataDir)
  })

  test('a link on another site opens it; that site’s own requests are refused', async () => {
    const link = `<title>elsewhere</title><a href="${server.url}/">to Aquifer</a>`
    const site = createServer((_, response) => response.setHeader('Content-Type', 'text/html').end(link))
    await once(site.listen(0, '127.0.0.1'), 'listening')
    const page = await browser!.newPage()
    try {
      // To a browser localhost is another site than 127.0.0.1.
      await page.goto(`http://localhost:${(site.address() as AddressInfo).port}/`)
      const blind = `fetch('${server.url}/v1/status', { mode: 'no-cors' }).then(() => 'sent')`
      const refused = page.waitForResponse((response) => response.url().endsWith('/v1/status'))
      expect(await page.evaluate(blind)).toBe('sent')
      expect((await refused).status()).toBe(403)
      await page.getByRole('link', { name: 'to Aquifer' }).click()
      await page.getByRole('button', { name: 'What is a floor?' }).waitFor()
      await page.reload()
      await page.getByRole('button', { name: 'What is a floor?' }).waitFor()
    } finally {
      await page.close()
      site.close()
    }
  })

  test('asks an example; the citation opens the source with the passage marked, and the answer says what it rests on', async () => {
    await onPage(server, {}, async (page) => {
      await page.getByRole('button', { name: 'What is a floor?' }).click()
      const answer = turn(page)
      await answer
        .getByRole('button', { name: /^Source \[1\]/ })
        .first()
        .click()
      const marked = await panel(page).locator('mark').textContent()
      expect(await answer.locator('.answer').textContent()).toContain(marked)
      expect(await page.evaluate('document.activeElement.id')).toBe('panel-title')
      // The evaluator comes to it a little later.
      await answer.getByText('checked again after the answer').waitFor()
      await answer.getByText('No language model wrote it').waitFor()
      await shoot(page, 'answer-with-citation')
      await answer.getByText(/^Rests on \d+ passages$/).click()
      const passages = answer.locator('.evidence .passage')
      expect(await passages.count()).toBeGreaterThan(1)
      expect(await passages.first().textContent()).toMatch(/cited.*score \d\.\d\d/)
      await passages.nth(1).click()
      await panel(page).locator('mark').waitFor()
    })
  })

  test('a PDF opens at its page with the passage marked, and as text', async () => {
    await onPage(server, {}, async (page) => {
      await ask(page, 'How is groundwater recharged by rain?')
      await turn(page)
        .getByRole('button', { name: /^Source \[1\]/ })
        .first()
        .click()
      await panel(page).locator('.box').first().waitFor()
      await panel(page).getByText('Page 2 of 3').waitFor()
      await shoot(page, 'pdf-page')
      await panel(page).getByRole('button', { name: 'Next page' }).click()
      await panel(page).getByText('Page 3 of 3').waitFor()
      await panel(page).getByRole('button', { name: 'Text', exact: true }).click()
      expect(await panel(page).locator('mark').textContent()).toContain('Rain and melting snow')
      const download = page.waitForEvent('download')
      await panel(page).getByRole('button', { name: 'Download the original' }).click()
      expect((await download).suggestedFilename()).toBe('groundwater-guide.pdf')
    })
  })

  test('a source that was replaced offers its newest version; a deleted one says so', async () => {
    await search(server, 'okapi', {
      after: await publish(server, 'okapi', 'The okapi lives in the Ituri forest.'),
    })
    await onPage(server, {}, async (page) => {
      await ask(page, 'Where does the okapi live?')
      const marker = turn(page)
        .getByRole('button', { name: /^Source/ })
        .first()
      await marker.waitFor()
      const receipt = await publish(
        server,
        'okapi',
        'Another text.\n\nThe okapi lives in the Ituri forest. It is shy.',
      )
      await search(server, 'okapi', { after: receipt })
      await marker.click()
      await panel(page).getByText('was replaced by a newer version').waitFor()
      await panel(page).getByRole('button', { name: 'Open the newest version' }).click()
      expect(await panel(page).locator('mark').textContent()).toContain(
        'The okapi lives in the Ituri forest.',
      )
      await request(server, 'DELETE', '/v1/documents/okapi')
      await marker.click()
      await panel(page).getByText('was deleted after the answer').waitFor()
    })
  })

  test('dropped files become searchable and answer; what cannot be read or is too large says why', async () => {
    await onPage(server, {}, async (page) => {
      await dropFiles(page, [
        {
          name: 'quokka notes.md',
          type: 'text/markdown',
          text: '# Quokkas\n\nThe quokka lives on Rottnest Island.',
        },
        { name: 'broken.pdf', type: 'application/pdf', text: '%PDF-1.7 nothing' },
        { name: 'large.txt', type: 'text/plain', text: 'x'.repeat(3 * 1024 * 1024) },
      ])
      const uploads = page.getByRole('region', { name: 'Files being added' }).getByRole('listitem')
      await uploads.filter({ hasText: 'quokka notes.md' }).getByText('searchable').waitFor()
      await uploads.filter({ hasText: 'broken.pdf' }).getByText('not readable:').waitFor()
      await uploads
        .filter({ hasText: 'large.txt' })
        .getByText(/larger than the server takes/)
        .waitFor()
      await panel(page).getByRole('button', { name: 'Open Quokkas' }).waitFor()
      await shoot(page, 'dropped-files')
      expect(await seriousFindings(page)).toEqual([])
      await ask(page, 'Where does the quokka live?')
      await turn(page)
        .getByText(/Rottnest Island/)
        .first()
        .waitFor()
      await uploads.first().getByRole('button', { name: 'quokka notes.md', exact: true }).click()
      await panel(page).getByText('Rottnest Island').waitFor()
    })
  })

  test('a copy says what it is nearly the same as, when it is added and when it is open', async () => {
    const lines = Array.from(
      { length: 40 },
      (_, i) => `The numbat of den ${i} ate ${i * 11} termites that day.`,
    )
    const text = (title: string) => `# ${title}\n\n${lines.join('\n\n')}`
    await search(server, 'numbat', { after: await publish(server, 'numbats', text('Numbats')) })
    await onPage(server, {}, async (page) => {
      await dropFiles(page, [{ name: 'copy.md', type: 'text/markdown', text: text('A copy') }])
      const upload = page.getByRole('region', { name: 'Files being added' }).getByRole('listitem')
      await upload.getByText('searchable; nearly the same as Numbats').waitFor()
      const row = panel(page).getByRole('listitem').filter({ hasText: 'A copy' })
      await row.getByText('English').waitFor()
      await row.getByRole('button', { name: 'Open A copy' }).click()
      await panel(page).getByText('English').waitFor()
      await shoot(page, 'nearly-the-same')
      expect(await seriousFindings(page)).toEqual([])
      await panel(page).getByText('Nearly the same as').getByRole('button', { name: 'Numbats' }).click()
      await panel(page).getByRole('heading', { name: 'Numbats', level: 3 }).waitFor()
      await panel(page).getByRole('button', { name: 'Back to all documents' }).click()
      await row.waitFor()
      for (const id of ['numbats', 'copy.md']) await request(server, 'DELETE', `/v1/documents/${id}`)
    })
  })

  test('documents are found by name and by content, and deleted only when sure', async () => {
    await search(server, 'tapir', { after: await publish(server, 'tapir', 'The tapir sleeps by day.') })
    await onPage(server, {}, async (page) => {
      const list = panel(page)
      await list.getByRole('searchbox').fill('TAPIR')
      const rows = list.locator('.document')
      await expect.poll(() => rows.count()).toBe(1)
      await list.getByRole('searchbox').fill('sleeps by day')
      await list.getByRole('searchbox').press('Enter')
      await list.locator('.passage').first().click()
      await list.locator('mark').waitFor()
      await list.getByRole('button', { name: 'Back to all documents' }).click()
      await list.getByRole('searchbox').fill('tapir')
      await list.getByRole('button', { name: 'Delete tapir' }).click()
      expect(await page.evaluate('document.activeElement.textContent')).toBe('Keep')
      await page.keyboard.press('Escape')
      expect((await request(server, 'GET', '/v1/documents/tapir')).body['state']).toBe('indexed')
      await list.getByRole('button', { name: 'Delete tapir' }).click()
      await list.getByRole('button', { name: 'Delete', exact: true }).click()
      await expect.poll(() => rows.count()).toBe(0)
      expect((await request(server, 'GET', '/v1/documents/tapir')).body['state']).toBe('deleted')
    })
  })

  test('a thumb down takes a correction along', async () => {
    await onPage(server, {}, async (page) => {
      const facts = page.waitForResponse(/\/v1\/answers\//)
      await ask(page, 'What is a floor?')
      const { answerId } = (await (await facts).json()) as { answerId: string }
      await turn(page).getByRole('button', { name: 'This answer does not help' }).click()
      await turn(page).getByRole('textbox').fill('It is a version.')
      await turn(page).getByRole('button', { name: 'Send feedback' }).click()
      await turn(page).getByText('Thank you').waitFor()
      const feedback = await eventually('the feedback is kept', async () => {
        const { body } = await request<{ feedback: object[] }>(server, 'GET', `/v1/answers/${answerId}`)
        return body.feedback[0]
      })
      expect(feedback).toMatchObject({ rating: -1, correction: 'It is a version.' })
    })
  })

  test('errors say what to do, and trying again does it', async () => {
    await onPage(server, {}, async (page) => {
      await page.route('**/v1/chat/completions', async (route) => {
        const error = { message: 'the index is away', code: 'index_unavailable' }
        await route.fulfill({ status: 503, headers: { 'Retry-After': '1' }, json: { error } })
      })
      await ask(page, 'What is a floor?')
      await turn(page).getByText('A part of the server is not available right now').waitFor()
      await shoot(page, 'error')
      expect(await seriousFindings(page)).toEqual([])
      await page.unroute('**/v1/chat/completions')
      await page.context().setOffline(true)
      await turn(page).getByRole('button', { name: 'Try again' }).click()
      await turn(page).getByText('The server cannot be reached').waitFor()
      await page.getByText('You are offline').waitFor()
      await page.context().setOffline(false)
      await turn(page).getByRole('button', { name: 'Try again' }).click()
      await turn(page).locator('.marker').first().waitFor()
      expect(await page.locator('.turn').count()).toBe(1)
    })
  })

  test('the keyboard is enough: ask, open a source, close it, and be where one was', async () => {
    await onPage(server, {}, async (page) => {
      await page.keyboard.press('Escape')
      await page.locator('body').press('Tab')
      await page.getByRole('link', { name: 'Skip to the question' }).press('Enter')
      await page.keyboard.type('What is a floor?')
      await page.keyboard.press('Shift+Enter')
      expect(await page.locator('#ask').inputValue()).toBe('What is a floor?\n')
      await page.keyboard.press('Enter')
      const marker = turn(page).locator('.marker').first()
      await marker.waitFor()
      expect(await page.evaluate('document.activeElement.id')).toBe('ask')
      const isMarker = async () => await page.evaluate('document.activeElement.className === "marker"')
      for (let tabs = 0; tabs < 30 && !(await isMarker()); tabs++) await page.keyboard.press('Shift+Tab')
      const opener = page.locator('.marker:focus')
      await opener.press('Enter')
      await panel(page).locator('mark').waitFor()
      await page.keyboard.press('Escape')
      await panel(page).waitFor({ state: 'detached' })
      await opener.waitFor()
    })
  })

  test.each(['light', 'dark'] as const)('axe finds nothing serious, %s', async (colorScheme) => {
    await onPage(server, { colorScheme }, async (page) => {
      await page.getByRole('heading', { name: 'Questions to try' }).waitFor()
      expect(await seriousFindings(page)).toEqual([])
      await ask(page, 'What is a floor?')
      await turn(page)
        .getByText(/^Rests on/)
        .click()
      await turn(page).getByRole('button', { name: 'This answer does not help' }).click()
      await turn(page).locator('.marker').first().click()
      await panel(page).locator('mark').waitFor()
      await shoot(page, colorScheme)
      expect(await seriousFindings(page)).toEqual([])
    })
  })

  test('the colours can be chosen, and stay chosen', async () => {
    await onPage(server, { colorScheme: 'light' }, async (page) => {
      await page.getByRole('button', { name: 'Use dark colours' }).click()
      await page.reload()
      await page.getByRole('button', { name: 'Use light colours' }).waitFor()
    })
  })

  test('on a phone nothing is cut off, and a source covers the conversation', async () => {
    await onPage(server, { viewport: { width: 320, height: 640 }, hasTouch: true }, async (page) => {
      const overflow = async () =>
        await page.evaluate('document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth')
      expect(await overflow()).toBe(0)
      await ask(page, 'What is a floor?')
      const marker = turn(page).locator('.marker').first()
      await marker.waitFor()
      expect(await overflow()).toBe(0)
      await shoot(page, 'phone')
      await marker.tap()
      await panel(page).locator('mark').waitFor()
      expect(await page.evaluate('document.querySelector("main").inert')).toBe(true)
      await shoot(page, 'phone-source')
      expect(await overflow()).toBe(0)
      expect(await seriousFindings(page)).toEqual([])
      await panel(page).getByRole('button', { name: 'Close' }).tap()
      await page.getByRole('button', { name: 'New conversation' }).tap()
      await page.getByRole('heading', { name: 'Questions to try' }).waitFor()
    })
  })
})
