import { describe, expect, test } from 'vitest'
import { checkUri, isPublicAddress, openUri } from './fetch-uri.ts'

describe('uri: addresses', () => {
  test.each([
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '127.255.255.255',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.2.1',
    '192.168.0.1',
    '198.18.0.1',
    '198.51.100.7',
    '203.0.113.9',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:a00:1',
    '0:0:0:0:0:ffff:c0a8:1',
    '::7f00:1',
    '::10.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::1',
    '2002:7f00:1::',
    '2001::1',
    '2001:db8::1',
    'fc00::1',
    'fd12:3456::1',
    'fe80::1',
    'fec0::1',
    'ff02::1',
    'localhost',
    '',
    '127.1',
    '2130706433',
  ])('%s is not public', (address) => expect(isPublicAddress(address)).toBe(false))

  test.each(['1.1.1.1', '93.184.216.34', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:1.1.1.1'])(
    '%s is',
    (address) => expect(isPublicAddress(address)).toBe(true),
  )
})

describe('uri: what may be fetched', () => {
  const allowed = ['files.example', '127.0.0.1', '::1', 'localhost']
  test('an https address of an allowed host', () => {
    expect(checkUri('https://files.example/a?b=1#c', allowed).hostname).toBe('files.example')
  })

  test.each([
    'http://files.example/a',
    'https://other.example/',
    'https://files.example.evil.example/',
    'https://user:pw@files.example/',
    'https://127.0.0.1/',
    'https://[::1]/',
    'https://0x7f.1/',
    'https://2130706433/',
    'file:///etc/passwd',
    'ftp://files.example/',
    'nonsense',
    '',
    'https://files.example@evil.example/',
  ])('not %s', (uri) => {
    expect(() => checkUri(uri, allowed)).toThrow(expect.objectContaining({ code: 'invalid_uri' }))
  })

  test('a name that means this machine is refused when it is connected to', async () => {
    const opening = openUri(checkUri('https://localhost:1/x', allowed), new AbortController().signal)
    await expect(opening).rejects.toMatchObject({ code: 'invalid_uri', retryable: false })
  })
})
