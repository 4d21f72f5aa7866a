import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  hashKey,
  keyAuthenticator,
  loopbackAuthenticator,
  mayRead,
  requireAdmin,
  requireWrite,
} from './auth.ts'

const head = (headers: Record<string, string>) => ({ header: (name: string) => headers[name.toLowerCase()] })
let dir: string
let file: string
let wroteAt = 1_700_000_000

function write(...keys: (object | string)[]): void {
  writeFileSync(
    file,
    `${keys.map((key) => (typeof key === 'string' ? key : JSON.stringify(key))).join('\n')}\n`,
  )
  utimesSync(file, wroteAt, ++wroteAt)
}
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'aquifer-keys-'))
  file = join(dir, 'keys.jsonl')
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

describe('keys', () => {
  test('a key is its tenant with its groups; roles say admin, reader, writer', () => {
    write(
      { sha256: hashKey('a'), tenant: 'acme', groups: ['hr'] },
      '',
      { sha256: hashKey('b').toUpperCase(), tenant: 'acme', roles: ['admin'] },
      { sha256: hashKey('c'), tenant: 'other', roles: ['reader'] },
    )
    const authenticate = keyAuthenticator(file)
    expect(authenticate(head({ authorization: 'Bearer a' }))).toEqual({
      tenant: 'acme',
      groups: ['hr'],
      canWrite: true,
    })
    expect(authenticate(head({ 'x-api-key': 'b' }))).toEqual({ tenant: 'acme', groups: null, canWrite: true })
    const reader = authenticate(head({ authorization: 'bearer c' }))
    expect(reader).toEqual({ tenant: 'other', groups: [], canWrite: false })
    expect(() => requireWrite(reader)).toThrow('may read only')
    expect(() => requireAdmin(reader)).toThrow('admin')
  })

  test.each([
    {},
    { authorization: 'Bearer wrong' },
    { authorization: 'Basic a' },
    { authorization: 'Bearer ' },
    { 'x-api-key': '' },
  ])('without a valid one it is 401: %o', (headers) => {
    write({ sha256: hashKey('a'), tenant: 'acme' })
    expect(() => keyAuthenticator(file)(head(headers as Record<string, string>))).toThrow(
      expect.objectContaining({ code: 'unauthenticated', status: 401 }),
    )
  })

  test('a revoked key ends with the next request, a new one begins', () => {
    write({ sha256: hashKey('a'), tenant: 'acme' })
    const authenticate = keyAuthenticator(file)
    authenticate(head({ 'x-api-key': 'a' }))
    write({ sha256: hashKey('b'), tenant: 'acme' })
    expect(() => authenticate(head({ 'x-api-key': 'a' }))).toThrow('valid API key')
    expect(authenticate(head({ 'x-api-key': 'b' })).tenant).toBe('acme')
  })

  test('a file that does not read names its line and lets nobody in', () => {
    write({ sha256: hashKey('a'), tenant: 'acme' }, '{"sha256":"short","tenant":"acme"}')
    expect(() => keyAuthenticator(file)).toThrow(`${file}:2`)
    write({ sha256: hashKey('a'), tenant: 'acme' })
    const authenticate = keyAuthenticator(file)
    write('nonsense')
    for (let i = 0; i < 2; i++) expect(() => authenticate(head({ 'x-api-key': 'a' }))).toThrow(`${file}:1`)
  })
})

describe('without keys', () => {
  test('this machine is admin of the default tenant', () => {
    for (const host of ['127.0.0.1:8080', 'localhost', '[::1]:8080'])
      expect(loopbackAuthenticator(head({ host }))).toEqual({
        operator: true,
        tenant: 'default',
        groups: null,
        canWrite: true,
      })
    const origin = 'http://localhost:3000'
    expect(loopbackAuthenticator(head({ host: 'localhost', origin })).tenant).toBe('default')
  })

  test.each([
    [{}, 'foreign_host'],
    [{ host: 'evil.example' }, 'foreign_host'],
    [{ host: 'localhost:8080@evil.example' }, 'foreign_host'],
    [{ host: 'localhost.evil.example' }, 'foreign_host'],
    [{ host: '192.168.1.2' }, 'foreign_host'],
    [{ host: 'localhost', origin: 'https://evil.example' }, 'foreign_origin'],
    [{ host: 'localhost', origin: 'null' }, 'foreign_origin'],
    [{ host: 'localhost', origin: 'file://localhost' }, 'foreign_origin'],
    [{ host: 'localhost', origin: 'http://localhost.evil.example' }, 'foreign_origin'],
    [{ host: 'localhost', 'sec-fetch-site': 'cross-site' }, 'foreign_origin'],
  ])('a page elsewhere is refused: %o', (headers, code) => {
    expect(() => loopbackAuthenticator(head(headers as Record<string, string>))).toThrow(
      expect.objectContaining({ code, status: 403 }),
    )
  })
})

test('access lists: none is for all, an empty one for admins, else a common group', () => {
  expect([mayRead(null, []), mayRead(null, null), mayRead([], null)]).toEqual([true, true, true])
  expect([mayRead([], ['a']), mayRead(['a'], ['b']), mayRead(['a'], [])]).toEqual([false, false, false])
  expect(mayRead(['a', 'b'], ['b', 'c'])).toBe(true)
})
