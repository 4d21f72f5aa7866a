import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import axe from 'axe-core'
import { chromium } from 'playwright-core'
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import { eventually, request } from './server.ts'

const CHROMIUM = '/usr/bin/chromium'
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
/** A busy machine draws slowly. */
const DEADLINE_MS = 30_000

/** Debian's Chromium. Where there is none the reason is returned, to skip with; but where AQUIFER_REQUIRE names `chromium`, that fails. */
async function launchChromium(): Promise<{ browser: Browser } | { missing: string }> {
  if (existsSync(CHROMIUM))
    return { browser: await chromium.launch({ executablePath: CHROMIUM, args: FLAGS, timeout: DEADLINE_MS }) }
  const missing = `there is no ${CHROMIUM}: apt-get install -y chromium`
  if (process.env['AQUIFER_REQUIRE']?.split(',').includes('chromium')) throw new Error(missing)
  return { missing }
}

export interface ChromiumForTests {
  readonly browser: Browser | null
  /** Why there is none. */
  readonly missing: string | null
  /** Runs a test on a fresh page, on which nothing may happen that must not. */
  readonly onPage: (
    server: { url: string },
    options: BrowserContextOptions,
    run: (page: Page) => Promise<void>,
  ) => Promise<void>
}

export async function chromiumForTests(): Promise<ChromiumForTests> {
  const found = await launchChromium()
  const missing = 'missing' in found ? found.missing : null
  const browser = 'browser' in found ? found.browser : null
  if (missing !== null) console.warn(`the chat page is not tested: ${missing}`)
  return {
    browser,
    missing,
    async onPage(server, options, run) {
      const watched = await openPage(browser!, server.url, options)
      try {
        await run(watched.page)
        if (watched.wrongs.length > 0) throw new Error(`on the page: ${watched.wrongs.join('\n')}`)
      } catch (error) {
        await shoot(watched.page, 'failed')
        throw error
      } finally {
        await watched.close()
      }
    },
  }
}

export async function ask(page: Page, question: string): Promise<void> {
  await page.locator('#ask').fill(question)
  await page.locator('#ask').press('Enter')
}
export const turn = (page: Page, n = 0): Locator => page.locator('.turn').nth(n)
export const panel = (page: Page): Locator => page.locator('aside')

/** Waits until nothing is queued. */
export async function settled(server: { url: string }, headers: Record<string, string> = {}): Promise<void> {
  await eventually('all documents settle', async () => {
    const { body } = await request<{ documents: { queued: number } }>(server, 'GET', '/v1/status', {
      headers,
    })
    return body.documents.queued === 0
  })
}

interface Watched {
  readonly page: Page
  /** What must not happen: dialogs, requests that leave, markup that the policy stopped, errors that nobody caught. */
  readonly wrongs: readonly string[]
  close(): Promise<void>
}

/** A page on `url` in a session of its own, from whose beginning all is noted that must not happen. */
async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Watched> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    reducedMotion: 'reduce',
    ...options,
  })
  context.setDefaultTimeout(DEADLINE_MS)
  const page = await context.newPage()
  const wrongs: string[] = []
  const { origin } = new URL(url)
  page.on('dialog', (dialog) => {
    wrongs.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('request', (request) => {
    const address = request.url()
    if (!address.startsWith(`${origin}/`) && !address.startsWith(`blob:${origin}/`))
      wrongs.push(`request: ${address}`)
  })
  page.on('pageerror', (error) => wrongs.push(`error: ${error.message}`))
  page.on('console', (message) => {
    if (/Content Security Policy|Trusted/i.test(message.text())) wrongs.push(`policy: ${message.text()}`)
  })
  await page.goto(url)
  // The page that says that the page is being made reloads itself.
  await page.locator('#ask').waitFor({ timeout: 2 * DEADLINE_MS })
  return { page, wrongs, close: async () => await context.close() }
}

/** Drops files on the page as from the file manager. */
export async function dropFiles(
  page: Page,
  files: readonly { readonly name: string; readonly type: string; readonly text: string }[],
): Promise<void> {
  const dataTransfer = await page.evaluateHandle(`(() => {
    const transfer = new DataTransfer()
    for (const { name, type, text } of ${JSON.stringify(files)}) transfer.items.add(new File([text], name, { type }))
    return transfer
  })()`)
  for (const type of ['dragenter', 'dragover', 'drop'])
    await page.dispatchEvent('main', type, { dataTransfer })
}

/** What axe finds serious or critical in the page as it stands, each with where. */
export async function seriousFindings(page: Page): Promise<string[]> {
  // Through the debugger, which the page's policy does not bind.
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate<axe.AxeResults>(
    'axe.run(document, { resultTypes: ["violations"] })',
  )
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary ?? ''}`),
    )
}

/** Keeps what the page looks like for people to judge, where AQUIFER_SHOTS names a folder. */
export async function shoot(page: Page, name: string): Promise<void> {
  const folder = process.env['AQUIFER_SHOTS']
  if (folder === undefined) return
  await mkdir(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`) })
}
