import { chmod, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { createLogger } from '@aquifer/runtime/logger'
import fc from 'fast-check'
import officeCrypto from 'officecrypto-tool'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { defaultLoadLimits } from './load/document.ts'
import { loadDocument } from './load/loaders.ts'
import { makePdf } from './load/pdf-fixture.ts'
import { makeDocx } from './load/zip.fixture.ts'
import { createParsePool } from './parse-pool.ts'
import type { ParsePool } from './parse-pool.ts'
import { openPasswords } from './passwords.ts'

const PASSWORD = 'pässword 東'
/** The form of encryption that the fixture makes takes no others. */
const PDF_PASSWORD = 'ascii (only)'
const docx = makeDocx('<w:p><w:r><w:t>The well is under the oak.</w:t></w:r></w:p>')
const agile = officeCrypto.encrypt(docx, { password: PASSWORD })
const standard = officeCrypto.encrypt(docx, { password: PASSWORD, type: 'standard' })
const pdf = makePdf([[{ text: 'The well is under the oak.', y: 700 }]], 'The (well)', PDF_PASSWORD)
const attached = Buffer.from(
  `From: a@b.c\nTo: d@e.f\nSubject: Plan\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: application/octet-stream; name="a.docx"\nContent-Transfer-Encoding: base64\n\n${agile.toString('base64')}\n--x--`,
)
const file = (bytes: Buffer) => ({
  bytes,
  contentType: 'application/octet-stream',
  filename: null,
  title: null,
})
const failure = (code: string) => expect.objectContaining({ code, retryable: false })

/** A key's 100,000 rounds take a third of a second, on a busy machine ten times that. */
const BUSY_MS = 90_000

describe('protected documents', { timeout: BUSY_MS }, () => {
  let known: readonly string[] = []
  let pool: ParsePool
  beforeAll(() => {
    pool = createParsePool({ tokenizerPath: null, timeoutMs: 60_000, passwords: () => known })
  })
  afterAll(() => pool.close())

  it.each([
    ['Office, agile encryption', agile],
    ['Office, standard encryption', standard],
    ['PDF, AES-256', pdf],
    ['an attachment', attached],
  ])('%s: read by the one of the passwords that opens it', async (_, bytes) => {
    known = ['other', PASSWORD, PDF_PASSWORD]
    expect((await pool.parse(file(bytes))).text).toContain('The well is under the oak.')
  })

  it.each([
    ['Office', agile],
    ['PDF', pdf],
  ])(
    '%s by no password that is known: encrypted, with what to do and no password in it',
    async (_, bytes) => {
      for (const passwords of [[], ['other-secret']]) {
        known = passwords
        const error = await pool.parse(file(bytes)).catch((each: unknown) => each)
        expect(error).toEqual(failure('encrypted'))
        expect((error as Error).message).toContain('AQUIFER_DOCUMENT_PASSWORDS_FILE')
        expect(JSON.stringify([(error as Error).message, (error as Error).stack])).not.toContain(
          'other-secret',
        )
      }
    },
  )

  it('a title of a protected PDF: read with it', async () => {
    known = [PDF_PASSWORD]
    expect((await pool.parse(file(pdf))).title).toBe('The (well)')
  })

  it('passwords are none of the build: to add one reads nothing again', () => {
    known = []
    const before = pool.build
    known = [PASSWORD]
    expect(pool.build).toBe(before)
  })

  it('a file that asks for more rounds than there is time for: costs its own worker alone', async () => {
    const slow = Buffer.from(agile.toString('latin1').replace('"100000"', '"9e9"   '), 'latin1')
    const hasty = createParsePool({ tokenizerPath: null, timeoutMs: 8000, passwords: () => [PASSWORD] })
    try {
      await expect(hasty.parse(file(slow))).rejects.toEqual(failure('timeout'))
      expect((await hasty.parse(file(Buffer.from('next')))).text).toBe('next')
    } finally {
      await hasty.close()
    }
  })

  it('a damaged one: a failure of the document and nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(standard, pdf),
        fc.array(fc.tuple(fc.double({ min: 0, max: 0.999, noNaN: true }), fc.nat(255)), {
          minLength: 1,
          maxLength: 8,
        }),
        async (whole, changes) => {
          const bytes = Buffer.from(whole)
          for (const [place, value] of changes) bytes[Math.floor(place * bytes.length)] = value
          const result = await loadDocument(file(bytes), defaultLoadLimits, [PASSWORD, PDF_PASSWORD]).catch(
            (error: unknown) => error,
          )
          if (result instanceof Error)
            expect(result).toMatchObject({ retryable: false, code: expect.any(String) })
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('the file of passwords', () => {
  let dir: string
  let path: string
  const warnings: string[] = []
  const logger = Object.assign(createLogger('silent', 'test'), {
    warn: (_: object, message: string) => void warnings.push(message),
  })
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'aquifer-passwords-'))
    path = join(dir, 'passwords.txt')
    warnings.length = 0
  })
  afterEach(async () => await rm(dir, { recursive: true, force: true }))

  it('one a line, blanks within kept; a change counts from the next look on', async () => {
    await writeFile(path, '\ufeffone\r\n two words \r\n\r\n', { mode: 0o600 })
    const passwords = openPasswords(path, logger)
    expect(passwords()).toEqual(['one', ' two words '])
    await writeFile(path, 'three\n')
    await utimes(path, 1, 1)
    expect(passwords()).toEqual(['three'])
    expect(warnings).toEqual([])
    await rm(path)
    expect(passwords).toThrow(expect.objectContaining({ code: 'passwords_unavailable', retryable: true }))
  })

  it('open to others: said, with what to do', async () => {
    await writeFile(path, 'one\n')
    await chmod(path, 0o640)
    openPasswords(path, logger)
    expect(warnings).toEqual([expect.stringContaining('chmod 600')])
  })

  it.each([
    ['not there', null],
    ['too many', 'secret\n'.repeat(21)],
  ])('%s: invalid_config, naming the variable and no password', async (_, content) => {
    if (content !== null) await writeFile(path, content, { mode: 0o600 })
    const open = () => openPasswords(path, logger)
    expect(open).toThrow(expect.objectContaining({ code: 'invalid_config' }))
    expect(open).toThrow('AQUIFER_DOCUMENT_PASSWORDS_FILE')
    expect(open).not.toThrow('secret')
  })
})
